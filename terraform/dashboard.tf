# The dashboard: what waits, what is done, what went wrong, what runs, and what it takes, by layer.

locals {
  queues   = "resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=monitoring.regex.full_match(\"${var.prefix}-l[0-9]+\")"
  jobs     = "resource.type=\"cloud_run_job\" AND resource.label.job_name=monitoring.regex.full_match(\"${var.prefix}-l[0-9]+\")"
  clusters = "resource.type=\"bigtable_cluster\" AND resource.label.instance=\"${local.bigtable_instance}\""
  by_layer = ["metric.label.layer"]
  by_queue = ["resource.label.subscription_id"]
  by_job   = ["resource.label.job_name"]

  # title, unit, and one line a series: what is asked for, how points are made of it, and by what it is grouped.
  charts = [
    { title = "Chunks that wait, by layer", unit = "messages", lines = [
      { filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND ${local.queues}", align = "ALIGN_MEAN", reduce = "REDUCE_SUM", by = local.by_queue, legend = "$${resource.labels.subscription_id}" },
    ] },
    { title = "Oldest message, by layer", unit = "seconds", lines = [
      { filter = "metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND ${local.queues}", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = local.by_queue, legend = "$${resource.labels.subscription_id}" },
    ] },
    { title = "Chunks done a second, by layer", unit = "chunks/s", lines = [
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunks_done\" AND ${local.jobs}", align = "ALIGN_RATE", reduce = "REDUCE_SUM", by = local.by_layer, legend = "layer $${metric.labels.layer}" },
    ] },
    { title = "Tasks running, by layer", unit = "tasks", lines = [
      { filter = "metric.type=\"run.googleapis.com/job/running_task_attempts\" AND ${local.jobs}", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = local.by_job, legend = "$${resource.labels.job_name}" },
    ] },
    { title = "Dead letters, and attempts that failed", unit = "", lines = [
      { filter = "metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.type=\"pubsub_subscription\" AND resource.label.subscription_id=\"${google_pubsub_subscription.dead.name}\"", align = "ALIGN_MAX", reduce = "REDUCE_SUM", by = [], legend = "letters that wait" },
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunks_failed\" AND ${local.jobs}", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = local.by_layer, legend = "given up, layer $${metric.labels.layer}" },
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunks_retried\" AND ${local.jobs}", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = local.by_layer, legend = "failed and tried again, layer $${metric.labels.layer}" },
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunks_memory\" AND ${local.jobs}", align = "ALIGN_DELTA", reduce = "REDUCE_SUM", by = local.by_layer, legend = "out of memory, layer $${metric.labels.layer}" },
    ] },
    { title = "Seconds a chunk, by layer (median, 99 %)", unit = "seconds", lines = [
      for percent in ["50", "99"] :
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunk_seconds\" AND ${local.jobs}", align = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_${percent}", by = local.by_layer, legend = "layer $${metric.labels.layer}, ${percent} %" }
    ] },
    { title = "Memory a worker, by layer (99 %)", unit = "MiB", lines = [
      { filter = "metric.type=\"logging.googleapis.com/user/${local.metric}_chunk_memory\" AND ${local.jobs}", align = "ALIGN_DELTA", reduce = "REDUCE_PERCENTILE_99", by = local.by_layer, legend = "layer $${metric.labels.layer}" },
    ] },
    { title = "Bigtable CPU (mean, hottest node)", unit = "", lines = [
      for name in ["cpu_load", "cpu_load_hottest_node"] :
      { filter = "metric.type=\"bigtable.googleapis.com/cluster/${name}\" AND ${local.clusters}", align = "ALIGN_MAX", reduce = "REDUCE_MAX", by = ["resource.label.cluster"], legend = "$${resource.labels.cluster} ${name}" }
    ] },
  ]
}

resource "google_monitoring_dashboard" "this" {
  dashboard_json = jsonencode({
    displayName = var.prefix
    mosaicLayout = {
      columns = 48
      tiles = [for at, chart in local.charts : {
        xPos   = 24 * (at % 2)
        yPos   = 16 * floor(at / 2)
        width  = 24
        height = 16
        widget = {
          title = chart.title
          xyChart = {
            yAxis = { label = chart.unit, scale = "LINEAR" }
            dataSets = [for line in chart.lines : {
              plotType       = "LINE"
              legendTemplate = line.legend
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = line.filter
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = line.align
                    crossSeriesReducer = line.reduce
                    groupByFields      = line.by
                  }
                }
              }
            }]
          }
        }
      }]
    }
  })
  depends_on = [google_logging_metric.count, google_logging_metric.measure]
}
