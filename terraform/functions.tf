# The two functions, from the bundles that `python -m functions.bundle` writes.

locals {
  functions = toset(["dead_letter", "dispatch"])
}

data "archive_file" "function" {
  for_each    = local.functions
  type        = "zip"
  source_dir  = "${path.module}/${var.functions_source}/${each.key}"
  output_path = "${path.module}/../build/functions/${each.key}.zip"
}

# The name has the content's hash: other content is another object, which is what makes a function be deployed.
resource "google_storage_bucket_object" "function" {
  for_each = local.functions
  bucket   = google_storage_bucket.source.name
  name     = "functions/${each.key}-${data.archive_file.function[each.key].output_md5}.zip"
  source   = data.archive_file.function[each.key].output_path
}

resource "google_cloudfunctions2_function" "dead_letter" {
  name        = "${var.prefix}-dead-letter"
  location    = var.region
  description = "Makes failure records of dead letters"

  build_config {
    runtime           = "python311"
    entry_point       = "dead_letter"
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = "projects/${var.project}/serviceAccounts/${trimprefix(local.build, "serviceAccount:")}"
    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.function["dead_letter"].name
      }
    }
  }
  service_config {
    service_account_email = trimprefix(local.dead_letter, "serviceAccount:")
    ingress_settings      = "ALLOW_INTERNAL_ONLY" # Pub/Sub of the same project counts as internal
    available_cpu         = "1"
    available_memory      = "512Mi"
    timeout_seconds       = 60
    max_instance_count    = 10 # a flood of letters waits in Pub/Sub
    environment_variables = {
      INGEST_PROJECT  = var.project
      INGEST_DATABASE = google_firestore_database.progress.name
      INGEST_SCRATCH  = local.scratch
    }
  }
  depends_on = [time_sleep.build_grants]
}

resource "google_cloudfunctions2_function" "dispatch" {
  name        = "${var.prefix}-dispatch"
  location    = var.region
  description = "Starts tasks where chunks wait"

  build_config {
    runtime           = "python311"
    entry_point       = "dispatch"
    docker_repository = google_artifact_registry_repository.images.id
    service_account   = "projects/${var.project}/serviceAccounts/${trimprefix(local.build, "serviceAccount:")}"
    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.function["dispatch"].name
      }
    }
  }
  service_config {
    service_account_email            = trimprefix(local.dispatch, "serviceAccount:")
    ingress_settings                 = "ALLOW_INTERNAL_ONLY" # Cloud Scheduler of the same project counts as internal
    available_cpu                    = "1"
    available_memory                 = "512Mi"
    timeout_seconds                  = 120
    max_instance_count               = 1
    max_instance_request_concurrency = 1 # one decision after the other
    environment_variables = {
      INGEST_PROJECT  = var.project
      INGEST_DATABASE = google_firestore_database.progress.name
      INGEST_SCRATCH  = local.scratch
    }
  }
  depends_on = [time_sleep.build_grants]
}

# Whoever calls a function of the second generation calls the Cloud Run service of its name.
resource "google_cloud_run_v2_service_iam_member" "push_dead_letter" {
  location = google_cloudfunctions2_function.dead_letter.location
  name     = google_cloudfunctions2_function.dead_letter.name
  role     = "roles/run.invoker"
  member   = local.push
}

resource "google_cloud_run_v2_service_iam_member" "scheduler_dispatch" {
  location = google_cloudfunctions2_function.dispatch.location
  name     = google_cloudfunctions2_function.dispatch.name
  role     = "roles/run.invoker"
  member   = local.scheduler
}
