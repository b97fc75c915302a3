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
  depends_on         = [google_project_service.resource_manager]
}

# A service is refused for a while after it was switched on, and Google's own accounts of it come and are granted
# their roles meanwhile. Everything that uses one of them waits here.
resource "time_sleep" "apis" {
  create_duration = "60s"
  triggers        = { apis = join(" ", sort(local.apis)) }
  depends_on      = [google_project_service.api]
}

# Before the others, as the provider looks the project up through it after each that it switches on. And by
# itself, as the project's number is asked for through it: a change of the others must not make that unknown.
resource "google_project_service" "resource_manager" {
  service            = "cloudresourcemanager.googleapis.com"
  disable_on_destroy = false
}

data "google_project" "this" {
  project_id = var.project
  depends_on = [google_project_service.resource_manager]
}
