"""One run: messages, the record of it, ports to the outside, completion, and the worker's one function."""
