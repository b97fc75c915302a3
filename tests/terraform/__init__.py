"""Terraform's configuration: its own tests, and what only Python can compare it with."""
