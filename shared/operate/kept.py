"""What is kept of every run, also when its graph has another one by now or is gone: an object for each, to compare.

    {scratch}/_runs/{graph}.{run}.json

Why beside the graphs' folders: a graph's folder is cleared when another run of it is begun. Invariants: no graph
can have that folder's name; what is kept is for people and decides nothing; what cannot be read is left out, with
its name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from shared.estimate.spent import Expected
from shared.run.backend import Progress
from shared.run.ports import Storage
from shared.run.record import RunRecord

FOLDER = "_runs"
"""Begins as no graph's name does (shared.plan.names)."""


@dataclass(frozen=True)
class Kept:
    """One run: what it was begun as, what the plan said (`expected`, None where nobody kept it), and once it was
    looked at how far it was: `result` in a few words, and what it came to. Times are in milliseconds since 1970, 0
    for unknown; `usd` are list prices, None for unknown; supervoxels and roots are 0 until the run is done."""

    graph: str
    run: str
    table: str
    schema: int
    chunks: int
    begun_ms: int
    made_by: str
    test: bool = False
    ended_ms: int = 0
    supervoxels: int = 0
    roots: int = 0
    result: str = "begun"
    usd: float | None = None
    usd_expected: float | None = None
    expected: Expected | None = None

    @classmethod
    def begun(cls, record: RunRecord, expected: Expected | None = None) -> Kept:
        """What is known when a run is begun."""
        plan = record.plan
        return cls(
            record.graph,
            record.run,
            record.table,
            record.schema,
            sum(map(plan.total, plan.layers)),
            record.timestamp_ms,
            record.made_by,
            record.test,
            expected=expected,
        )

    @property
    def name(self) -> str:
        """The name of its object."""
        return _name(self.graph, self.run)

    @property
    def seconds(self) -> float | None:
        """How long it took; None where that is not known."""
        return (self.ended_ms - self.begun_ms) / 1000 if self.ended_ms > self.begun_ms else None

    def encode(self) -> bytes:
        """As JSON."""
        values = asdict(self) | {"expected": self.expected and self.expected.as_json()}
        return json.dumps(values, sort_keys=True).encode()

    @classmethod
    def decode(cls, data: bytes) -> Kept | None:
        """What an object's bytes say; None for what is none."""
        try:
            values = json.loads(data)
            known = {name: value for name, value in values.items() if name in _KINDS and _fits(name, value)}
            kept = cls(**known)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return None
        return replace(kept, expected=Expected.read(values.get("expected")))


def folder_of(progress: Progress) -> Storage:
    """Where all are kept."""
    return progress.storage(f"{progress.scratch.rstrip('/')}/{FOLDER}")


def keep(folder: Storage, kept: Kept) -> None:
    """Writes what is kept of a run, in place of what was."""
    folder.put(kept.name, kept.encode())


def read_kept(folder: Storage, graph: str, run: str) -> Kept | None:
    """What is kept of one run; None where there is nothing, or nothing that can be read."""
    name = _name(graph, run)
    data = folder.get([name])[name]
    return None if data is None else Kept.decode(data)


def all_kept(folder: Storage) -> tuple[list[Kept], list[str]]:
    """What is kept of all runs, the newest first, and the names of objects that cannot be read."""
    names = sorted(name for name in folder.list("") if name.endswith(".json"))
    found = {name: data and Kept.decode(data) for name, data in folder.get(names).items()}
    runs: Iterable[Kept] = (kept for kept in found.values() if kept)
    return sorted(runs, key=lambda one: (-one.begun_ms, one.name)), [name for name in names if not found[name]]


def _name(graph: str, run: str) -> str:
    return f"{graph}.{run}.json"


_KINDS: Mapping[str, Any] = {one.name: one.default for one in fields(Kept) if one.name != "expected"}


def _fits(name: str, value: Any) -> bool:
    """Whether a value may stand in a field: a text, a number, or nothing where there may be none."""
    if name in ("graph", "run", "table", "made_by", "result"):
        return isinstance(value, str)
    return type(value) in (int, float, bool) or (value is None and name.startswith("usd"))
