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
  depends_on = [google_project_service.api]
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
