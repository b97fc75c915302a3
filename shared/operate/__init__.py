"""What an operator does with a run: begin, resume, pause, replay, discard, look, clear up."""
