"""Building one chunk: arrays in, cells and a hand-off out; no input or output, no clock, no chance."""
