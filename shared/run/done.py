"""Whether a chunk is done: known to everyone who waits for it, and those who now can have been queued."""

from __future__ import annotations

from shared.plan.grid import Chunk
from shared.run.ports import Completion
from shared.run.record import RunRecord


def is_done(record: RunRecord, completion: Completion, chunk: Chunk) -> bool:
    """Whether everyone who waits for `chunk` knows that it is done; up to four reads."""
    plan = record.plan
    return all(completion.done(on) >> plan.bits(on)[chunk] & 1 for on in plan.dependents(chunk))


def is_finished(record: RunRecord, completion: Completion) -> bool:
    """Whether the top chunk of the run is done."""
    return completion.done(record.plan.end) == 1


def left_unqueued(record: RunRecord, completion: Completion, chunk: Chunk) -> list[Chunk]:
    """Those that wait for `chunk` and for nothing more, though neither their publish nor their end is noted.

    Empty where parents are queued by hand. One that was queued a moment ago may be among them.
    """
    plan = record.plan
    if not record.auto_queue_parents:
        return []
    full = [
        on
        for on in plan.dependents(chunk)
        if on != plan.end and completion.done(on) == (1 << len(plan.bits(on))) - 1
    ]
    return [on for on in full if not completion.published(on) and not is_done(record, completion, on)]
