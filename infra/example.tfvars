# Copy to terraform.tfvars, fill in, and commit it: there is no secret in it.
# What is commented out shows its default. variables.tf explains every one.

# --- Where

# The project that Backstop gets for itself.
project_id = "my-backstop"

# Where the functions, the queue and the archive live.
region = "us-central1"

# Where the database lives. It can never be moved.
# firestore_location = "us-central1"

# --- Who

# Who may call send.
apps = ["serviceAccount:shop@my-shop.iam.gserviceaccount.com"]

# Who is told when an alert fires.
alert_emails = ["on-call@example.com"]

# --- The carriers

# The RBM agents by their id, and the numbers that their SMS come from, the
# first by default. handset_receipts: toll-free numbers or short codes.
agents = {
  demo_agent = {
    senders = ["+15550100001"]
    # handset_receipts = false
    # opt_out_reply    = "You will get no more offers. Preferences: https://example.com/preferences"
    # help_reply       = "Example: call +1 555 0100"
    # opt_out_wording  = "Reply STOP to opt out"
  }
}

# Where the agents are hosted, and what RBM's answer to DELETE means for them.
# rbm = { region = "us", delete_contract = "confirming" }

# The Bandwidth account, its messaging application, and the OAuth client.
bandwidth = {
  account     = "9900001"
  application = "11111111-2222-4333-8444-555555555555"
  client      = "oauth-client-id"
}

# Which version of each secret is in use.
# secret_versions = { RBM_KEY = 1, RBM_CLIENT_TOKENS = 1, BANDWIDTH_SECRET = 1, BANDWIDTH_CALLBACKS = 1 }

# --- How

# How long to wait, where the defaults do not fit.
# timing = {
#   deadline                 = "600s"
#   deadline_authentication  = "60s"
#   deadline_transaction     = "600s"
#   deadline_promotion       = "86400s"
#   deadline_servicerequest  = "600s"
#   deadline_acknowledgement = "600s"
#   margin                   = "5s"
#   grace                    = "60s"
#   lost_answer_prompt       = "30s"
#   lost_answer              = "900s"
#   receipt_wait             = "8100s"
#   menu_life                = "86400s"
#   reach_positive           = "3600s"
#   reach_negative           = "86400s"
# }

# How opt-outs count.
# consent = { one_consent = false, text_resubscribes = false }

# Straight to SMS where RCS is known to be impossible, for a read per message.
# reach_first = false

# Instances of a function, where 0 to 20 does not fit.
# scaling = { webhook = { min = 1, max = 20 } }

# Workflows that hear events, each at an HTTPS endpoint.
# subscribers = {
#   crm = { push_endpoint = "https://crm.example.com/backstop", filter = "attributes.kind = \"outcome\"" }
# }

# Deploys from a repository that is connected to Cloud Build.
# build = {
#   repository   = "projects/my-backstop/locations/us-central1/connections/github/repositories/backstop"
#   state_bucket = "my-backstop-terraform"
#   branch       = "main"
#   approval     = true
#   tester       = "+15550100002"
# }

# Turned off only to destroy everything.
# protect = true
