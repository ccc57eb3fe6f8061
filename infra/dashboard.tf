locals {
  # Charts in reading order, three in a row: a title, a unit, and queries by what
  # they show ("by" a label: one line for each of its values).
  charts = [
    {
      title = "Outcomes"
      unit  = "1/s"
      lines = { "by outcome" = "sum by (outcome) (rate(${local.promql.outcomes}{${local.first}}[$${__interval}]))" }
    },
    {
      title = "Fallback share"
      unit  = "10^2.%"
      lines = { "fell back to SMS" = "sum(increase(${local.promql.outcomes}{${local.first},fellBack=\"true\"}[1h])) / sum(increase(${local.promql.outcomes}{${local.first}}[1h]))" }
    },
    {
      title = "Reached within deadline + 60 s"
      unit  = "10^2.%"
      lines = { "in time" = "sum(increase(${local.promql.reached_in_time}{${local.logged}}[1h])) / sum(increase(${local.promql.outcomes}{${local.counted}}[1h]))" }
    },
    {
      title = "Time to reach"
      unit  = "s"
      lines = { for q in ["0.5", "0.95"] : "quantile ${q}" => "histogram_quantile(${q}, sum by (le) (rate(${local.promql.time_to_reach}_bucket{${local.logged}}[10m])))" }
    },
    {
      title = "SMS request after its deadline"
      unit  = "s"
      lines = { for q in ["0.5", "0.95"] : "quantile ${q}" => "histogram_quantile(${q}, sum by (le) (rate(${local.promql.sms_lateness}_bucket{${local.logged}}[10m])))" }
    },
    {
      title = "Timer heard after its time"
      unit  = "s"
      lines = { for q in ["0.5", "0.99"] : "quantile ${q}" => "histogram_quantile(${q}, sum by (le) (rate(${local.promql.ring_lateness}_bucket{${local.logged}}[10m])))" }
    },
    {
      title = "Delivered on both channels"
      unit  = "1"
      lines = { "by policy" = "sum by (policy) (increase(${local.promql.outcomes}{${local.logged},outcome=\"DELIVERED_BOTH\"}[1h]))" }
    },
    {
      title = "Unconfirmed"
      unit  = "1"
      lines = { "by policy" = "sum by (policy) (increase(${local.promql.outcomes}{${local.logged},outcome=\"UNCONFIRMED\"}[1h]))" }
    },
    {
      title = "Oldest pending, past its deadline"
      unit  = "s"
      lines = { "oldest" = "histogram_quantile(1, sum by (le) (increase(${local.promql.pending}_bucket{${local.logged}}[30m])))" }
    },
    {
      title = "Calls that were not verified"
      unit  = "1"
      lines = {
        "RBM"       = "sum(increase(${local.promql.webhook_refused}{${local.logged}}[10m]))"
        "Bandwidth" = "sum(increase(${local.promql.sms_webhook_refused}{${local.logged}}[10m]))"
      }
    },
    {
      title = "Dead letters"
      unit  = "1"
      lines = { "by subscription_id" = "max by (subscription_id) (pubsub_googleapis_com:subscription_num_undelivered_messages{${local.graves}})" }
    },
    {
      title = "Oldest event not taken"
      unit  = "s"
      lines = { "by subscription_id" = "max by (subscription_id) (pubsub_googleapis_com:subscription_oldest_unacked_message_age{${local.ours}})" }
    },
    {
      title = "Timers in the queue"
      unit  = "1"
      lines = { "queue depth" = "max(cloudtasks_googleapis_com:queue_depth{monitored_resource=\"cloud_tasks_queue\",queue_id=\"${google_cloud_tasks_queue.watch.name}\"})" }
    },
    {
      title = "Messages accepted"
      unit  = "1/s"
      lines = { "by policy" = "sum by (policy) (rate(${local.promql.accepted}{${local.logged}}[$${__interval}]))" }
    },
    {
      title = "Requests"
      unit  = "1/s"
      lines = { "by service_name" = "sum by (service_name) (rate(run_googleapis_com:request_count{${local.services}}[$${__interval}]))" }
    },
    {
      title = "Errors (5xx)"
      unit  = "1/s"
      lines = { "by service_name" = "sum by (service_name) (rate(run_googleapis_com:request_count{${local.services},response_code_class=\"5xx\"}[$${__interval}]))" }
    },
    {
      title = "Latency, quantile 0.95"
      unit  = "ms"
      lines = { "by service_name" = "histogram_quantile(0.95, sum by (service_name, le) (rate(run_googleapis_com:request_latencies_bucket{${local.services}}[10m])))" }
    },
    {
      title = "Instances"
      unit  = "1"
      lines = { "by service_name" = "sum by (service_name) (run_googleapis_com:container_instance_count{${local.services}})" }
    },
  ]
}

resource "google_monitoring_dashboard" "backstop" {
  dashboard_json = jsonencode({
    displayName = "Backstop"
    mosaicLayout = {
      columns = 48
      tiles = [
        for number, chart in local.charts : {
          xPos   = number % 3 * 16
          yPos   = floor(number / 3) * 14
          width  = 16
          height = 14
          widget = {
            title = chart.title
            xyChart = {
              dataSets = [
                for legend, query in chart.lines : merge(
                  { plotType = "LINE", timeSeriesQuery = { prometheusQuery = query, unitOverride = chart.unit } },
                  startswith(legend, "by ") ? {} : { legendTemplate = legend },
                )
              ]
            }
          }
        }
      ]
    }
  })

  depends_on = [google_logging_metric.all]
}
