"""Everything that runs on this machine alone: emulators, worker processes, watching them."""
