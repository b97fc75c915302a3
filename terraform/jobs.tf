# A Cloud Run Job a layer. An execution's number of tasks comes from dispatch; here is what each task gets.

resource "google_cloud_run_v2_job" "layer" {
  for_each            = local.layers
  name                = "${var.prefix}-l${each.key}"
  location            = var.region
  deletion_protection = false # a job has no state: what it works on is in the queue

  template {
    task_count = 1
    template {
      service_account       = trimprefix(local.workers[each.key], "serviceAccount:")
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      timeout               = "${local.sizes[each.key].timeout_seconds}s"
      max_retries           = local.sizes[each.key].max_retries

      containers {
        image = local.image
        # One worker process for each CPU is what a task does by itself.
        args = concat(
          ["--layers", each.key],
          local.processes[each.key] == local.cpu[each.key] ? [] : ["--processes", tostring(local.processes[each.key])],
        )
        resources {
          limits = {
            cpu    = tostring(local.sizes[each.key].cpu)
            memory = "${ceil(1024 * local.sizes[each.key].memory_gib)}Mi"
          }
        }
        dynamic "env" {
          for_each = {
            INGEST_PROJECT  = var.project
            INGEST_INSTANCE = local.bigtable_instance
            INGEST_DATABASE = google_firestore_database.progress.name
            INGEST_SCRATCH  = local.scratch
            INGEST_PREFIX   = var.prefix
          }
          content {
            name  = env.key
            value = env.value
          }
        }
      }

      # All traffic, as otherwise only that to private addresses would take this way.
      dynamic "vpc_access" {
        for_each = google_compute_subnetwork.this
        content {
          egress = "ALL_TRAFFIC"
          network_interfaces {
            network    = google_compute_network.this[0].id
            subnetwork = vpc_access.value.id
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition = (
        local.sizes[each.key].memory_gib >= local.memory_by_cpu[tostring(local.sizes[each.key].cpu)].least
        && local.sizes[each.key].memory_gib <= local.memory_by_cpu[tostring(local.sizes[each.key].cpu)].most
      )
      error_message = "Layer ${each.key}: Cloud Run has no machine of ${local.sizes[each.key].cpu} CPUs with ${local.sizes[each.key].memory_gib} GiB. By CPUs, in GiB: ${join(", ", [for cpu, memory in local.memory_by_cpu : "${cpu}: ${memory.least} to ${memory.most}"])}. Change by_layer[\"${each.key}\"]."
    }
  }
  depends_on = [google_project_service.api]
}

# Start tasks, a number of them that is said at each start; and see which executions there are.
resource "google_cloud_run_v2_job_iam_member" "dispatch_runs" {
  for_each = local.layers
  location = google_cloud_run_v2_job.layer[each.key].location
  name     = google_cloud_run_v2_job.layer[each.key].name
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = local.dispatch
}

resource "google_cloud_run_v2_job_iam_member" "dispatch_looks" {
  for_each = local.layers
  location = google_cloud_run_v2_job.layer[each.key].location
  name     = google_cloud_run_v2_job.layer[each.key].name
  role     = "roles/run.viewer"
  member   = local.dispatch
}
