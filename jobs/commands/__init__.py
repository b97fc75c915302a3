"""The commands, one file a topic: each parses, calls shared.operate and prints."""
