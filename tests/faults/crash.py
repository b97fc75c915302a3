"""Faults at chosen points of a chunk's work, put in from outside: ports around the product's own.

A script says at which point which chunk meets a fault, one entry an attempt; the action says what the
fault is: the end of the worker (`Crash`, or `os._exit` in a real process), or an exception. The
product knows nothing of it: the points are seen in what it asks of its ports.

    receive - [reads] READ [builds] - a part of the voxels PART - all voxels VOXELS
            - edge file EDGES - component file FILES - BUILT - half of the rows HALF - all rows ROWS
            - noted that all files are there COMPLETE - hand-off HANDOFF
            - first dependent ONE - publish PUBLISHED - noted NOTED - last dependent ALL - ... ACK - ack
    or, after an error, NOTED_FAILURE - dead letter BURIED - ACK - ack
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain
from pathlib import Path
from typing import Any, NoReturn, Protocol

from shared.errors import MessageError
from shared.inputs.components import Components
from shared.inputs.segmentation.cutting import Made
from shared.inputs.source import InputSource
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation
from shared.run.facts import Facts
from shared.run.made_from import NOTES
from shared.run.messages import Message
from shared.run.ports import Completion, Delivery, Failure, Queue, Storage, Table
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.work.cutter import Cutter, OutputVolume
from shared.work.steps import OpenRun
from shared.work.written import Written


class Crash(BaseException):
    """The worker is gone, at once and without a word; nothing but the harness may catch it."""


class Point(StrEnum):
    """Where in its work on a chunk a worker meets a fault."""

    READ = "after reading"
    PART = "after a part of the voxels was written"
    VOXELS = "after all voxels were written"
    EDGES = "after the edge file was written"
    FILES = "after the component file was written"
    BUILT = "after building"
    HALF = "after half of the rows"
    ROWS = "after all rows"
    COMPLETE = "after it was noted that all files are there"
    HANDOFF = "after the hand-off"
    ONE = "after the completion of one dependent"
    ALL = "after the completion of all dependents"
    PUBLISHED = "after a publish"
    NOTED = "after a publish was noted"
    ACK = "before the ack"
    NOTED_FAILURE = "after a failure was noted"
    BURIED = "after a dead letter was published"


WRITING = (Point.EDGES, Point.FILES, Point.COMPLETE)
"""The points of runs that write processed files."""

CUTTING = (Point.PART, Point.VOXELS)
"""The points of cuts."""

USUAL = [point for point in Point if point not in (Point.NOTED_FAILURE, Point.BURIED, *WRITING, *CUTTING)]
"""The points that an attempt comes to in which nothing else goes wrong."""


class Script(Protocol):
    """What is still to go wrong."""

    def take(self, chunk: Chunk, point: Point) -> bool:
        """Whether this attempt at `chunk` meets its fault at `point`; used up by asking."""


@dataclass
class Planned:
    """A script in memory: for each chunk the points at which its next attempts meet a fault."""

    points: dict[Chunk, list[Point]] = field(default_factory=dict)

    def take(self, chunk: Chunk, point: Point) -> bool:
        """Whether the chunk's next entry is this point."""
        left = self.points.get(chunk)
        if not left or left[0] is not point:
            return False
        left.pop(0)
        return True


def crash(chunk: Chunk, point: Point) -> NoReturn:
    """Ends the worker, as far as a test in one process can."""
    raise Crash(f"{chunk} {point}")


@dataclass
class Faults:
    """Puts the script's faults into the ports of workers, one chunk at a time; counts what it sees.

    `begun` has the attempts at each chunk that got as far as its inputs, `published` the messages
    for each chunk that were published while another was worked on.
    """

    script: Script
    act: Callable[[Chunk, Point], None] = crash
    chunk: Chunk | None = None
    attempt: int = 0
    completed: int = 0
    begun: Counter[Chunk] = field(default_factory=Counter)
    published: Counter[Chunk] = field(default_factory=Counter)
    met: Counter[Point] = field(default_factory=Counter)

    def queue(self, queue: Queue) -> Queue:
        """The queue of one worker, with faults."""
        return _Queue(queue, self)

    def run(self, run: OpenRun) -> OpenRun:
        """An open run with faults in all its ports."""
        self.plan = run.record.plan
        sources = replace(
            run.sources,
            inputs=_Source(run.sources.inputs, self),
            scratch=_Storage(run.sources.scratch, self),
            written=_written(run.sources.written, self),
            cutter=_cutter(run.sources.cutter, self),
        )
        table, completion = _Table(run.table, self), _Completion(run.completion, self)
        return replace(run, sources=sources, table=table, completion=completion)

    def begin(self, delivery: Delivery) -> None:
        """A delivery is handed to the worker."""
        self.completed, self.attempt = 0, delivery.attempt
        try:
            self.chunk = Message.decode(delivery.data).chunk
        except MessageError:
            self.chunk = None

    def due(self, point: Point) -> bool:
        """Whether the current chunk meets its fault at this point, which `meet` must follow then."""
        return self.chunk is not None and self.script.take(self.chunk, point)

    def meet(self, point: Point) -> None:
        """The fault itself."""
        assert self.chunk is not None
        self.met[point] += 1
        self.act(self.chunk, point)

    def reached(self, point: Point) -> None:
        """The work on the current chunk has come to a point."""
        if self.due(point):
            self.meet(point)

    def read(self) -> None:
        """The current chunk's inputs have been read, for the first time or again."""
        self.completed = 0
        if self.chunk is not None:
            self.begun[self.chunk] += 1
        self.reached(Point.READ)

    def complete(self) -> None:
        """The current chunk's completion has been noted with one more that waits for it."""
        assert self.chunk is not None
        self.completed += 1
        if self.completed == 1:
            self.reached(Point.ONE)
        if self.completed == len(self.plan.dependents(self.chunk)):
            self.reached(Point.ALL)


