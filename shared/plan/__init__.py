"""What a dataset's configuration comes to: grid, ids, ranges of root ids, messages, size of the work."""
