"""Tables of supervoxels, as large as they are: cut into parts, sorted once, looked up by key."""
