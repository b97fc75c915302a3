"""What graphs, runs and tables may be called.

Invariants: a name that matches is safe in a path, in a document id and in a table id, so nothing
that is built from names can lead outside its folder.
"""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")
"""What a graph or run may be called."""

VERIFY_SUFFIX = "-verify"
"""What the name of the run that verifies a graph's table ends in, after the graph's; no graph may be called so."""

TABLE_NAME = re.compile(r"[_a-zA-Z0-9][-_.a-zA-Z0-9]{0,49}")
"""Bigtable's rule for the id of a table."""
