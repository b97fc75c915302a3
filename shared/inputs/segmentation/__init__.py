"""A segmentation as input: chunks are cut out of it, and edges and components are made from their cuts."""
