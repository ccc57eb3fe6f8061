variable "project_id" {
  description = "The Google Cloud project that Backstop gets for itself."
  type        = string
}

variable "region" {
  description = "Where the functions, the queue and the archive live, such as us-central1."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "region must be a region such as us-central1, not a zone."
  }
}

variable "firestore_location" {
  description = "Where the database lives: a region, or a multi-region such as nam5 at twice the price. It can never be moved. The region when left out."
  type        = string
  default     = null
}

variable "apps" {
  description = "Who may call send: IAM members such as serviceAccount:shop@my-project.iam.gserviceaccount.com."
  type        = set(string)

  validation {
    condition = alltrue([
      for app in var.apps : can(regex("^(serviceAccount|user|group|principal|principalSet):.+", app))
    ])
    error_message = "apps must be IAM members such as serviceAccount:..., user:... or group:..., and never allUsers: send is not public."
  }
}

variable "agents" {
  description = "The RBM agents by their id, each with the numbers that its SMS come from, the first by default. handset_receipts says that these are toll-free numbers or short codes, whose receipts come from the handset. opt_out_reply confirms an opt-out, help_reply answers HELP, opt_out_wording ends the SMS of a promotion whose words are derived; left out, nothing is answered, and the wording is \"Reply STOP to opt out\"."
  type = map(object({
    senders          = list(string)
    handset_receipts = optional(bool, false)
    opt_out_wording  = optional(string)
    opt_out_reply    = optional(string)
    help_reply       = optional(string)
  }))

  validation {
    condition     = length(var.agents) > 0 && alltrue([for agent in var.agents : length(agent.senders) > 0])
    error_message = "agents must name at least one agent, and each at least one sender."
  }

  validation {
    condition = alltrue([
      for sender in flatten([for agent in var.agents : agent.senders]) : can(regex("^(\\+[0-9]{7,15}|[0-9]{3,8})$", sender))
    ])
    error_message = "agents: a sender is a number like +15550100001 or a short code."
  }
}

variable "rbm" {
  description = "Where the agents are hosted (us, europe or asia), and what RBM's answer to DELETE means for them: confirming (200 is proof) or legacy (200 proves nothing)."
  type = object({
    region          = optional(string, "us")
    delete_contract = optional(string, "confirming")
  })
  default = {}

  validation {
    condition     = contains(["us", "europe", "asia"], var.rbm.region)
    error_message = "rbm.region is none of us, europe, asia."
  }

  validation {
    condition     = contains(["confirming", "legacy"], var.rbm.delete_contract)
    error_message = "rbm.delete_contract is neither confirming nor legacy."
  }
}

variable "bandwidth" {
  description = "The Bandwidth account, its messaging application, and the OAuth client that sends."
  type = object({
    account     = string
    application = string
    client      = string
  })
}

variable "secret_versions" {
  description = "Which version of each secret is in use. Add a version first, then name its number here."
  type = object({
    RBM_KEY             = optional(number, 1)
    RBM_CLIENT_TOKENS   = optional(number, 1)
    BANDWIDTH_SECRET    = optional(number, 1)
    BANDWIDTH_CALLBACKS = optional(number, 1)
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.secret_versions) : version >= 1 && floor(version) == version])
    error_message = "secret_versions are whole numbers from 1: a number says what runs, \"latest\" does not."
  }
}

variable "timing" {
  description = "How long to wait, in seconds such as \"600s\"; what is left out is as .env.example says. deadline_* apply where the app sets no expiry."
  type = object({
    deadline                 = optional(string)
    deadline_authentication  = optional(string)
    deadline_transaction     = optional(string)
    deadline_promotion       = optional(string)
    deadline_servicerequest  = optional(string)
    deadline_acknowledgement = optional(string)
    margin                   = optional(string)
    grace                    = optional(string)
    lost_answer_prompt       = optional(string)
    lost_answer              = optional(string)
    receipt_wait             = optional(string)
    menu_life                = optional(string)
    reach_positive           = optional(string)
    reach_negative           = optional(string)
  })
  default = {}

  validation {
    condition     = alltrue([for wait in values(var.timing) : wait == null || can(regex("^[0-9]+s$", wait))])
    error_message = "timing is in seconds, such as \"600s\"."
  }
}

variable "consent" {
  description = "How opt-outs count. one_consent: a choice made towards one agent binds all of them. text_resubscribes: any text after an opt-out is an opt-in."
  type = object({
    one_consent       = optional(bool, false)
    text_resubscribes = optional(bool, false)
  })
  default = {}
}

variable "reach_first" {
  description = "Whether a message goes straight to SMS where RCS is known to be impossible. A read more for each message; timing.reach_* say how long it is known."
  type        = bool
  default     = false
}

variable "scaling" {
  description = "Instances of a function, by its name (send, webhook, sms_webhook, revoke, fallback, record), where 0 to 20 does not fit. One warm instance (min = 1) spares the first caller a cold start."
  type = map(object({
    min = optional(number, 0)
    max = optional(number, 20)
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.scaling), ["send", "webhook", "sms_webhook", "revoke", "fallback", "record"])) == 0
    error_message = "scaling names a function that does not exist."
  }

  validation {
    condition     = alltrue([for s in values(var.scaling) : s.min >= 0 && s.max >= 1 && s.min <= s.max])
    error_message = "scaling: min is at least 0, max at least 1, and min no more than max."
  }
}

variable "subscribers" {
  description = "Workflows that hear Backstop's events: an HTTPS endpoint each, and which events, such as attributes.kind = \"outcome\" (all when left out). A filter cannot be changed; use a new name."
  type = map(object({
    push_endpoint = string
    filter        = optional(string, "")
  }))
  default = {}

  validation {
    condition     = alltrue([for name in keys(var.subscribers) : can(regex("^[a-z][a-z0-9-]{1,14}[a-z0-9]$", name))])
    error_message = "subscribers: a name has 3 to 16 small letters, digits and hyphens."
  }

  validation {
    condition     = alltrue([for name in keys(var.subscribers) : !contains(["fallback", "record"], name) && !endswith(name, "-dead-letter")])
    error_message = "subscribers: fallback, record and names that end in -dead-letter are Backstop's own."
  }

  validation {
    condition = alltrue([
      for s in values(var.subscribers) : startswith(s.push_endpoint, "https://") && length(s.filter) <= 256
    ])
    error_message = "subscribers: push_endpoint begins with https://, and a filter has at most 256 characters."
  }
}

variable "alert_emails" {
  description = "Who is told when an alert fires."
  type        = set(string)

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for address in var.alert_emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "alert_emails must hold at least one e-mail address: an alert that nobody hears is none."
  }
}

variable "build" {
  description = "Deploys from a repository that is connected to Cloud Build (its full name, projects/.../repositories/...): on a push to branch, after a person's approval. Nothing is built when left out."
  type = object({
    repository   = string
    state_bucket = string
    branch       = optional(string, "main")
    approval     = optional(bool, true)
    tester       = optional(string, "")
  })
  default = null

  validation {
    condition     = var.build == null ? true : can(regex("^projects/[^/]+/locations/[^/]+/connections/[^/]+/repositories/[^/]+$", var.build.repository))
    error_message = "build.repository is projects/PROJECT/locations/REGION/connections/NAME/repositories/NAME."
  }

  validation {
    condition     = var.build == null ? true : can(regex("^(\\+[0-9]{7,15})?$", var.build.tester))
    error_message = "build.tester is a number like +15550100001."
  }
}

variable "protect" {
  description = "Refuses to delete what holds messages, timers, events or secrets. Turned off only to destroy everything."
  type        = bool
  default     = true
}
