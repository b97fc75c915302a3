"""Chunks of a view with their states and numbers, from what is known: pure, no read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.look.known import Known
from shared.look.records import Records
from shared.look.states import Around, Look, facts_of, number_above, state_of
from shared.operate.status import LayerStatus
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.facts import Facts

NUMBERS: Mapping[str, tuple[str, Callable[[Facts], float]]] = {
    "seconds": ("seconds", lambda facts: facts.seconds),
    "cpu": ("seconds of CPU", lambda facts: facts.cpu),
    "peak_mb": ("memory at the peak (MiB)", lambda facts: facts.peak_mb),
    "supervoxels": ("supervoxels", lambda facts: facts.supervoxels),
    "nodes": ("nodes", lambda facts: facts.nodes),
    "rows": ("rows written", lambda facts: facts.rows),
    "handoff_bytes": ("bytes of the hand-off", lambda facts: facts.handoff_bytes),
    "attempts": ("attempts", lambda facts: facts.attempt),
}
"""What a chunk may be coloured by beside its state: what it is called, and where it is from."""


@dataclass(frozen=True)
class Shown:
    """A chunk as a map has it: its state, and what a worker noted of it."""

    chunk: Chunk
    state: Look
    facts: Facts | None
    failed_attempts: int = 0

    def number(self, name: str) -> float | None:
        """What it is coloured by; None where that is not known."""
        if name == "attempts" and self.failed_attempts and self.facts is None:
            return float(self.failed_attempts)
        return None if self.facts is None else float(NUMBERS[name][1](self.facts))


def around(plan: Plan, chunk: Chunk, known: Known, records: Records) -> Around:
    """What was read about a chunk."""
    above, _ = number_above(plan, chunk)
    tables = _layer(known, 0)
    return Around(
        above=records.get(above),
        own=records.get(chunk),
        failure=known.failures.get(chunk),
        at_work=known.at_work.get(chunk),
        layer=_layer(known, chunk.layer),
        tables_done=not plan.tables or (tables is not None and tables.done >= tables.total),
    )


def shown(plan: Plan, chunks: Sequence[Chunk], known: Known, records: Records) -> list[Shown]:
    """Chunks as they are known; those outside the run are left out."""
    found = []
    for chunk in chunks:
        if chunk not in plan:
            continue
        read = around(plan, chunk, known, records)
        attempts = read.failure.attempts if read.failure else 0
        found.append(Shown(chunk, state_of(plan, chunk, read), facts_of(plan, chunk, read.above), attempts))
    return found


def undecided(plan: Plan, chunks: Sequence[Chunk], known: Known, records: Records) -> list[Chunk]:
    """Those of which only their own record tells whether they wait or are queued."""
    layers = {chunk.layer for chunk in chunks}
    if not layers or max(layers) <= plan.fed:
        return []
    wanted = []
    for chunk in chunks:
        read = around(plan, chunk, known, records)
        without = Around(read.above, None, read.failure, read.at_work, read.layer, read.tables_done)
        if state_of(plan, chunk, without) is Look.OPEN:
            wanted.append(chunk)
    return wanted


def _layer(known: Known, layer: int) -> LayerStatus | None:
    if known.status is None:
        return None
    return next((one for one in known.status.layers if one.layer == layer), None)
