# What would be made, in several environments. Nothing is asked of any cloud: the
# one thing that is read is answered here, and creating needs no look at what is
# there. (Outside Google Cloud, GOOGLE_OAUTH_ACCESS_TOKEN=none spares the
# provider its search for credentials.) The tests in tests/infra read these plans
# as well.

override_data {
  target = data.google_project.this
  values = { number = "123456789012" }
}

run "the_example" {
  command = plan

  assert {
    condition     = length(module.function) == 6
    error_message = "There are six functions."
  }

  assert {
    condition     = google_cloud_tasks_queue.watch.retry_config[0].max_attempts == -1 && google_cloud_tasks_queue.watch.retry_config[0].max_retry_duration == "0s"
    error_message = "A timer rings until it is heard (rule 4)."
  }

  assert {
    condition     = alltrue([for s in google_pubsub_subscription.push : s.expiration_policy[0].ttl == ""]) && alltrue([for s in google_pubsub_subscription.dead_letter : s.expiration_policy[0].ttl == ""])
    error_message = "A subscription that hears nothing for a month is kept."
  }

  assert {
    condition     = alltrue([for s in google_pubsub_subscription.push : s.ack_deadline_seconds > local.push_timeout])
    error_message = "An event that is still being handled is not delivered again."
  }

  assert {
    condition     = alltrue([for name, s in google_pubsub_subscription.push : s.push_config[0].oidc_token[0].audience == s.push_config[0].push_endpoint])
    error_message = "A push is meant for its endpoint alone."
  }

  assert {
    condition     = google_firestore_database.messages.location_id == "us-central1" && google_firestore_database.messages.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The database lives in the region, and is protected."
  }

  assert {
    condition     = [for name, f in google_firestore_field.unindexed : name if length(f.ttl_config) > 0] == ["messages.expireAt", "reach.expireAt"]
    error_message = "Messages and what is known of phones go by their expireAt, and nothing else goes by itself."
  }

  assert {
    condition     = length(google_cloudbuild_trigger.deploy) == 0 && length(google_service_account.deployer) == 0
    error_message = "Who does not build with Cloud Build gets no account for it."
  }
}

run "everything" {
  command = plan

  variables {
    region             = "europe-west1"
    firestore_location = "eur3"
    apps               = ["serviceAccount:shop@my-shop.iam.gserviceaccount.com", "group:crm@example.com"]
    alert_emails       = ["on-call@example.com", "boss@example.com"]
    agents = {
      shop  = { senders = ["+15550100001", "+15550100002"] }
      bank  = { senders = ["24273"], handset_receipts = true }
      rides = { senders = ["+4930123456"] }
    }
    rbm             = { region = "europe", delete_contract = "legacy" }
    secret_versions = { RBM_CLIENT_TOKENS = 7 }
    timing          = { deadline = "300s", grace = "90s", reach_negative = "3600s" }
    reach_first     = true
    scaling         = { webhook = { min = 2, max = 50 }, revoke = { max = 100 } }
    subscribers = {
      crm     = { push_endpoint = "https://crm.example.com/backstop", filter = "attributes.kind = \"outcome\"" }
      archive = { push_endpoint = "https://archive.example.com/" }
    }
    build = {
      repository   = "projects/my-backstop/locations/europe-west1/connections/github/repositories/backstop"
      state_bucket = "my-backstop-terraform"
      tester       = "+15550100002"
    }
    protect = false
  }

  assert {
    condition     = google_firestore_database.messages.location_id == "eur3" && google_firestore_database.messages.delete_protection_state == "DELETE_PROTECTION_DISABLED"
    error_message = "The database lives where it was put, and may go when protection is off."
  }

  assert {
    condition     = jsondecode(local.functions.send.settings.AGENTS) == { shop = { senders = ["+15550100001", "+15550100002"], handsetReceipts = false }, bank = { senders = ["24273"], handsetReceipts = true }, rides = { senders = ["+4930123456"], handsetReceipts = false } }
    error_message = "Every agent is told, with its senders."
  }

  assert {
    condition     = local.functions.send.settings.GRACE == "90s" && local.functions.send.settings.DEADLINE == "300s" && !can(local.functions.send.settings.MARGIN)
    error_message = "What is set is told; what is not keeps the code's default."
  }

  assert {
    condition     = alltrue([for name in ["send", "record"] : local.functions[name].settings.REACH_FIRST == "true" && local.functions[name].settings.REACH_NEGATIVE == "3600s"])
    error_message = "Whoever remembers a phone is told, and whoever forgets it."
  }

  assert {
    condition     = local.functions.send.settings.RBM_DELETE_CONTRACT == "legacy" && local.functions.revoke.settings.RBM_REGION == "europe"
    error_message = "RBM's region and contract are told."
  }

  assert {
    condition     = google_cloud_tasks_queue.watch.rate_limits[0].max_concurrent_dispatches == 4000
    error_message = "The queue fills all instances of revoke."
  }

  assert {
    condition     = keys(google_pubsub_subscription.push) == ["archive", "crm", "fallback", "record"] && keys(google_pubsub_subscription.dead_letter) == keys(google_pubsub_subscription.push)
    error_message = "Each subscriber has its subscription and its dead letters."
  }

  assert {
    condition     = google_pubsub_subscription.push["crm"].filter == "attributes.kind = \"outcome\"" && google_pubsub_subscription.push["archive"].filter == ""
    error_message = "A subscriber hears what it asked for."
  }

  assert {
    condition     = google_cloudbuild_trigger.deploy["deployer"].approval_config[0].approval_required && google_cloudbuild_trigger.deploy["deployer"].substitutions._TESTER == "+15550100002"
    error_message = "A deployment waits for a person, and then tries itself."
  }

  assert {
    condition     = length(google_monitoring_notification_channel.emails) == 2
    error_message = "Everybody is told."
  }
}
