# A Cloud Run Job a layer. An execution's number of tasks comes from dispatch; here is what each task gets.

locals {
  # How commands and tasks find this installation.
  environment = { for name, value in {
    INGEST_PROJECT  = var.project
    INGEST_INSTANCE = local.bigtable_instance
    # None where it is not known which cluster is written to.
    INGEST_VERIFY_PROFILE = local.verify_profile
    INGEST_DATABASE       = google_firestore_database.progress.name
    INGEST_SCRATCH        = local.scratch
    INGEST_PREFIX         = var.prefix
  } : name => value if value != null }
}

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
        image = var.image
        # A task could count the CPUs and see the memory by itself, by files of the kernel that Cloud Run promises
        # nothing of: so both are said.
        args = ["--layers", each.key, "--processes", tostring(local.processes[each.key]), "--at-once", tostring(local.at_once[each.key])]
        resources {
          limits = {
            cpu    = tostring(local.sizes[each.key].cpu)
            memory = "${local.memory_mib[each.key]}Mi"
          }
        }
        dynamic "env" {
          for_each = merge(local.environment, {
            # A worker's share; jobs/memory_limit.py has the same part of the whole.
            INGEST_MEMORY_MIB = tostring(floor(local.usable * local.memory_mib[each.key] / local.processes[each.key]))
          })
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
      condition     = var.image != null
      error_message = "Which image? `make image PROJECT=${var.project}` builds it and writes its name to image.auto.tfvars.json; or give that of another as image."
    }
    precondition {
      condition = (
        local.sizes[each.key].memory_gib >= local.memory_by_cpu[tostring(local.sizes[each.key].cpu)].least
        && local.sizes[each.key].memory_gib <= local.memory_by_cpu[tostring(local.sizes[each.key].cpu)].most
      )
      error_message = "Layer ${each.key}: Cloud Run has no machine of ${local.sizes[each.key].cpu} CPUs with ${local.sizes[each.key].memory_gib} GiB. By CPUs, in GiB: ${join(", ", [for cpu, memory in local.memory_by_cpu : "${cpu}: ${memory.least} to ${memory.most}"])}. Change by_layer[\"${each.key}\"]."
    }
  }
  depends_on = [time_sleep.apis]
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
