"""What a dataset's configuration comes to: grid, ids, ranges of root ids, the order of messages."""
