# What comes next, and what others need to know of this.

output "next_steps" {
  description = "The commands that follow, to be typed in the repository."
  value       = <<-EOT
    make image PROJECT=${var.project} REGION=${var.region}    # again after each change of the code
    make ingest DATASET=… PROJECT=${var.project} INSTANCE=${local.bigtable_instance}${local.said}
    make status GRAPH=… PROJECT=${var.project} INSTANCE=${local.bigtable_instance}${local.said}
    dashboard: https://console.cloud.google.com/monitoring/dashboards/builder/${basename(google_monitoring_dashboard.this.id)}?project=${var.project}
  EOT
}

locals {
  # What the commands take for granted need not be typed.
  said = join("", concat(
    var.prefix == "chunkedgraph-ingest" ? [] : [" PREFIX=${var.prefix}"],
    var.database == "chunkedgraph-ingest" ? [] : [" DATABASE=${var.database}"],
  ))
}

output "environment" {
  description = "The variables with which the commands find this installation."
  value       = local.environment
}

output "region" {
  description = "Where jobs and functions run."
  value       = var.region
}

output "image" {
  description = "The image that the jobs run; `make image` builds and pushes it."
  value       = var.image
}

output "build_account" {
  description = "The service account that Cloud Build builds as."
  value       = trimprefix(local.build, "serviceAccount:")
}

output "build_source" {
  description = "Where Cloud Build may read what it is to build."
  value       = "gs://${google_storage_bucket.source.name}/image"
}

output "dispatch" {
  description = "The URL of dispatch, and the scheduler's job that calls it."
  value       = { url = google_cloudfunctions2_function.dispatch.service_config[0].uri, scheduler = google_cloud_scheduler_job.dispatch.id }
}

output "fleets" {
  description = "Each layer's machine and numbers of tasks, as in fleets.json."
  value       = local.fleets
}

output "writers" {
  description = "Who must be able to write objects of those output_buckets that are foreign_buckets (roles/storage.objectUser); their owners grant it."
  value       = length(setintersection(var.output_buckets, var.foreign_buckets)) == 0 ? [] : [for layer in local.writers : local.workers[layer]]
}

output "readers" {
  description = "Who must be able to read the objects of foreign_buckets (roles/storage.objectViewer); their owners grant it."
  value       = length(var.foreign_buckets) == 0 ? [] : [for layer in local.readers : local.workers[layer]]
}
