# The Bigtable instance: taken as given by its name, or created. Tables are made by `make ingest`.

locals {
  # Through the resource where it is created, so that what needs the instance comes after it.
  bigtable_instance = var.bigtable_cluster == null ? var.bigtable_instance : one(google_bigtable_instance.this[*].name)
  own_cluster       = var.bigtable_cluster == null ? null : "${substr(var.bigtable_instance, 0, 27)}-c1" # 30 at most

  # The one cluster that workers write to, where that is known.
  verify_cluster = var.bigtable_cluster == null ? var.verify_cluster : local.own_cluster
  verify_profile = one(google_bigtable_app_profile.verify[*].app_profile_id)
}

resource "google_bigtable_instance" "this" {
  #checkov:skip=CKV_GCP_85:Google's own keys encrypt it; who needs keys of their own brings an instance that has them
  count               = var.bigtable_cluster == null ? 0 : 1
  name                = var.bigtable_instance
  display_name        = substr(var.bigtable_instance, 0, 30)
  deletion_protection = var.bigtable_cluster.deletion_protection

  cluster {
    cluster_id   = local.own_cluster
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

# What verifications read by, behind what servers of the same instance ask for. One cluster, since another one has rows
# later than the one that they were written to: what is verified while it is built would seem to miss.
resource "google_bigtable_app_profile" "verify" {
  count           = local.verify_cluster == null ? 0 : 1
  instance        = local.bigtable_instance
  app_profile_id  = "${var.prefix}-verify"
  description     = "Reads of verifications, at low priority"
  ignore_warnings = true # it may go although it was used a short time ago

  single_cluster_routing {
    cluster_id                 = local.verify_cluster
    allow_transactional_writes = false
  }
  standard_isolation {
    priority = "PRIORITY_LOW"
  }

  lifecycle {
    precondition {
      condition     = coalesce(var.verify_cluster, local.verify_cluster) == local.verify_cluster
      error_message = "verify_cluster names a cluster of an instance that exists; of the one that bigtable_cluster creates it is known: ${local.verify_cluster}. Take verify_cluster away."
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
