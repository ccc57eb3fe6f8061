# Later deployments, by Cloud Build. The build changes functions, queues, topics,
# indexes and dashboards. Grants on the project, on accounts and on secrets are a
# person's to apply: a build that may hand out rights has all of them. It may
# look at everything that it plans with.

locals {
  deploying = var.build == null ? {} : { deployer = var.build }

  smoke = { for name, account in google_service_account.deployer : name => account.member }

  deployer_roles = var.build == null ? [] : [
    "roles/artifactregistry.reader",
    "roles/browser",
    "roles/cloudbuild.builds.viewer",
    "roles/cloudfunctions.developer",
    "roles/cloudtasks.queueAdmin",
    "roles/datastore.indexAdmin",
    "roles/iam.securityReviewer",
    "roles/iam.serviceAccountViewer",
    "roles/logging.configWriter",
    "roles/logging.logWriter",
    "roles/monitoring.editor",
    "roles/pubsub.editor",
    "roles/secretmanager.viewer",
    "roles/serviceusage.serviceUsageViewer",
  ]

  # A function is deployed by who may act as what it runs as and is built by; a
  # push subscription, by who may act as what it pushes as.
  acted_as = var.build == null ? {} : merge(
    { for name in local.names : name => module.function[name].account.email },
    { for name in keys(local.subscriptions) : "push-${name}" => google_service_account.push[name].email },
    { builder = google_service_account.builder.email },
  )
}

resource "google_service_account" "deployer" {
  for_each = local.deploying

  account_id   = "${local.name}-deployer"
  display_name = "Backstop: deploys from Cloud Build"

  depends_on = [google_project_service.apis]
}

resource "google_project_iam_member" "deployer" {
  for_each = toset(local.deployer_roles)

  project = var.project_id
  role    = each.key
  member  = google_service_account.deployer["deployer"].member
}

resource "google_service_account_iam_member" "deployer_acts_as" {
  for_each = local.acted_as

  service_account_id = "${local.accounts}/${each.value}"
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.deployer["deployer"].member
}

# The smoke check calls `send` as an app does, with an ID token of its own.
resource "google_service_account_iam_member" "deployer_id_token" {
  for_each = local.deploying

  service_account_id = "${local.accounts}/${google_service_account.deployer[each.key].email}"
  role               = "roles/iam.serviceAccountOpenIdTokenCreator"
  member             = google_service_account.deployer[each.key].member
}

# And it shakes hands with the webhook as RBM does.
resource "google_secret_manager_secret_iam_member" "deployer_handshake" {
  for_each = local.deploying

  secret_id = google_secret_manager_secret.all["RBM_CLIENT_TOKENS"].secret_id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.deployer[each.key].member
}

resource "google_storage_bucket_iam_member" "deployer_source" {
  for_each = var.build == null ? [] : toset(["roles/storage.objectAdmin", "roles/storage.legacyBucketReader"])

  bucket = google_storage_bucket.source.name
  role   = each.key
  member = google_service_account.deployer["deployer"].member
}

resource "google_storage_bucket_iam_member" "deployer_state" {
  for_each = local.deploying

  bucket = each.value.state_bucket
  role   = "roles/storage.objectAdmin"
  member = google_service_account.deployer[each.key].member
}

resource "google_cloudbuild_trigger" "deploy" {
  for_each = local.deploying

  name            = "${local.name}-deploy"
  description     = "Checks, plans, applies and tries Backstop."
  location        = var.region
  filename        = "cloudbuild.yaml"
  service_account = google_service_account.deployer[each.key].id

  repository_event_config {
    repository = each.value.repository
    push { branch = "^${each.value.branch}$" }
  }

  approval_config { approval_required = each.value.approval }

  substitutions = {
    _STATE_BUCKET = each.value.state_bucket
    _TESTER       = each.value.tester
  }

  depends_on = [google_project_service.apis]
}
