"""The ports of the pipeline answered in memory: for machines without emulators, and for tests."""
