# Dispatch, each minute. A call that fails is not repeated: the next minute's does the same.

# The first calls would be refused, and three that are raise an alert: so what the call and the function need has
# the time to be seen.
resource "time_sleep" "dispatch_grants" {
  create_duration = "180s"
  triggers = {
    caller   = local.scheduler
    function = google_cloudfunctions2_function.dispatch.id
  }
  depends_on = [
    google_cloud_run_v2_service_iam_member.scheduler_dispatch,
    google_cloud_run_v2_job_iam_member.dispatch_runs,
    google_cloud_run_v2_job_iam_member.dispatch_looks,
    google_project_iam_member.dispatch_progress,
    google_storage_bucket_iam_member.dispatch_scratch,
  ]
}

resource "google_cloud_scheduler_job" "dispatch" {
  name             = "${var.prefix}-dispatch"
  region           = var.region
  description      = "Has dispatch start tasks where chunks wait"
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "120s"
  retry_config {
    retry_count = 0
  }
  http_target {
    http_method = "POST"
    uri         = google_cloudfunctions2_function.dispatch.service_config[0].uri
    oidc_token {
      service_account_email = trimprefix(local.scheduler, "serviceAccount:")
      audience              = google_cloudfunctions2_function.dispatch.service_config[0].uri
    }
  }
  depends_on = [time_sleep.dispatch_grants]
}
