"""README's walk through the cloud, run as it stands; gcloud and terraform are programs that check their part."""
