# metrics.json names the log lines and fields of the code that are counted: it
# is data, because a test compares it with the code's own catalogue.
#
#   log     the line's message: one JSON line per decision
#   labels  its fields that become labels
#   where   conditions on further fields
#   value   the field, in seconds, whose distribution is kept; without it, lines are counted

locals {
  metrics = jsondecode(file("${path.module}/metrics.json"))
}

resource "google_logging_metric" "all" {
  for_each = local.metrics

  name        = "${local.name}/${each.key}"
  description = each.value.about
  filter = join("\n", concat(
    [
      "resource.type=\"cloud_run_revision\"",
      "resource.labels.service_name=~\"^${local.name}-\"",
      "jsonPayload.message=\"${each.value.log}\"",
    ],
    [for field, condition in lookup(each.value, "where", {}) : "jsonPayload.${field}${condition}"],
  ))
  label_extractors = { for label in each.value.labels : label => "EXTRACT(jsonPayload.${label})" }
  value_extractor  = can(each.value.value) ? "EXTRACT(jsonPayload.${each.value.value})" : null

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = can(each.value.value) ? "DISTRIBUTION" : "INT64"
    unit        = can(each.value.value) ? "s" : "1"

    dynamic "labels" {
      for_each = toset(each.value.labels)

      content { key = labels.key }
    }
  }

  dynamic "bucket_options" {
    for_each = can(each.value.value) ? [1] : []

    content {
      # From a quarter of a second to three days, each bucket half as wide again.
      exponential_buckets {
        scale              = 0.25
        growth_factor      = 1.5
        num_finite_buckets = 35
      }
    }
  }

  depends_on = [google_project_service.apis]
}

# The app's API is RBM's, and so its paths hold phone numbers and ids. Cloud Run
# logs every request with its URL: of `send`, none is kept.
resource "google_logging_project_exclusion" "requests_of_send" {
  name        = "${local.name}-requests-of-send"
  description = "The URLs of send hold phone numbers."
  filter = join("\n", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${local.name}-send\"",
    "log_id(\"run.googleapis.com/requests\")",
  ])

  depends_on = [google_project_service.apis]
}
