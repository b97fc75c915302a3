# One identity for each thing that acts, and how the grants of the other files name it. The addresses are
# written out rather than asked for, so that a plan shows who gets what.

resource "google_service_account" "worker" {
  for_each     = local.layers
  account_id   = "${var.prefix}-l${each.key}"
  display_name = "Workers of layer ${each.key}"
  depends_on   = [time_sleep.apis]
}

resource "google_service_account" "dead_letter" {
  account_id   = "${var.prefix}-dead"
  display_name = "Function that notes dead letters"
  depends_on   = [time_sleep.apis]
}

resource "google_service_account" "push" {
  account_id   = "${var.prefix}-push"
  display_name = "Push subscription that calls the function for dead letters"
  depends_on   = [time_sleep.apis]
}

resource "google_service_account" "dispatch" {
  account_id   = "${var.prefix}-dispatch"
  display_name = "Function that starts tasks"
  depends_on   = [time_sleep.apis]
}

resource "google_service_account" "scheduler" {
  account_id   = "${var.prefix}-scheduler"
  display_name = "Scheduler that calls dispatch"
  depends_on   = [time_sleep.apis]
}

resource "google_service_account" "build" {
  account_id   = "${var.prefix}-build"
  display_name = "Builds of the image and of the functions"
  depends_on   = [time_sleep.apis]
}

locals {
  domain = "${var.project}.iam.gserviceaccount.com"
  workers = {
    for key, account in google_service_account.worker : key => "serviceAccount:${account.account_id}@${local.domain}"
  }
  dead_letter = "serviceAccount:${google_service_account.dead_letter.account_id}@${local.domain}"
  push        = "serviceAccount:${google_service_account.push.account_id}@${local.domain}"
  dispatch    = "serviceAccount:${google_service_account.dispatch.account_id}@${local.domain}"
  scheduler   = "serviceAccount:${google_service_account.scheduler.account_id}@${local.domain}"
  build       = "serviceAccount:${google_service_account.build.account_id}@${local.domain}"

  # Google's own account of this project, in whose name Pub/Sub forwards dead letters and calls functions.
  pubsub_agent = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
