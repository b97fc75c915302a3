"""The state of a chunk, by what was read: the records of who waits for it, its own, failures, and what workers say.

Invariants: pure; what was not read is said to be unknown, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from shared.operate.status import LayerStatus
from shared.plan.grid import Chunk, parent
from shared.plan.plan import Plan
from shared.run.facts import AtWork, Facts, Seen
from shared.run.ports import Failure, State


class Look(StrEnum):
    """The state of a chunk as a person sees it."""

    UNKNOWN = "not looked at"
    WAITING = "waiting"
    """Something that it waits for is not done."""
    OPEN = "not begun"
    """It waits for others or is queued: the records that tell are not read for so many chunks."""
    QUEUED = "queued"
    BUILDING = "being built"
    DONE = "done"
    FAILED = "failed"
    """It is in the dead letters."""
    DISCARDED = "discarded"


@dataclass(frozen=True)
class Around:
    """What was read about one chunk. `above`: the record of its parent, in which its end is noted; `own`: its own
    record, in which the ends of those that it waits for are; None where it was not read, an empty one where there
    is none. `layer` is None before the run was looked at."""

    above: Seen | None = None
    own: Seen | None = None
    failure: Failure | None = None
    at_work: AtWork | None = None
    layer: LayerStatus | None = None
    tables_done: bool = True


def number_above(plan: Plan, chunk: Chunk) -> tuple[Chunk, int]:
    """The record in which the end of a chunk is noted with what it took, that of its parent or what stands for it,
    and the chunk's number there: the first of `plan.dependents`, whose children come first in `plan.bits`."""
    if chunk == plan.top:
        return plan.end, 0
    if chunk.layer == 0:
        return plan.chunk_at(1, 0), chunk.x
    above = parent(chunk)
    return above, plan.grid.children(above).index(chunk)


def state_of(plan: Plan, chunk: Chunk, around: Around) -> Look:
    """The state of a chunk."""
    layer, failure = around.layer, around.failure
    _, bit = number_above(plan, chunk)
    if around.above is not None and around.above.done >> bit & 1:
        return Look.DONE
    if layer is not None and layer.done >= layer.total:
        return Look.DONE
    if failure is not None and failure.dead:
        return Look.DISCARDED if failure.state is State.DISCARDED else Look.FAILED
    if around.above is None and not (layer is not None and layer.done == 0):
        return Look.UNKNOWN
    if around.at_work is not None:
        return Look.BUILDING
    return _not_done(plan, chunk, around)


def _not_done(plan: Plan, chunk: Chunk, around: Around) -> Look:
    """Whether it waits, or is queued."""
    if chunk.layer <= plan.fed:
        return Look.QUEUED if around.tables_done or chunk.layer == 0 else Look.WAITING
    if around.own is not None:
        # Whoever was made ready is queued a moment later, where parents are.
        return Look.QUEUED if around.own.published else Look.WAITING
    layer = around.layer
    if layer is not None and not layer.queued:
        return Look.WAITING
    if layer is not None and layer.done + layer.queued + layer.failed + layer.discarded >= layer.total:
        return Look.QUEUED
    return Look.OPEN


def facts_of(plan: Plan, chunk: Chunk, above: Seen | None) -> Facts | None:
    """What a worker noted of a chunk, if it did."""
    _, bit = number_above(plan, chunk)
    return None if above is None else above.facts.get(bit)
