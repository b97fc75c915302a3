# Progress: a database of its own, with an index for the three fields that are asked for and for no other.
# `make resume` can rebuild it from the hand-offs, but that takes its time, so deletion_protection covers it too.

resource "google_firestore_database" "progress" {
  name                    = var.database
  location_id             = var.region
  type                    = "FIRESTORE_NATIVE"
  concurrency_mode        = "OPTIMISTIC"
  delete_protection_state = var.deletion_protection ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy         = "DELETE"
  depends_on              = [time_sleep.apis]
}

# What is asked of a database right after it was made is refused with 403.
resource "time_sleep" "database" {
  create_duration = "60s"
  triggers        = { database = google_firestore_database.progress.id }
}

locals {
  # The layer above the lowest is the first that waits; one above the root notes that the root is done.
  waiting     = [for layer in range(var.lowest_layer + 1, var.layers + 2) : "layer${layer}"]
  collections = toset(concat(local.waiting, ["failures", "at_work", "orphans", "active", "slots"]))
  asked = merge([for collection in local.waiting : {
    for field in ["children", "seconds", "published"] : "${collection}.${field}" => { collection = collection, field = field }
  }]...)
}

# Each index of a field is one more write of each document, and one of growing values is a hot range of keys.
resource "google_firestore_field" "exempt" {
  for_each   = local.collections
  database   = google_firestore_database.progress.name
  collection = each.key
  field      = "*"
  index_config {}
  depends_on = [time_sleep.database]
}

# sum(children), sum(seconds) and count(published == true), each over one collection.
resource "google_firestore_field" "asked" {
  for_each   = local.asked
  database   = google_firestore_database.progress.name
  collection = each.value.collection
  field      = each.value.field
  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
  }
  # Both are changes of one collection, and the service takes them one after the other.
  depends_on = [google_firestore_field.exempt]
}

# ---- who may: the role is of the project, the condition makes it one of this database ----

locals {
  only_database = {
    title      = "only-${var.database}"
    expression = "resource.name == \"projects/${var.project}/databases/${var.database}\""
  }
}

resource "google_project_iam_member" "worker_progress" {
  for_each = local.layers
  project  = var.project
  role     = "roles/datastore.user"
  member   = local.workers[each.key]
  condition {
    title      = local.only_database.title
    expression = local.only_database.expression
  }
}

resource "google_project_iam_member" "dead_letter_progress" {
  project = var.project
  role    = "roles/datastore.user"
  member  = local.dead_letter
  condition {
    title      = local.only_database.title
    expression = local.only_database.expression
  }
}

resource "google_project_iam_member" "dispatch_progress" {
  project = var.project
  role    = "roles/datastore.user"
  member  = local.dispatch
  condition {
    title      = local.only_database.title
    expression = local.only_database.expression
  }
}
