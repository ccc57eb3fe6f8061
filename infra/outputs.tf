output "send_url" {
  description = "What apps call, and the audience of their ID tokens."
  value       = local.url["send"]
}

output "webhook_url" {
  description = "What to register as the webhook of the RBM agents."
  value       = local.url["webhook"]
}

output "sms_webhook_url" {
  description = "What to register as both callbacks of the Bandwidth application."
  value       = local.url["sms_webhook"]
}

output "subscriber_accounts" {
  description = "Who calls each subscriber's endpoint, to be allowed there."
  value       = { for name in keys(var.subscribers) : name => google_service_account.push[name].email }
}

output "dashboard" {
  description = "Where to look."
  value       = "https://console.cloud.google.com/monitoring/dashboards/custom/${basename(google_monitoring_dashboard.backstop.id)}?project=${var.project_id}"
}

output "smoke" {
  description = "What the check after a deployment needs: the secret of the handshake, and an agent to send from."
  value = {
    client_tokens = "projects/${var.project_id}/secrets/${google_secret_manager_secret.all["RBM_CLIENT_TOKENS"].secret_id}/versions/${var.secret_versions.RBM_CLIENT_TOKENS}"
    agent         = keys(var.agents)[0]
  }
}
