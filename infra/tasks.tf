resource "google_cloud_tasks_queue" "watch" {
  name            = "${local.name}-watch"
  location        = var.region
  deletion_policy = local.deletion_policy # The name of a deleted queue stays blocked for days.

  rate_limits {
    # The most that a queue gives. Many messages share a deadline (a campaign),
    # and every second a ring waits here an SMS is later. What protects the
    # carriers is the number of instances, not this.
    max_dispatches_per_second = 500
    # What all instances of `revoke` can have in hand.
    max_concurrent_dispatches = local.concurrency * local.scaling["revoke"].max
  }

  retry_config {
    # Without limit: while a message has no outcome its timer must exist, and
    # Cloud Tasks has no dead letters (a task that gives up is gone). A message
    # that can never be handled is seen by the alert on rings.
    max_attempts       = -1
    max_retry_duration = "0s"
    # 1, 2, 4, ... 32, then every 60 s. A ring that is too early for its record
    # is repeated soon; after an outage of hours no message waits more than a
    # minute for its turn, and no provider is asked more often than that.
    min_backoff   = "1s"
    max_backoff   = "60s"
    max_doublings = 5
  }

  depends_on = [google_project_service.apis]
}

# What a timer rings as: it may call `revoke`, and nothing else.
resource "google_service_account" "watch" {
  account_id   = "${local.name}-watch"
  display_name = "Backstop: rings revoke"

  depends_on = [google_project_service.apis]
}

resource "google_service_account_iam_member" "ring_as_watch" {
  for_each = local.keepers

  service_account_id = "${local.accounts}/${google_service_account.watch.email}"
  role               = "roles/iam.serviceAccountUser"
  member             = module.function[each.key].account.member
}

resource "google_cloud_tasks_queue_iam_member" "arm" {
  for_each = local.keepers

  name     = google_cloud_tasks_queue.watch.name
  location = var.region
  role     = "roles/cloudtasks.enqueuer"
  member   = module.function[each.key].account.member
}

# A taken name is looked up before it counts as armed (rule 6). The role shows
# names and times; a task's content takes another.
resource "google_cloud_tasks_queue_iam_member" "look" {
  for_each = local.keepers

  name     = google_cloud_tasks_queue.watch.name
  location = var.region
  role     = "roles/cloudtasks.viewer"
  member   = module.function[each.key].account.member
}

# Beyond the design's table, in which `record` alone deletes tasks: a message may
# end in each of the four (in `send` when it is cancelled), and to spare a ring
# costs one operation, to let it ring for nothing the same and a call of `revoke`.
# It is no new power over messages: all four may write them.
resource "google_cloud_tasks_queue_iam_member" "disarm" {
  for_each = local.keepers

  name     = google_cloud_tasks_queue.watch.name
  location = var.region
  role     = "roles/cloudtasks.taskDeleter"
  member   = module.function[each.key].account.member
}
