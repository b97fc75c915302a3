# Metrics of what the logs say: the events of shared/run/events.py and their fields, by layer. The names are
# those that PromQL asks for, so without hyphens. A change of an event's name must be made here too.

locals {
  metric   = replace(var.prefix, "-", "_")
  job_logs = "resource.type=\"cloud_run_job\" AND resource.labels.job_name=~\"^${var.prefix}-l[0-9]+$\""
  counted = {
    chunks_done    = { event = "chunk.done", what = "Chunks built" }
    chunks_retried = { event = "chunk.retried", what = "Attempts that failed and were counted" }
    chunks_memory  = { event = "chunk.out_of_memory", what = "Attempts that met the memory limit" }
    chunks_failed  = { event = "chunk.failed", what = "Chunks that went to the dead letters" }
  }
  measured = {
    chunk_seconds = { field = "seconds", unit = "s", scale = 0.01, growth = 1.5, what = "Seconds that a chunk took" }
    chunk_memory  = { field = "peak_mb", unit = "MiBy", scale = 16, growth = 1.25, what = "MiB that a worker held at most while it built a chunk" }
  }
}

resource "google_logging_metric" "count" {
  for_each         = local.counted
  name             = "${local.metric}_${each.key}"
  description      = "${each.value.what}, by layer"
  filter           = "${local.job_logs} AND jsonPayload.message=\"${each.value.event}\""
  label_extractors = { layer = "EXTRACT(jsonPayload.layer)" }
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
    labels {
      key        = "layer"
      value_type = "STRING"
    }
  }
  depends_on = [time_sleep.apis]
}

resource "google_logging_metric" "measure" {
  for_each         = local.measured
  name             = "${local.metric}_${each.key}"
  description      = "${each.value.what}, by layer"
  filter           = "${local.job_logs} AND jsonPayload.message=\"chunk.done\" AND jsonPayload.${each.value.field}:*"
  value_extractor  = "EXTRACT(jsonPayload.${each.value.field})"
  label_extractors = { layer = "EXTRACT(jsonPayload.layer)" }
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = each.value.unit
    labels {
      key        = "layer"
      value_type = "STRING"
    }
  }
  bucket_options {
    exponential_buckets {
      num_finite_buckets = 40
      growth_factor      = each.value.growth
      scale              = each.value.scale
    }
  }
  depends_on = [time_sleep.apis]
}

# What Pub/Sub itself gave up is known to the function alone; of a worker's own dead letters it learns nothing new.
resource "google_logging_metric" "letters" {
  name        = "${local.metric}_letters"
  description = "Dead letters that told something new"
  filter = join(" AND ", [
    "resource.type=\"cloud_run_revision\"",
    "resource.labels.service_name=\"${google_cloudfunctions2_function.dead_letter.name}\"",
    "(jsonPayload.message=\"dead_letter.kept\" OR jsonPayload.message=\"dead_letter.orphan\")",
  ])
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
  depends_on = [time_sleep.apis]
}

# The scheduler's own log has every call that failed, also those that never reached the function.
resource "google_logging_metric" "dispatch_failed" {
  name        = "${local.metric}_dispatch_failed"
  description = "Calls of dispatch that failed"
  filter = join(" AND ", [
    "resource.type=\"cloud_scheduler_job\"",
    "resource.labels.job_id=\"${google_cloud_scheduler_job.dispatch.name}\"",
    "severity>=ERROR",
  ])
  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
  depends_on = [time_sleep.apis]
}
