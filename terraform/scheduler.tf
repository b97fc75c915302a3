# Dispatch, each minute. A call that fails is not repeated: the next minute's does the same.

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
  depends_on = [google_cloud_run_v2_service_iam_member.scheduler_dispatch]
}
