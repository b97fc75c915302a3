"""What is done with one message, from the build to the parents that it made ready.

    build -> files -> rows (-> verdict) -> hand-off -> completion -> publish the ready -> (the worker acks)

Files are what a run from raw output or a segmentation writes beside its table. They come before the rows: where
they cannot be written no row is paid for, and none is read by a server that lacks them. A cut has files and a
hand-off alone.

Invariants (the laws of the design): each step may be done again with the same result, and a step is
done only after the one before is stored. So a crash anywhere leaves a message that, delivered
again, completes what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared.errors import Denied, OfOneRun, StateError
from shared.plan.grid import Chunk
from shared.run.control import Control
from shared.run.facts import Facts
from shared.run.ports import Completion, Queue, Table
from shared.run.queued import queue_cuts
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.table.columns import CROSS_EDGES
from shared.work.sources import Sources

NOBODY = Facts()


@dataclass(frozen=True)
class OpenRun:
    """A run with its connections, and what an operator wanted of it when it was opened."""

    record: RunRecord
    sources: Sources
    table: Table
    completion: Completion
    control: Control = field(default_factory=Control)


@dataclass(frozen=True)
class Done:
    """What one chunk came to: rows written, bytes of its hand-off and verdict, seconds, and the parents queued."""

    rows: int
    handoff_bytes: int
    seconds: float
    queued: tuple[Chunk, ...]


def _nothing() -> None:
    """No check between steps."""


def _as_they_are(facts: Facts) -> Facts:
    """Nothing is measured."""
    return facts


def work_on(
    run: OpenRun,
    chunk: Chunk,
    queue: Queue,
    clock: Callable[[], float],
    check: Callable[[], None] = _nothing,
    facts: Facts = NOBODY,
    measure: Callable[[Facts], Facts] = _as_they_are,
) -> Done:
    """Builds `chunk`, stores what came of it and queues the parents that are ready now.

    Raises what the build and the ports raise; nothing needs undoing then. `check` is called between
    the steps, and raises to give the chunk up. `facts` has who works on it, and `measure` adds what it took.
    """
    start = clock()
    record, made = run.record, run.sources.make(run.record, chunk)
    check()
    for file in made.files:
        file.put()
        check()
    rows = 0
    if made.cells is not None:
        rows = _written(run, cells_to_write(record, made.cells))
        check()
    made = replace(made, cells=None, files=())  # what follows may take as much memory as they did
    handed = len(made.handoff)
    if record.verified and run.sources.verifying is not None and chunk.layer >= 2:
        handed += run.sources.verifying.verify_built(chunk)
        check()
    if chunk == record.plan.top:
        # Its dependencies are done, so every chunk's files are there.
        run.sources.written.note(record, complete=True)
    run.sources.scratch.put(run.record.handoff_name(chunk), made.handoff)
    check()
    seconds = clock() - start
    facts = replace(
        facts,
        seconds=round(seconds, 4),
        rows=rows,
        handoff_bytes=handed,
        supervoxels=made.supervoxels,
        nodes=made.nodes,
        ended_ms=int(time.time() * 1000),
    )
    queued = complete(run, chunk, queue, seconds, facts=measure(facts))
    return Done(rows, handed, seconds, queued)


def _written(run: OpenRun, cells: list[Cells]) -> int:
    """Writes the rows; a table that is gone, or refuses, is this run's matter alone."""
    try:
        return run.table.write(cells, run.record.timestamp_ms)
    except (StateError, Denied) as error:
        raise OfOneRun(f"the table of graph {run.record.graph}: {error}") from error


def cells_to_write(record: RunRecord, cells: list[Cells]) -> list[Cells]:
    """All cells of a chunk; those of family 4 alone in an upgrade, as the others are there."""
    if not record.upgrade:
        return cells
    return [part for part in cells if part.column.family == CROSS_EDGES.name]


def complete(
    run: OpenRun, chunk: Chunk, queue: Queue, seconds: float, known: bool = False, facts: Facts | None = None
) -> tuple[Chunk, ...]:
    """Notes the completion of `chunk` with everyone who waits for it, and queues those now ready.

    A chunk found ready is queued even if it was before: a duplicate is harmless, a lost one is not.
    With `known` (the completion was noted before, as after a resume) only a chunk whose publish was
    never noted is queued: otherwise each duplicate would bring up to four in the next layer.
    """
    plan = run.record.plan
    queued = []
    for number, waiting in enumerate(plan.dependents(chunk)):
        bits = plan.bits(waiting)
        is_child = number == 0
        ready = run.completion.complete(
            waiting, bits[chunk], len(bits), is_child, seconds, facts if is_child else None
        )
        queued_here = run.record.auto_queue_parents or waiting.layer == 1
        if not ready or waiting == plan.end or not queued_here:
            continue
        if not (known and run.completion.published(waiting)):
            if waiting.layer == 1:
                # Layer 1 waits for its tables as a whole.
                queue_cuts(run.record, run.sources.scratch, queue, time.time())
            else:
                queue.publish(waiting.layer, [run.record.message(waiting)])
            run.completion.note_published(waiting)
            queued.append(waiting)
    return tuple(queued)
