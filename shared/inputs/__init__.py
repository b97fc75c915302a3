"""Reading what an ingest starts from: edge and component files, bounds of the volume."""
