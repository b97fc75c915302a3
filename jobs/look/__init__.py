"""What is looked at in a browser: servers of pages on this machine's loopback.

Invariants: tornado is imported in jobs/look/loopback.py alone, as it is there only once a command that shows
something was made ready (requirements-look.txt); nothing here is imported by workers.
"""
