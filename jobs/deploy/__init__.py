"""Making an installation in the cloud: what stands around Terraform, so that no setting loses anything."""
