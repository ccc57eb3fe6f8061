# What an apply leaves behind, and what later ones change. The provider is a
# mock: it makes up what only a cloud could tell.

mock_provider "google" {
  mock_data "google_project" {
    defaults = { number = "123456789012" }
  }

  mock_resource "google_service_account" {
    defaults = {
      email  = "some@my-backstop.iam.gserviceaccount.com"
      member = "serviceAccount:some@my-backstop.iam.gserviceaccount.com"
    }
  }

  mock_resource "google_pubsub_topic" {
    defaults = { id = "projects/my-backstop/topics/some" }
  }

  mock_resource "google_monitoring_dashboard" {
    defaults = { id = "projects/1/dashboards/some" }
  }
}

run "first" {
  assert {
    condition     = output.dashboard == "https://console.cloud.google.com/monitoring/dashboards/custom/some?project=my-backstop"
    error_message = "The operator is told where to look."
  }
}

run "again" {
  command = plan
}

run "another_setting" {
  command = plan

  variables {
    bandwidth = { account = "9900001", application = "11111111-2222-4333-8444-555555555555", client = "another-client" }
  }
}

run "another_secret" {
  command = plan

  variables {
    secret_versions = { RBM_CLIENT_TOKENS = 2 }
  }
}

run "another_subscriber" {
  command = plan

  variables {
    subscribers = { crm = { push_endpoint = "https://crm.example.com/backstop" } }
  }
}

run "all_options_on" {
  variables {
    agents = {
      shop  = { senders = ["+15550100001", "+15550100002"] }
      bank  = { senders = ["24273"], handset_receipts = true }
      rides = { senders = ["+4930123456"] }
    }
    subscribers = { crm = { push_endpoint = "https://crm.example.com/backstop" } }
    build = {
      repository   = "projects/my-backstop/locations/us-central1/connections/github/repositories/backstop"
      state_bucket = "my-backstop-terraform"
    }
    protect = false
  }

  assert {
    condition     = keys(output.subscriber_accounts) == ["crm"] && output.smoke.agent == "bank"
    error_message = "What is new is told."
  }
}

run "all_options_off" {
  assert {
    condition     = output.subscriber_accounts == {} && length(google_cloudbuild_trigger.deploy) == 0
    error_message = "What was an option can go again."
  }
}
