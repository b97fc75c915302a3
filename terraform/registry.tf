# Images: that of the jobs, and those that are built of the functions.

resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:Images have open code and no data; Google's own keys encrypt them
  repository_id = var.prefix
  location      = var.region
  format        = "DOCKER"
  description   = "Images of the jobs and functions of ${var.prefix}"

  cleanup_policies {
    id     = "keep-recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 5
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  depends_on = [time_sleep.apis]
}

resource "google_artifact_registry_repository_iam_member" "build_writes" {
  location   = google_artifact_registry_repository.images.location
  repository = google_artifact_registry_repository.images.repository_id
  role       = "roles/artifactregistry.writer"
  member     = local.build
}

resource "google_project_iam_member" "build_logs" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = local.build
}

# Grants are typically seen after two minutes, and may take seven or more. Cloud Build reads its source seconds after
# a build was asked for, and so do the builds of the functions: all builds wait here. What the image's build needs
# is what this needs, so the first phase of a deployment is this and all before it.
resource "time_sleep" "build_grants" {
  create_duration = "180s"
  triggers = {
    account = local.build
    bucket  = google_storage_bucket.source.name
    images  = google_artifact_registry_repository.images.id
  }
  depends_on = [
    google_artifact_registry_repository_iam_member.build_writes,
    google_project_iam_member.build_logs,
    google_project_iam_member.build_reads_functions,
    google_storage_bucket_iam_member.build_source,
  ]
}

# Functions are built from a copy of their source, in a bucket that Google makes on the first deployment.
resource "google_project_iam_member" "build_reads_functions" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = local.build
  condition {
    title      = "sources-of-functions"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-\")"
  }
}
