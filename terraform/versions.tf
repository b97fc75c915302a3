# Which Terraform and providers this is written for, and how the providers are set up.

terraform {
  required_version = ">= 1.6"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = "~> 6.50" # everything that is provisioned
    }
    archive = {
      source  = "hashicorp/archive"
      version = "~> 2.7" # function sources as zip files
    }
    time = {
      source  = "hashicorp/time"
      version = "~> 0.13" # pauses, where Google needs a while to see what was done
    }
  }
}

provider "google" {
  project        = var.project
  region         = var.region
  default_labels = { app = var.prefix }
}

# The budget API takes a person's credentials only together with a project that is charged for the call.
provider "google" {
  alias                 = "billing"
  project               = var.project
  billing_project       = var.project
  user_project_override = true
}
