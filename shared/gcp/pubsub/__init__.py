"""The queue in Pub/Sub: publishing, pulls with leases that are kept, and what waits at this moment."""
