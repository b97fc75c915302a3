"""From voxels to supervoxels: the cut of one chunk of a segmentation, by numpy and the field's libraries."""
