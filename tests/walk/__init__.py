"""README's walk through the cloud, run as it stands: gcloud and terraform are small programs that check their part."""
