"""The commands, one file a topic; `jobs.cli` puts them together."""
