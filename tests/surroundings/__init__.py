"""What is around the programs: the shell that starts them, files, pipes, limits, permissions, dead services."""
