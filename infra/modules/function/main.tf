resource "google_service_account" "this" {
  account_id   = var.name
  display_name = "Backstop: ${var.entry_point}"
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.secrets

  secret_id = each.value.id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_cloudfunctions2_function" "this" {
  #checkov:skip=CKV_GCP_124:three functions are for callers outside Google Cloud, who prove themselves; the other three are internal
  name        = var.name
  location    = var.region
  description = var.description

  build_config {
    runtime               = var.runtime
    entry_point           = var.entry_point
    service_account       = var.builder.account
    docker_repository     = var.builder.images
    environment_variables = { GOOGLE_FUNCTION_SOURCE = "functions/${var.entry_point}.py" }

    source {
      storage_source {
        bucket = var.archive.bucket
        object = var.archive.object
      }
    }
  }

  service_config {
    service_account_email = google_service_account.this.email
    ingress_settings      = var.ingress
    timeout_seconds       = var.timeout
    environment_variables = var.settings

    # More than one request at once needs a whole CPU.
    max_instance_request_concurrency = var.scaling.concurrency
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    min_instance_count               = var.scaling.min
    max_instance_count               = var.scaling.max

    dynamic "secret_environment_variables" {
      for_each = var.secrets

      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value.id
        version    = secret_environment_variables.value.version
      }
    }
  }

  # An instance that may not read its secret does not start.
  depends_on = [google_secret_manager_secret_iam_member.this]
}

# The right to call a function is held on the Cloud Run service beneath it.
resource "google_cloud_run_v2_service_iam_member" "invokers" {
  for_each = var.invokers

  name     = google_cloudfunctions2_function.this.name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}
