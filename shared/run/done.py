"""Whether a chunk is done: known to everyone who waits for it."""

from __future__ import annotations

from shared.plan.grid import Chunk
from shared.run.ports import Completion
from shared.run.record import RunRecord


def is_done(record: RunRecord, completion: Completion, chunk: Chunk) -> bool:
    """Whether everyone who waits for `chunk` knows that it is done; up to four reads."""
    plan = record.plan
    return all(completion.done(on) >> plan.bits(on)[chunk] & 1 for on in plan.dependents(chunk))
