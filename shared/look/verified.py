"""What the last verification of a graph found, as it was kept beside the run's record, if it was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from shared.run.ports import Folder

NAME = "verify.json"
"""Of the object in the graph's folder."""

MOST = 20
"""Violations that are told."""


@dataclass(frozen=True)
class Verified:
    """Rows by layer, what the table was compared with, how many violations there were with the first of them, and
    how many objects have 2^i to 2^(i+1) - 1 supervoxels. `current`: it is of the run in question."""

    rows: Mapping[int, int]
    compared: tuple[str, ...]
    violations: int
    first: tuple[str, ...]
    objects: tuple[int, ...]
    when: str
    current: bool


def read_verified(folder: Folder, run: str) -> Verified | None:
    """What is kept; None where nothing is, or nothing that can be understood: it decides nothing."""
    data = folder.get([NAME])[NAME]
    if data is None:
        return None
    try:
        found = json.loads(data)
        return Verified(
            rows={int(layer): int(count) for layer, count in found["rows"].items()},
            compared=tuple(map(str, found["compared"])),
            violations=int(found["violation_count"]),
            first=tuple(map(str, found["violations"][:MOST])),
            objects=tuple(map(int, found.get("objects", ()))),
            when=str(found.get("when", "")),
            current=found.get("run", run) in ("", run),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
