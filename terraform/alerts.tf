# Alerts, and whom they reach. Metrics of logs are asked for in PromQL without validation: Monitoring knows them
# some minutes after they were made, and a first apply would fail. A policy that asks in PromQL may have one
# condition only, so what may happen in several ways is one query whose parts are joined by `or`.

locals {
  # Sums over all layers, so without labels, and one incident whatever part of a query holds; a metric without a
  # point yet is an empty answer, which no comparison holds for.
  of_user = "logging_googleapis_com:user_${local.metric}"
  waiting_all = join("", [
    "sum(min_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages",
    "{monitored_resource=\"pubsub_subscription\",subscription_id=~\"${var.prefix}-l[0-9]+\"}[${var.no_progress_minutes}m])) > 0",
  ])
  done_any = join("", [
    "sum(increase(${local.of_user}_chunks_done",
    "{monitored_resource=\"cloud_run_job\"}[${var.no_progress_minutes}m])) > 0",
  ])

  # Letters that wait; and, as a command that looks at the failures takes the letters out of the subscription,
  # what workers and the function logged of them.
  dead_any = join(" or ", [
    "sum(max_over_time(pubsub_googleapis_com:subscription_num_undelivered_messages{monitored_resource=\"pubsub_subscription\",subscription_id=\"${google_pubsub_subscription.dead.name}\"}[5m])) > 0",
    "sum(increase(${local.of_user}_chunks_failed{monitored_resource=\"cloud_run_job\"}[10m])) > 0",
    "sum(increase(${local.of_user}_letters{monitored_resource=\"cloud_run_revision\"}[10m])) > 0",
  ])

  # The scheduler's calls that failed; and, as calls by others such as `make ingest` are in no log of the
  # scheduler, the function's answers that are errors.
  dispatch_few = join(" or ", [
    "sum(increase(${local.of_user}_dispatch_failed{monitored_resource=\"cloud_scheduler_job\"}[10m])) >= 3",
    "sum(increase(run_googleapis_com:request_count{monitored_resource=\"cloud_run_revision\",service_name=\"${google_cloudfunctions2_function.dispatch.name}\",response_code_class=\"5xx\"}[10m])) >= 3",
  ])

  channels = concat(
    [for address in sort(var.alert_emails) : google_monitoring_notification_channel.email[address].name],
    sort(var.alert_channels),
  )
}

resource "google_monitoring_notification_channel" "email" {
  for_each     = var.alert_emails
  display_name = "${var.prefix}: ${each.key}"
  type         = "email"
  labels       = { email_address = each.key }
  depends_on   = [time_sleep.apis]
}

resource "google_monitoring_alert_policy" "dead_letters" {
  display_name          = "${var.prefix}: dead letters"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "Letters wait, or a worker or the function gave up a chunk"
    condition_prometheus_query_language {
      query                     = local.dead_any
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Chunks could not be built. `make failed PROJECT=${var.project}` says which and why, `make replay PROJECT=${var.project}` queues them again. What waits for them cannot be finished before."
  }
  depends_on = [google_logging_metric.count, google_logging_metric.letters]
}

resource "google_monitoring_alert_policy" "no_progress" {
  display_name          = "${var.prefix}: no progress for ${var.no_progress_minutes} minutes"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "Messages wait, and no chunk was finished"
    condition_prometheus_query_language {
      query                     = "${local.waiting_all} unless on() ${local.done_any}"
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Messages wait in the queue, and no chunk was finished for ${var.no_progress_minutes} minutes. `make status PROJECT=${var.project}` says whether the run is paused; the logs of the jobs `${var.prefix}-l…` and of the function `${var.prefix}-dispatch` say what holds it up."
  }
  depends_on = [google_logging_metric.count, google_pubsub_subscription.layer]
}

resource "google_monitoring_alert_policy" "dispatch" {
  display_name          = "${var.prefix}: dispatch fails"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = local.channels

  conditions {
    display_name = "Calls of the scheduler fail, or answers are errors"
    condition_prometheus_query_language {
      query                     = local.dispatch_few
      duration                  = "0s"
      evaluation_interval       = "60s"
      disable_metric_validation = true
    }
  }
  documentation {
    mime_type = "text/markdown"
    content   = "Dispatch could not be called, or failed, three times in ten minutes: no tasks are started for chunks that wait. See the logs of the function `${var.prefix}-dispatch`. Tasks that run go on."
  }
  depends_on = [google_logging_metric.dispatch_failed]
}
