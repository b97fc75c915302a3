"""Dispatch: how many tasks of each Cloud Run Job work on what waits; the decision, and one round of it."""
