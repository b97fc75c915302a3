# The Bigtable instance: taken as given by its name, or created. Tables are made by `make ingest`.

locals {
  # Through the resource where it is created, so that what needs the instance comes after it.
  bigtable_instance = var.bigtable_cluster == null ? var.bigtable_instance : one(google_bigtable_instance.this[*].name)
}

resource "google_bigtable_instance" "this" {
  #checkov:skip=CKV_GCP_85:Google's own keys encrypt it; who needs keys of their own brings an instance that has them
  count               = var.bigtable_cluster == null ? 0 : 1
  name                = var.bigtable_instance
  display_name        = substr(var.bigtable_instance, 0, 30)
  deletion_protection = var.bigtable_cluster.deletion_protection

  cluster {
    cluster_id   = "${substr(var.bigtable_instance, 0, 27)}-c1" # 30 at most, as the name above
    zone         = var.bigtable_cluster.zone
    storage_type = var.bigtable_cluster.storage
    autoscaling_config {
      min_nodes  = var.bigtable_cluster.min_nodes
      max_nodes  = coalesce(var.bigtable_cluster.max_nodes, 10 * var.bigtable_cluster.min_nodes)
      cpu_target = var.bigtable_cluster.cpu_target
    }
  }
  depends_on = [time_sleep.apis]
}

# The tables are not there yet, so the grant is one of the instance, with a condition that names them.
resource "google_bigtable_instance_iam_member" "worker_tables" {
  for_each = local.graph_layers
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
  depends_on = [time_sleep.apis]
}
