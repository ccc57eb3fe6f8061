# An alert is worth waking somebody for, and says what to do. All of them ask in
# PromQL, as the dashboard does.

locals {
  # The log-based metrics' names in PromQL.
  promql = { for name in keys(local.metrics) : name => "logging_googleapis_com:user_${local.name}_${name}" }
  logged = "monitored_resource=\"cloud_run_revision\""

  # A first outcome; what counts for the objective is one that the app did not choose.
  first   = "${local.logged},revision=\"1\""
  counted = "${local.first},outcome=~\"DELIVERED_.*|UNCONFIRMED|FAILED\""

  services = "${local.logged},service_name=~\"${local.name}-.*\""
  ours     = "monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.name}-.*\""
  graves   = "monitored_resource=\"pubsub_subscription\",subscription_id=~\"${local.name}-.*-dead-letter\""

  alerts = {
    dead_letters = {
      title    = "An event was given up"
      severity = "CRITICAL"
      wait     = "0s"
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{${local.graves}}) > 0"
      advice   = "A subscriber refused an event twenty times, and it now waits in $${metric_or_resource.label.subscription_id}. Look at the subscriber's log for the refusals, mend the cause, then replay the dead letters: the operators' page says how. An event of ours waits for 31 days."
    }
    backlog = {
      title    = "Events are waiting"
      severity = "ERROR"
      wait     = "300s"
      query    = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.ours},subscription_id!~\".*-dead-letter\"}) > 300"
      advice   = "The oldest event of $${metric_or_resource.label.subscription_id} has not been taken for five minutes, so receipts are known late. Look at the errors and the number of instances of that function; if it is at its maximum, raise `scaling`."
    }
    rings_late = {
      title    = "Timers ring late"
      severity = "CRITICAL"
      wait     = "300s"
      query    = "histogram_quantile(0.99, sum by (le) (rate(${local.promql.ring_lateness}_bucket{${local.logged}}[10m]))) > 60"
      advice   = "Messages pass their deadline unseen, and their SMS is late. See whether the queue is paused, whether `revoke` fails or is at its maximum of instances, and whether Cloud Tasks has an incident. Nothing is lost: the timers ring until they are heard."
    }
    sms_late = {
      title    = "SMS leave late"
      severity = "ERROR"
      wait     = "300s"
      # A CONFIRMED message waits for a grace period after its deadline; this is beyond it.
      query  = "histogram_quantile(0.95, sum by (le) (rate(${local.promql.sms_lateness}_bucket{${local.logged}}[10m]))) > 120"
      advice = "If timers ring late as well, begin there. Else look at `fallback`: its errors, its backlog, and whether Bandwidth throttles (429) or is down."
    }
    pending = {
      title    = "A message has no outcome"
      severity = "ERROR"
      wait     = "0s"
      # Every wait of a message ends within hours of its deadline: the longest, for an SMS receipt, after 2 h 15 min.
      query  = "histogram_quantile(1, sum by (le) (increase(${local.promql.pending}_bucket{${local.logged}}[30m]))) > 14400"
      advice = "A message is four hours past its deadline and still has no outcome. Find it in the log of `revoke` (message \"ring\", the largest overdueSeconds), then its \"step\" lines by messageId: they say what it waits for."
    }
    refused = {
      title    = "A webhook is not believed"
      severity = "WARNING"
      wait     = "0s"
      query    = "sum(increase(${local.promql.webhook_refused}{${local.logged}}[10m])) > 20 or sum(increase(${local.promql.sms_webhook_refused}{${local.logged}}[10m])) > 20"
      advice   = "Either somebody is knocking, which does no harm, or a secret was changed on one side only, which loses receipts once the carrier stops repeating. If accepted events fell at the same time, it is the secret: see rotation on the operators' page."
    }
    doubles = {
      title    = "Messages arrive twice"
      severity = "WARNING"
      wait     = "0s"
      query    = "sum(increase(${local.promql.outcomes}{${local.logged},outcome=\"DELIVERED_BOTH\",policy=\"STRICT\"}[1h])) > 0 or sum(increase(${local.promql.outcomes}{${local.logged},outcome=\"DELIVERED_BOTH\",policy=\"CONFIRMED\"}[1h])) / sum(increase(${local.promql.outcomes}{${local.first},policy=\"CONFIRMED\"}[1h])) > 0.02"
      advice   = "RBM said that messages were withdrawn which then arrived. If this goes on, the agents live under the older contract for DELETE: set rbm.delete_contract to legacy."
    }
    errors = {
      title    = "A function fails"
      severity = "ERROR"
      wait     = "300s"
      query    = "sum by (service_name) (rate(run_googleapis_com:request_count{${local.services},response_code_class=\"5xx\"}[5m])) / sum by (service_name) (rate(run_googleapis_com:request_count{${local.services}}[5m])) > 0.05"
      advice   = "More than one request in twenty of $${metric_or_resource.label.service_name} ends in 5xx. 503 is a platform or carrier that could not be reached (log \"unavailable\") and comes back by itself; 500 is a bug (log \"crash\"): roll back if it began with a deployment."
    }
    objective = {
      title    = "Too few messages arrive in time"
      severity = "CRITICAL"
      wait     = "0s"
      # Six times the allowed share of misses, in the long and in the short window:
      # at that pace a month's allowance is gone in five days.
      query = join(" and ", [
        for window in ["6h", "30m"] :
        "1 - (sum(increase(${local.promql.reached_in_time}{${local.logged}}[${window}])) or vector(0)) / sum(increase(${local.promql.outcomes}{${local.counted}}[${window}])) > ${format("%.2f", 6 * (1 - local.objective))}"
      ])
      advice = "Messages end unconfirmed or failed, or their SMS comes late. The dashboard's outcomes say which: FAILED points to the SMS provider, UNCONFIRMED to missing receipts, lateness to timers or backlog."
    }
  }
}

