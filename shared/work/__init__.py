"""What a worker does with a message: attempts, the steps of the work, outcomes, failures."""
