output "account" {
  description = "The identity that it runs as."
  value       = google_service_account.this
}

output "invokers" {
  description = "The grants to call it, to wait for."
  value       = google_cloud_run_v2_service_iam_member.invokers
}
