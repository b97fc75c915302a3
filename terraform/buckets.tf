# Buckets: scratch with run records, hand-offs and fleets.json; source with what is built; the inputs.

resource "google_storage_bucket" "scratch" {
  #checkov:skip=CKV_GCP_62:Millions of hand-offs are read and written by these accounts alone; a log of each costs more than it tells
  #checkov:skip=CKV_GCP_78:A hand-off that is written again has the same bytes, so an older version has no use
  name                        = trimprefix(local.scratch, "gs://")
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = !var.deletion_protection

  # Hand-offs are written over by repeated builds: copies kept for a week would be most of the bill.
  soft_delete_policy {
    retention_duration_seconds = 0
  }
  # By their suffix, as records of runs and fleets.json are in the same bucket and stay.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = var.handoff_days
      matches_suffix = [".handoff"]
    }
  }
  depends_on = [time_sleep.apis]
}

# Read by dispatch each minute and by `make ingest`, so that whoever changes a size changes it in one place.
resource "google_storage_bucket_object" "fleets" {
  bucket        = google_storage_bucket.scratch.name
  name          = "fleets.json"
  content       = jsonencode({ fleets = local.fleets })
  content_type  = "application/json"
  cache_control = "no-cache"
}

resource "google_storage_bucket_iam_member" "worker_scratch" {
  for_each = local.layers
  bucket   = google_storage_bucket.scratch.name
  role     = "roles/storage.objectUser"
  member   = local.workers[each.key]
}

resource "google_storage_bucket_iam_member" "dead_letter_scratch" {
  bucket = google_storage_bucket.scratch.name
  role   = "roles/storage.objectViewer"
  member = local.dead_letter
}

resource "google_storage_bucket_iam_member" "dispatch_scratch" {
  bucket = google_storage_bucket.scratch.name
  role   = "roles/storage.objectViewer"
  member = local.dispatch
}

# Files and raw output are read by layer 2, a segmentation's volumes by layer 1 and its tables by layer 0: all others
# read hand-offs.
resource "google_storage_bucket_iam_member" "worker_input" {
  for_each = {
    for pair in setproduct(setsubtract(var.input_buckets, var.foreign_buckets), toset(local.readers)) :
    "${pair[0]} ${pair[1]}" => { bucket = pair[0], layer = pair[1] }
  }
  bucket = each.value.bucket
  role   = "roles/storage.objectViewer"
  member = local.workers[each.value.layer]
}

# Processed files are written by layer 2, each chunk's by its own job, and the volume of supervoxels by layer 1; that all
# are there is noted by the root's.
resource "google_storage_bucket_iam_member" "worker_output" {
  for_each = {
    for pair in setproduct(setsubtract(var.output_buckets, var.foreign_buckets), toset(local.writers)) :
    "${pair[0]} ${pair[1]}" => { bucket = pair[0], layer = pair[1] }
  }
  bucket = each.value.bucket
  role   = "roles/storage.objectUser"
  member = local.workers[each.value.layer]
}

resource "google_storage_bucket" "source" {
  #checkov:skip=CKV_GCP_62:It has copies of what the repository has, read by builds, whose own logs say so
  #checkov:skip=CKV_GCP_78:Objects have the hash of their content in their name; none is ever written over
  name                        = "${var.project}-${var.prefix}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = true # it has nothing that is not in the repository
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["image/"] # what `make image` uploads; a function's zip stays as long as it is deployed
    }
  }
  depends_on = [time_sleep.apis]
}

resource "google_storage_bucket_iam_member" "build_source" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = local.build
}