resource "google_monitoring_notification_channel" "emails" {
  for_each = var.alert_emails

  display_name = "Backstop: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_alert_policy" "all" {
  for_each = local.alerts

  display_name          = "Backstop: ${each.value.title}"
  combiner              = "OR"
  severity              = each.value.severity
  notification_channels = values(google_monitoring_notification_channel.emails)[*].name

  conditions {
    display_name = each.value.title

    condition_prometheus_query_language {
      query               = each.value.query
      duration            = each.value.wait
      evaluation_interval = "60s"
      # A metric exists only once its first line was written.
      disable_metric_validation = true
    }
  }

  documentation {
    subject = "Backstop: ${each.value.title}"
    content = each.value.advice
  }

  depends_on = [google_logging_metric.all]
}

# The objective: of the messages whose end the app did not choose, 95 in 100
# reach their phone within their deadline and a minute. What the phone being off
# costs is in it, so it is no 99.9.
locals {
  objective = 0.95
}

resource "google_monitoring_custom_service" "backstop" {
  service_id   = local.name
  display_name = "Backstop"

  depends_on = [google_project_service.apis]
}

resource "google_monitoring_slo" "reached_in_time" {
  service             = google_monitoring_custom_service.backstop.service_id
  slo_id              = "reached-in-time"
  display_name        = "Reached within the deadline and 60 s"
  goal                = local.objective
  rolling_period_days = 28

  request_based_sli {
    good_total_ratio {
      good_service_filter  = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.all["reached_in_time"].name}\" resource.type=\"cloud_run_revision\""
      total_service_filter = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.all["outcomes"].name}\" resource.type=\"cloud_run_revision\" metric.label.revision=\"1\" metric.label.outcome=monitoring.regex.full_match(\"DELIVERED_.*|UNCONFIRMED|FAILED\")"
    }
  }
}
