# The Bigtable instance: taken as given by its name, or created. Tables are made by `make ingest`.

locals {
  # The empty name is refused below, with a sentence of what to give.
  given_instance    = var.bigtable_instance == null ? "" : var.bigtable_instance
  bigtable_instance = var.bigtable_cluster == null ? local.given_instance : one(google_bigtable_instance.this[*].name)
}

resource "google_bigtable_instance" "this" {
  #checkov:skip=CKV_GCP_85:Google's own keys encrypt it; who needs keys of their own brings an instance that has them
  count               = var.bigtable_cluster == null ? 0 : 1
  name                = coalesce(var.bigtable_instance, var.prefix)
  display_name        = coalesce(var.bigtable_instance, var.prefix)
  deletion_protection = var.bigtable_cluster.deletion_protection

  cluster {
    cluster_id   = "${coalesce(var.bigtable_instance, var.prefix)}-c1"
    zone         = var.bigtable_cluster.zone
    storage_type = var.bigtable_cluster.storage
    autoscaling_config {
      min_nodes  = var.bigtable_cluster.min_nodes
      max_nodes  = var.bigtable_cluster.max_nodes
      cpu_target = var.bigtable_cluster.cpu_target
    }
  }
  depends_on = [google_project_service.api]
}

# The tables are not there yet, so the grant is one of the instance, with a condition that names them.
resource "google_bigtable_instance_iam_member" "worker_tables" {
  for_each = local.layers
  instance = local.bigtable_instance
  role     = "roles/bigtable.user"
  member   = local.workers[each.key]
  condition {
    title = "only-the-named-tables"
    expression = join(" || ", [
      for table in sort(var.tables) :
      "resource.name == \"projects/${var.project}/instances/${local.bigtable_instance}/tables/${table}\""
    ])
  }

  lifecycle {
    precondition {
      condition     = var.bigtable_cluster != null || var.bigtable_instance != null
      error_message = "Which Bigtable instance? Name one that exists as bigtable_instance, or describe one to create as bigtable_cluster."
    }
  }
  depends_on = [google_project_service.api]
}
