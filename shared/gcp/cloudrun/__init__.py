"""Cloud Run Jobs: what is under way, and new executions."""
