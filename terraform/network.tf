# The network of `private`: tasks get addresses of this subnet only, and reach Google's services through it.
# There is no NAT, no router and no peering, so nothing else can be reached, and nothing reaches in.

resource "google_compute_network" "this" {
  #checkov:skip=CKV2_GCP_18:Nothing in it listens, and the rules that every network has refuse all that comes in
  count                   = var.private ? 1 : 0
  name                    = var.prefix
  auto_create_subnetworks = false
  depends_on              = [time_sleep.apis]
}

resource "google_compute_subnetwork" "this" {
  count                    = var.private ? 1 : 0
  name                     = var.prefix
  region                   = var.region
  network                  = google_compute_network.this[0].id
  ip_cidr_range            = var.subnet_range
  private_ip_google_access = true
  stack_type               = "IPV4_ONLY"

  lifecycle {
    precondition {
      condition     = pow(2, 32 - tonumber(split("/", var.subnet_range)[1])) - 4 >= 2 * sum(values(local.max_tasks))
      error_message = "${var.subnet_range} has too few addresses for ${sum(values(local.max_tasks))} tasks, which need two each; give a larger subnet_range, or a smaller fleet.max."
    }
  }
}
