"""Checking a finished table against the rules of the format, without trusting the code that built it."""
