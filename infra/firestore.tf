# firestore.json declares what is queried: a composite index per query of the
# code, and the fields that no query asks for, which then cost no index. It is
# data, because the tests of the queries read it as well: the emulator answers
# a query that has no index, the service does not.
#
#   indexes    collection and fields in order, each [name, ASCENDING | DESCENDING]
#   unindexed  fields of a collection without any index of their own
#   ttl        the field whose time, once past, lets Firestore delete a document

locals {
  firestore = jsondecode(file("${path.module}/firestore.json"))

  unindexed = merge([
    for collection, fields in local.firestore.unindexed : {
      for field in fields : "${collection}.${field}" => {
        collection = collection
        field      = field
        ttl        = lookup(local.firestore.ttl, collection, null) == field
      }
    }
  ]...)

  # The functions that keep messages.
  keepers = toset(["send", "revoke", "fallback", "record"])
}

resource "google_firestore_database" "messages" {
  # Not "(default)": that one may be taken, or be in Datastore mode, for good.
  name                              = local.name
  location_id                       = coalesce(var.firestore_location, var.region)
  type                              = "FIRESTORE_NATIVE"
  concurrency_mode                  = "OPTIMISTIC" # Every change is a write under a condition; nobody holds a lock.
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = var.protect ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = local.deletion_policy

  depends_on = [google_project_service.apis]
}

locals {
  # For all that holds messages, timers, events or secrets.
  deletion_policy = var.protect ? "PREVENT" : "DELETE"
}

resource "google_firestore_index" "all" {
  for_each = { for index in local.firestore.indexes : join("-", concat([index.collection], index.fields[*][0])) => index }

  database   = google_firestore_database.messages.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields

    content {
      field_path = fields.value[0]
      order      = fields.value[1]
    }
  }
}

resource "google_firestore_field" "unindexed" {
  for_each = local.unindexed

  database   = google_firestore_database.messages.name
  collection = each.value.collection
  field      = each.value.field

  # Empty is an instruction: no index at all.
  index_config {}

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [1] : []

    content {}
  }
}

# The right to a database is held on the project; the condition narrows it down.
resource "google_project_iam_member" "keepers" {
  for_each = local.keepers

  project = var.project_id
  role    = "roles/datastore.user"
  member  = module.function[each.key].account.member

  condition {
    title      = "Backstop's database only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.messages.name}\""
  }
}
