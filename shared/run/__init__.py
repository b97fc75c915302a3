"""What a run is: its record, its messages, the ports to the outside, events, and when a chunk is done."""
