"""Measurements, not tests: `make bench` runs them, and nothing in the test suite depends on a time."""
