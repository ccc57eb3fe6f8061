# One topic, and a push subscription per subscriber. Each has its own dead
# letters, so that one which fails delays and hides nothing of the others.

locals {
  # As long as a function may take, and its push a little longer: an event that
  # is still being handled is not delivered again.
  push_timeout = 60
  ack_deadline = local.push_timeout + 10

  subscriptions = merge(
    {
      fallback = { push_endpoint = local.url["fallback"], filter = "attributes.kind = \"expiry\" OR attributes.kind = \"due\"" }
      record   = { push_endpoint = local.url["record"], filter = "attributes.kind = \"receipt\" OR attributes.kind = \"inbound\"" }
    },
    var.subscribers,
  )

  # Pub/Sub itself: moves a message to the dead letters.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_topic" "events" {
  #checkov:skip=CKV_GCP_83:Google's own encryption is enough here; a key of one's own that is lost would lose every event
  name            = "${local.name}-events"
  deletion_policy = local.deletion_policy

  # What was published in a week can be played again for a new subscriber, or
  # after a bug: `ce-id` tells a repeat.
  message_retention_duration = "604800s"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_topic_iam_member" "publish" {
  for_each = local.names

  topic  = google_pubsub_topic.events.name
  role   = "roles/pubsub.publisher"
  member = module.function[each.key].account.member
}

resource "google_pubsub_subscription" "push" {
  for_each = local.subscriptions

  name                 = "${local.name}-${each.key}"
  topic                = google_pubsub_topic.events.id
  filter               = each.value.filter
  ack_deadline_seconds = local.ack_deadline
  deletion_policy      = contains(keys(var.subscribers), each.key) ? "DELETE" : local.deletion_policy

  # As long as RBM itself repeats.
  message_retention_duration = "604800s"

  push_config {
    push_endpoint = each.value.push_endpoint

    oidc_token {
      service_account_email = google_service_account.push[each.key].email
      audience              = each.value.push_endpoint
    }
  }

  # From 1 s for a hiccup to 10 min for an outage. Twenty attempts so take about
  # two hours: longer than most outages, short enough that somebody is told on
  # the same day. An SMS that is due does not wait for it: its timer rings on.
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letter[each.key].id
    max_delivery_attempts = 20
  }

  # A month without a reply is no reason to stop listening.
  expiration_policy { ttl = "" }

  # Before it may forward and call, a first event would be refused or lost.
  depends_on = [module.function, google_pubsub_topic_iam_member.bury]
}

# What a push shows to its endpoint, one per subscriber: who may call one may
# call no other.
resource "google_service_account" "push" {
  for_each = local.subscriptions

  account_id   = "${local.name}-push-${each.key}"
  display_name = "Backstop: pushes events to ${each.key}"

  depends_on = [google_project_service.apis]
}

resource "google_pubsub_topic" "dead_letter" {
  #checkov:skip=CKV_GCP_83:as for the events themselves
  for_each = local.subscriptions

  name            = "${local.name}-${each.key}-dead-letter"
  deletion_policy = local.deletion_policy

  depends_on = [google_project_service.apis]
}

# Without it, what is forwarded would vanish.
resource "google_pubsub_subscription" "dead_letter" {
  for_each = local.subscriptions

  name                       = "${local.name}-${each.key}-dead-letter"
  topic                      = google_pubsub_topic.dead_letter[each.key].id
  ack_deadline_seconds       = 600
  message_retention_duration = "2678400s" # The longest there is: nobody loses an event over a holiday.
  deletion_policy            = local.deletion_policy

  expiration_policy { ttl = "" }
}

resource "google_pubsub_topic_iam_member" "bury" {
  for_each = local.subscriptions

  topic  = google_pubsub_topic.dead_letter[each.key].name
  role   = "roles/pubsub.publisher"
  member = local.pubsub_agent
}

resource "google_pubsub_subscription_iam_member" "bury" {
  for_each = local.subscriptions

  subscription = google_pubsub_subscription.push[each.key].name
  role         = "roles/pubsub.subscriber"
  member       = local.pubsub_agent
}
