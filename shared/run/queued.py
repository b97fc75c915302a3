"""How far the lowest layer of a run is queued: kept beside its record, so that whoever feeds the queue goes on
there.

    queued.json     the run, how many chunks of the shuffled order are queued, and how many were done when

Invariants: messages are published before it is noted how many, so a crash between has some published twice, and
none lost; without the object, or with one of another run, everything counts as queued.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import islice

from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.plan.shuffle import shuffled
from shared.run.ports import Completion, Queue, Storage
from shared.run.record import RunRecord

QUEUED_NAME = "queued.json"

LEAST = 5_000
"""Chunks that are queued at first."""


@dataclass(frozen=True)
class Queued:
    """How far the lowest layer of a run is queued: `count` chunks of its order; `done` of them were at `when`
    (seconds since 1970), by which the speed of the run is known."""

    run: str
    count: int
    done: int
    when: float

    @classmethod
    def decode(cls, data: bytes, file: str) -> Queued:
        """The object in a file's bytes; DataError if it is none."""
        try:
            fields = json.loads(data)
            run, count, done = str(fields["run"]), int(fields["count"]), int(fields["done"])
            return cls(run, count, done, float(fields["when"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise DataError(file, "-", f"does not say how much is queued ({error!r}); delete it") from error


def read_queued(record: RunRecord, scratch: Storage) -> Queued | None:
    """How far the lowest layer is queued; None where all of it is."""
    data = scratch.get([QUEUED_NAME])[QUEUED_NAME]
    found = None if data is None else Queued.decode(data, f"{scratch.folder}/{QUEUED_NAME}")
    return found if found is not None and found.run == record.run else None


def write_queued(scratch: Storage, queued: Queued) -> None:
    """Notes how far the lowest layer is queued."""
    scratch.put(QUEUED_NAME, json.dumps(asdict(queued), sort_keys=True).encode())


def in_order(record: RunRecord, start: int = 0, stop: int | None = None) -> Iterator[Chunk]:
    """The chunks of the lowest layer at some places of the run's shuffled order."""
    plan = record.plan
    numbers = islice(shuffled(plan.total(plan.fed), record.timestamp_ms), start, stop)
    return (plan.chunk_at(plan.fed, number) for number in numbers)


def queue_first(record: RunRecord, scratch: Storage, queue: Queue, when: float, least: int = LEAST) -> int:
    """Queues the first chunks of the lowest layer, all of a small run, or all parts of its tables; how many there
    are in all of that layer."""
    plan = record.plan
    total, first = plan.total(plan.fed), 0 if plan.tables else least
    queue.publish(0, (record.message(plan.chunk_at(0, part)) for part in range(plan.tables)))
    queue.publish(plan.fed, map(record.message, in_order(record, 0, first)))
    if total > first:
        write_queued(scratch, Queued(record.run, first, 0, when))
    return total


def tables_done(record: RunRecord, completion: Completion) -> bool:
    """Whether layer 1 may be queued: all parts of the tables are sorted."""
    plan = record.plan
    return not plan.tables or completion.done(plan.chunk_at(1, 0)) == (1 << plan.tables) - 1


def queue_cuts(record: RunRecord, scratch: Storage, queue: Queue, when: float, least: int = LEAST) -> None:
    """Queues the first chunks of layer 1, once the tables are sorted; nothing if that was done before."""
    queued = read_queued(record, scratch)
    if queued is None or not queued.count:
        queue.publish(1, map(record.message, in_order(record, 0, least)))
        write_queued(scratch, Queued(record.run, min(least, record.plan.total(1)), 0, when))
