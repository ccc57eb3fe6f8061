# The six functions. This table is the design's own: who may call a function,
# what it is told, which secrets it holds. What it may use stands beside the
# thing that is used: firestore.tf, tasks.tf, pubsub.tf.

locals {
  # The very Python that the tests run on.
  runtime = "python${replace(trimspace(file("${local.root}/.python-version")), ".", "")}"

  names = toset(["send", "webhook", "sms_webhook", "revoke", "fallback", "record"])

  # Cloud Run's address of a service is known before the service is there, and so
  # `revoke` can be told its own.
  url = {
    for name in local.names :
    name => "https://${local.name}-${replace(name, "_", "-")}-${data.google_project.this.number}.${var.region}.run.app"
  }

  agents = jsonencode({
    for id, agent in var.agents : id => {
      for name, value in {
        senders         = agent.senders
        handsetReceipts = agent.handset_receipts
        optOutWording   = agent.opt_out_wording
        optOutReply     = agent.opt_out_reply
        helpReply       = agent.help_reply
      } : name => value if value != null
    }
  })

  scaling = { for name in local.names : name => lookup(var.scaling, name, { min = 0, max = 20 }) }

  # As many requests at once as the code has blocking calls at once
  # (wiring.POOL): one more would wait inside the instance, where no autoscaler
  # sees it.
  concurrency = 40

  topic = { TOPIC = google_pubsub_topic.events.id }

  # Where messages, timers and events are kept.
  place = merge(local.topic, {
    PROJECT      = var.project_id
    DATABASE     = google_firestore_database.messages.name
    QUEUE        = google_cloud_tasks_queue.watch.id
    REVOKE_URL   = local.url["revoke"]
    TASKS_CALLER = google_service_account.watch.email
  })

  consent = {
    ONE_CONSENT       = tostring(var.consent.one_consent)
    TEXT_RESUBSCRIBES = tostring(var.consent.text_resubscribes)
  }

  # What becomes of a message that this function accepts, or of an answer to a user.
  terms = merge(local.timing, local.consent, { AGENTS = local.agents, RBM_DELETE_CONTRACT = var.rbm.delete_contract, REACH_FIRST = tostring(var.reach_first) })

  timing = { for name, wait in var.timing : upper(name) => wait if wait != null }

  rbm = { RBM_REGION = var.rbm.region }

  internal = "ALLOW_INTERNAL_ONLY" # Cloud Tasks and Pub/Sub of this project count as internal.
  public   = "ALLOW_ALL"

  functions = {
    send = {
      description = "The app-facing API: accepts a message, arms its timer, sends it over RBM."
      ingress     = local.public
      invokers    = merge({ for app in var.apps : app => app }, local.smoke)
      settings    = merge(local.place, local.rbm, local.terms)
      secrets     = ["RBM_KEY"]
      timeout     = 60 # A ring waits this long for the record of a message (rule 5).
    }
    webhook = {
      description = "RBM's events and handshake: verifies, publishes, answers 200."
      ingress     = local.public
      invokers    = { everyone = "allUsers" } # RBM shows no Google identity; the signature is the proof.
      settings    = local.topic
      secrets     = ["RBM_CLIENT_TOKENS"]
      timeout     = 30
    }
    sms_webhook = {
      description = "Bandwidth's callbacks: verifies, publishes, answers 200."
      ingress     = local.public
      invokers    = { everyone = "allUsers" } # Bandwidth shows no Google identity; its credentials are the proof.
      settings    = local.topic
      secrets     = ["BANDWIDTH_CALLBACKS"]
      timeout     = 30
    }
    revoke = {
      description = "A message's timer rang: does what time asks of it."
      ingress     = local.internal
      invokers    = { watch = google_service_account.watch.member }
      settings    = merge(local.place, local.rbm)
      secrets     = ["RBM_KEY"]
      timeout     = 60 # A task's dispatch deadline.
    }
    fallback = {
      description = "An SMS may be due: decides and sends it."
      ingress     = local.internal
      invokers    = { push = google_service_account.push["fallback"].member }
      settings = merge(local.place, {
        BANDWIDTH_ACCOUNT     = var.bandwidth.account
        BANDWIDTH_APPLICATION = var.bandwidth.application
        BANDWIDTH_CLIENT      = var.bandwidth.client
      })
      secrets = ["BANDWIDTH_SECRET"]
      timeout = local.push_timeout
    }
    record = {
      description = "Folds receipts, replies and consent into the messages, publishes outcomes."
      ingress     = local.internal
      invokers    = { push = google_service_account.push["record"].member }
      settings    = merge(local.place, local.terms)
      secrets     = []
      timeout     = local.push_timeout
    }
  }
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  name        = "${local.name}-${replace(each.key, "_", "-")}"
  entry_point = each.key
  description = each.value.description
  project_id  = var.project_id
  region      = var.region
  runtime     = local.runtime
  archive     = { bucket = google_storage_bucket.source.name, object = google_storage_bucket_object.source.name }
  builder     = { account = google_service_account.builder.id, images = google_artifact_registry_repository.images.id }
  ingress     = each.value.ingress
  invokers    = each.value.invokers
  settings    = merge({ PLATFORM = "google" }, each.value.settings)
  secrets     = { for name in each.value.secrets : name => { id = google_secret_manager_secret.all[name].secret_id, version = var.secret_versions[name] } }
  timeout     = each.value.timeout
  scaling     = merge(local.scaling[each.key], { concurrency = local.concurrency })

  depends_on = [
    google_project_service.apis,
    google_artifact_registry_repository_iam_member.builder,
    google_project_iam_member.builder_logs,
    google_project_iam_member.builder_source,
  ]
}
