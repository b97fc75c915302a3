"""How each kind of file holds rows: how many, what it can be cut in, and which rows some units have."""
