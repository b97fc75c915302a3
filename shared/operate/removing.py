"""The one place that removes rows of a table: those that a repair has shown and somebody has agreed to.

Invariants: rows are named one by one, by exact keys; nothing is removed for lying in a range.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.run.ports import Table

BATCH = 10_000
"""Rows that are removed at once."""


def remove(table: Table, keys: Sequence[bytes]) -> None:
    """Removes these rows."""
    for start in range(0, len(keys), BATCH):
        table.delete_rows(keys[start : start + BATCH])
