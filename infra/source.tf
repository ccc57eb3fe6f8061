# One archive for the six functions: what is deployed and nothing else. Each
# function is a build of its own from it, so that each imports only its part.

locals {
  root = "${path.module}/.."

  deployed = toset(concat(
    ["requirements.txt"],
    [for name in local.names : "functions/${name}.py"],
    [for file in fileset("${local.root}/functions/backstop", "**/*.py") : "functions/backstop/${file}"],
  ))
}

data "archive_file" "source" {
  type        = "zip"
  output_path = "${path.module}/.terraform/backstop.zip"

  dynamic "source" {
    for_each = local.deployed

    content {
      filename = source.key
      content  = file("${local.root}/${source.key}")
    }
  }
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_78:an archive is named after its content and never overwritten, so there are no versions to keep
  #checkov:skip=CKV_GCP_62:it holds open source code, read by builds alone; an access log would record only them
  name                        = "${var.project_id}-${local.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  depends_on = [google_project_service.apis]
}

resource "google_storage_bucket_object" "source" {
  name   = "${local.name}-${substr(data.archive_file.source.output_sha256, 0, 16)}.zip"
  bucket = google_storage_bucket.source.name
  source = data.archive_file.source.output_path

  lifecycle {
    # The functions leave the old archive before it goes.
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:images of open source code hold no secret; a key of one's own would be one more thing to lose
  repository_id = local.name
  location      = var.region
  format        = "DOCKER"
  description   = "Images of Backstop's functions."

  # A rollback builds again from its commit; old images are of no use.
  cleanup_policies {
    id     = "keep-the-last"
    action = "KEEP"
    most_recent_versions { keep_count = 3 }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition { older_than = "2592000s" }
  }

  depends_on = [google_project_service.apis]
}

# Builds the functions' images, and can do nothing else.
resource "google_service_account" "builder" {
  account_id   = "${local.name}-builder"
  display_name = "Backstop: builds the functions' images"

  depends_on = [google_project_service.apis]
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  repository = google_artifact_registry_repository.images.repository_id
  location   = var.region
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

# Log entries have no resource smaller than the project.
resource "google_project_iam_member" "builder_logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

# Cloud Functions copies the archive to a bucket of its own that it makes at the
# first deployment: named here by its prefix, as it does not exist yet.
resource "google_project_iam_member" "builder_source" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "functions' source only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
  }
}
