# The services that a project must have switched on. `terraform destroy` leaves them on: others may use them.

locals {
  apis = toset(concat(
    [
      "artifactregistry", "bigtable", "bigtableadmin", "cloudbuild", "cloudfunctions", "cloudscheduler",
      "firestore", "iam", "logging", "monitoring", "pubsub", "run", "storage",
    ],
    var.private ? ["compute"] : [],
    var.budget == null ? [] : ["billingbudgets"],
  ))
}

resource "google_project_service" "api" {
  for_each           = local.apis
  service            = "${each.key}.googleapis.com"
  disable_on_destroy = false
}

# By itself, as the project's number is asked for through it: a change of the others must not make that unknown.
resource "google_project_service" "resource_manager" {
  service            = "cloudresourcemanager.googleapis.com"
  disable_on_destroy = false
}

data "google_project" "this" {
  project_id = var.project
  depends_on = [google_project_service.resource_manager]
}