class _Around:
    """Whatever is not changed here goes to the port itself."""

    def __init__(self, inner: Any, faults: Faults) -> None:
        self.inner, self.faults = inner, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class _Delivery(_Around):
    inner: Delivery

    def ack(self) -> None:
        self.faults.reached(Point.ACK)
        self.inner.ack()


class _Queue(_Around):
    inner: Queue

    def receive(self, timeout: float) -> Delivery | None:
        delivery = self.inner.receive(timeout)
        if delivery is None:
            return None
        self.faults.begin(delivery)
        return _Delivery(delivery, self.faults)

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        sent = list(messages)
        count = self.inner.publish(layer, sent)
        self.faults.published.update(Message.decode(data).chunk for data in sent)
        self.faults.reached(Point.PUBLISHED)
        return count

    def publish_dead(self, data: bytes, attributes: dict[str, str]) -> None:
        self.inner.publish_dead(data, attributes)
        self.faults.reached(Point.BURIED)


class _Source(_Around):
    inner: InputSource

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        found = self.inner.components(chunk, of)
        # The last of what a layer-2 chunk reads.
        self.faults.read()
        return found


class _Cutter(_Around):
    inner: Cutter

    def cut(self, record: RunRecord, chunk: Chunk) -> Made:
        made = self.inner.cut(record, chunk)
        self.faults.read()
        return made


def _cutter(cutter: Cutter | None, faults: Faults) -> Any:
    return cutter and _Cutter(cutter, faults)


class _Storage(_Around):
    inner: Storage

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        found = self.inner.get(names)
        # All that a parent reads.
        if any("/layer" in name for name in names):
            self.faults.read()
        return found

    def put(self, name: str, data: bytes) -> None:
        self.inner.put(name, data)
        self.faults.reached(Point.HANDOFF)


class _Folder(_Around):
    """Where processed files are written to; one of two, of which the edges come first."""

    inner: Storage

    def put(self, name: str, data: bytes) -> None:
        self.inner.put(name, data)
        if name not in NOTES:
            self.faults.reached(Point.EDGES if name.startswith("edges_") else Point.FILES)
        elif self.faults.chunk is not None and self.faults.chunk == self.faults.plan.top:
            self.faults.reached(Point.COMPLETE)


class _Voxels(_Around):
    """The volume that is written to; on a disk a worker that is killed leaves the first bytes of a block."""

    inner: OutputVolume

    def write(self, chunk: Chunk, voxels: Any) -> None:
        self.inner.write(chunk, voxels)
        if self.faults.due(Point.PART):
            for path in blocks_of(self.inner.segmentation, chunk):
                os.truncate(path, path.stat().st_size // 2)
            self.faults.meet(Point.PART)
        self.faults.reached(Point.VOXELS)


def blocks_of(segmentation: Segmentation, chunk: Chunk) -> list[Path]:
    """The files of a chunk that has one block, in the volume that is written."""
    sides = zip(*segmentation.box(*chunk.coords), strict=True)
    name = "_".join(f"{low}-{high}" for low, high in sides)
    found = list(Path(segmentation.watershed.removeprefix("file://")).glob(f"*/{name}*"))
    assert found
    return found


def _written(written: Written, faults: Faults) -> Written:
    edges, components, watershed = written.edges, written.components, written.watershed
    return Written(
        edges and _Folder(edges, faults),
        components and _Folder(components, faults),
        watershed and _Voxels(watershed, faults),
    )


class _Table(_Around):
    inner: Table

    def write(self, cells: Sequence[Cells], timestamp_ms: int) -> int:
        self.faults.reached(Point.BUILT)
        if self.faults.due(Point.HALF):
            keys = sorted(set(chain.from_iterable(part.keys for part in cells)))
            half = set(keys[: len(keys) // 2])
            self.inner.write([_only(part, half) for part in cells], timestamp_ms)
            self.faults.meet(Point.HALF)
        count = self.inner.write(cells, timestamp_ms)
        self.faults.reached(Point.ROWS)
        return count


class _Completion(_Around):
    inner: Completion

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        ready = self.inner.complete(waiting, dependency, expected, child, seconds, facts)
        self.faults.complete()
        return ready

    def note_published(self, waiting: Chunk) -> None:
        self.inner.note_published(waiting)
        self.faults.reached(Point.NOTED)

    def change_failure(self, chunk: Chunk, change: Callable[[Failure | None], Failure | None]) -> Failure | None:
        failure = self.inner.change_failure(chunk, change)
        self.faults.reached(Point.NOTED_FAILURE)
        return failure


def _only(cells: Cells, keys: set[bytes]) -> Cells:
    """The part of `cells` in some rows."""
    kept = [(key, value) for key, value in zip(cells.keys, cells.values, strict=True) if key in keys]
    return Cells(cells.column, [key for key, _ in kept], [value for _, value in kept])
