# Containers only: a value is added beside Terraform, and so is in no state, no
# plan and no repository. Who may read one stands with the function that does.

resource "google_secret_manager_secret" "all" {
  for_each = toset(["RBM_KEY", "RBM_CLIENT_TOKENS", "BANDWIDTH_SECRET", "BANDWIDTH_CALLBACKS"])

  secret_id           = "${local.name}-${lower(replace(each.key, "_", "-"))}"
  deletion_protection = var.protect

  replication {
    auto {}
  }

  depends_on = [google_project_service.apis]
}
