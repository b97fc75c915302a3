"""Starting a run, and going on with one: which chunks are queued, and in what order things are stored.

    run record -> table with meta and version -> messages

Invariants: after a crash between two of these the record is there, and `resume` does the rest.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt

from shared.operate.replay import forget
from shared.plan.grid import Chunk
from shared.plan.shuffle import shuffled
from shared.run.control import check_done_first
from shared.run.ports import Completion, Queue, State, Storage, Table
from shared.run.queued import LEAST, Queued, queue_first, read_queued, tables_done, write_queued
from shared.run.record import RECORD_NAME, RunRecord
from shared.table.cells import Cells
from shared.table.columns import families
from shared.table.splits import splits
from shared.timestamps import now

Bits = npt.NDArray[np.int64]


def start(record: RunRecord, scratch: Storage, table: Table | None, queue: Queue, start_cells: list[Cells]) -> int:
    """Stores the record, makes the table (if the run has one) and queues the lowest layer, of a large run only the
    first chunks; how many there are in all."""
    scratch.put(RECORD_NAME, record.encode())
    if table is not None:
        table.create(families(record.schema), splits(record.plan))
        table.write(start_cells, record.timestamp_ms)
    return queue_first(record, scratch, queue, record.timestamp_ms / 1000)


def shuffled_chunks(record: RunRecord, layer: int) -> Iterator[Chunk]:
    """Every chunk of a layer that the run builds, in the run's shuffled order."""
    plan = record.plan
    return (plan.chunk_at(layer, index) for index in shuffled(plan.total(layer), record.timestamp_ms))


def resume(
    record: RunRecord, scratch: Storage, completion: Completion, queue: Queue, least: int = LEAST
) -> dict[int, int]:
    """Queues what is missing, a count a layer: chunks neither done nor waiting for others.

    A chunk whose hand-off is stored is done, whatever the completion records say: they are
    completed from it first. So it serves also after the records were lost, or the messages.
    Chunks in the dead letters are tried again, but not those that were discarded. A message that
    still waits in the queue now has a double: from here on workers look first.
    """
    failures = completion.failures()
    given_up = {failure.chunk for failure in failures if failure.state is State.DISCARDED}
    check_done_first(scratch)
    queued = {}
    for layer in record.plan.layers:
        _note_stored(record, layer, scratch, completion)
        wanted = record.auto_queue_parents
        if layer == record.plan.fed:
            ready = tables_done(record, completion)
            queued[layer] = _resume_fed(record, scratch, completion, queue, given_up, least) if ready else 0
        else:
            queued[layer] = queue_ready(record, layer, completion, queue, given_up) if wanted else 0
    forget(completion, (failure for failure in failures if failure.chunk not in given_up), now())
    return queued


def _resume_fed(
    record: RunRecord,
    scratch: Storage,
    completion: Completion,
    queue: Queue,
    but: Collection[Chunk],
    least: int,
) -> int:
    """Queues what is missing of the part of the lowest layer that was queued, or else of the first part that misses
    so many chunks as a run begins with; the rest is fed (shared.operate.feeding). How many."""
    fed = record.plan.fed
    known, total = read_queued(record, scratch), record.plan.total(fed)
    stop = total if known is None else known.count
    count = 0

    def messages() -> Iterator[bytes]:
        nonlocal count, stop
        for place, chunk in _missing(record, fed, completion):
            if place >= stop:
                return
            if chunk not in but:
                count += 1
                yield record.message(chunk)
                if known is None and count == least:
                    stop = place + 1

    queue.publish(fed, messages())
    if stop < total:
        write_queued(scratch, Queued(record.run, stop, completion.progress([fed])[fed].done, time.time()))
    return count


def queue_ready(
    record: RunRecord,
    layer: int,
    completion: Completion,
    queue: Queue,
    but: Collection[Chunk] = frozenset(),
) -> int:
    """Queues the chunks of a layer that are not done and wait for nothing, `but` some; how many."""
    missing = (chunk for chunk in missing_chunks(record, layer, completion) if chunk not in but)
    if layer <= record.plan.fed:
        return queue.publish(layer, map(record.message, missing))
    count = 0
    for chunk in missing:
        count += queue.publish(layer, [record.message(chunk)])
        completion.note_published(chunk)
    return count


def missing_chunks(record: RunRecord, layer: int, completion: Completion) -> Iterator[Chunk]:
    """Chunks of a layer that are not done, though all they depend on is."""
    return (chunk for _, chunk in _missing(record, layer, completion))


def _missing(record: RunRecord, layer: int, completion: Completion) -> Iterator[tuple[int, Chunk]]:
    """The same with their places in the shuffled order."""
    ready = _load(record, layer, completion) if layer > record.plan.fed else None
    above = _load(record, layer + 1, completion)
    for place, chunk in enumerate(shuffled_chunks(record, layer)):
        full = (1 << len(record.plan.dependencies(chunk))) - 1
        if (ready is None or ready[_index(record, chunk)] == full) and not _is_noted(record, chunk, above):
            yield place, chunk


def _note_stored(record: RunRecord, layer: int, scratch: Storage, completion: Completion) -> None:
    """Completes the records from the hand-offs that are stored."""
    plan, above = record.plan, _load(record, layer + 1, completion)
    for name in scratch.list(f"{record.run}/layer{layer}/"):
        chunk = record.handoff_chunk(name)
        # A job of layer 0 may leave several objects, of which its own is stored last.
        if chunk in plan and not _is_noted(record, chunk, above):
            for number, waiting in enumerate(plan.dependents(chunk)):
                bits = plan.bits(waiting)
                completion.complete(waiting, bits[chunk], len(bits), number == 0, 0.0)


def _is_noted(record: RunRecord, chunk: Chunk, above: Bits) -> bool:
    """Whether every record that waits for `chunk` knows that it is done."""
    plan = record.plan
    known = ((int(above[_index(record, on)]), plan.bits(on)[chunk]) for on in plan.dependents(chunk))
    return all(done >> number & 1 for done, number in known)


def _load(record: RunRecord, layer: int, completion: Completion) -> Bits:
    """The done bits of every record of a layer, 8 bytes a chunk, by `_index`."""
    plan = record.plan
    bits = np.zeros(1 if layer == plan.end.layer else plan.grid.chunk_total(layer), dtype=np.int64)
    for chunk, done, _ in completion.records(layer):
        bits[_index(record, chunk)] = done
    return bits


def _index(record: RunRecord, chunk: Chunk) -> int:
    return 0 if chunk == record.plan.end else record.plan.grid.index_of(chunk)
