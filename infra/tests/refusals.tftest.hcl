# What is refused, with a sentence of ours, before anything is made.

mock_provider "google" {}

run "wrong_places_and_people" {
  command = plan

  variables {
    region          = "us-central1-a" # A zone.
    apps            = ["allUsers"]
    alert_emails    = []
    agents          = {}
    rbm             = { region = "us-central1" }
    secret_versions = { RBM_KEY = 0 }
    timing          = { grace = "90" }
    scaling         = { sender = { max = 3 } }
    subscribers     = { record = { push_endpoint = "https://crm.example.com/" } }
    build           = { repository = "https://github.com/me/backstop", state_bucket = "b" }
  }

  expect_failures = [
    var.region, var.apps, var.alert_emails, var.agents, var.rbm, var.secret_versions, var.timing, var.scaling, var.subscribers, var.build,
  ]
}

run "wrong_in_another_way" {
  command = plan

  variables {
    apps            = ["allAuthenticatedUsers"]
    alert_emails    = ["the one on call"]
    agents          = { shop = { senders = [] } }
    rbm             = { delete_contract = "newest" }
    secret_versions = { RBM_KEY = 1.5 }
    timing          = { deadline = "10m" }
    scaling         = { send = { min = 5, max = 2 } }
    subscribers     = { customer-relations-management = { push_endpoint = "https://crm.example.com/" } }
    build = {
      repository   = "projects/p/locations/us-central1/connections/github/repositories/backstop"
      state_bucket = "b"
      tester       = "me"
    }
  }

  expect_failures = [
    var.apps, var.alert_emails, var.agents, var.rbm, var.secret_versions, var.timing, var.scaling, var.subscribers, var.build,
  ]
}

run "wrong_in_a_third_way" {
  command = plan

  variables {
    agents      = { shop = { senders = ["Shop"] } }
    scaling     = { send = { max = 0 } }
    subscribers = { crm = { push_endpoint = "http://crm.example.com/" } }
  }

  expect_failures = [
    var.agents, var.scaling, var.subscribers,
  ]
}
