"""What a plan will take: work, memory, hours, machines, and the bill."""
