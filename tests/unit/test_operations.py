"""The counted operations are those that a run really makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import pytest

from shared.estimate.bill import MESSAGE_BYTES, pubsub_bytes
from shared.estimate.operations import BATCH, RAW_PARTS, Operations, operations
from shared.estimate.report import describe
from shared.gcp.pubsub import queue as pubsub
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.source import ProcessedSource, RawSource
from shared.memory.completion import MemoryCompletion
from shared.operate.queueing import start
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.grid import Chunk
from shared.plan.volume import VolumeFacts
from shared.run.messages import Message
from shared.run.ports import Delivery, Queue, Storage
from shared.work.sources import Sources
from shared.work.steps import OpenRun
from tests.datasets import changed
from tests.harness import MemoryRun, storage_of
from tests.raw_runs import RAW, RawRun, agreeing_volume
from tests.raw_shards import MemoryRanges, raw_of_volume
from tests.volumes import random_volume


def counted(shape: tuple[int, int, int], test: bool = False, raw: bool = False, written: int = 0) -> Operations:
    """The operations of a plan with a grid of this shape."""
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=[10, 10, 10]))
    x, y, z = shape
    volume = VolumeFacts((0, 0, 0), (10 * x, 10 * y, 10 * z), (8.0, 8.0, 40.0))
    plan = make_plan(dataset, volume, test)
    return operations(describe(plan, dataset, volume, raw, written))


@dataclass
class CountingStorage:
    """Counts objects that are asked for and written; all else goes on to `inner`."""

    inner: Storage
    seen: Counter[str]
    name: str

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Counts each name: from a bucket each is a request."""
        self.seen[f"{self.name} gets"] += len(names)
        return self.inner.get(names)

    def put(self, name: str, data: bytes) -> None:
        """Counts an object."""
        self.seen["puts"] += 1
        self.inner.put(name, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class CountingCompletion(MemoryCompletion):
    """Counts documents read and written as Firestore's answer does: a record is read, and written if the
    bit is new; a mark of a publish is written without a look."""

    def __init__(self, seen: Counter[str]) -> None:
        super().__init__()
        self.seen = seen
        self.documents: set[Chunk] = set()

    def complete(self, waiting: Chunk, dependency: int, expected: int, child: bool, seconds: float) -> bool:
        """Counts a read, and a write for a new bit."""
        self.seen["reads"] += 1
        self.seen["writes"] += not super().done(waiting) >> dependency & 1
        self.documents.add(waiting)
        return super().complete(waiting, dependency, expected, child, seconds)

    def note_published(self, waiting: Chunk) -> None:
        """Counts a write."""
        self.seen["writes"] += 1
        super().note_published(waiting)

    def published(self, waiting: Chunk) -> bool:
        """Counts a read."""
        self.seen["reads"] += 1
        return super().published(waiting)

    def done(self, waiting: Chunk) -> int:
        """Counts a read."""
        self.seen["reads"] += 1
        return super().done(waiting)


@dataclass
class CountingQueue:
    """Counts requests to publish, messages, and deliveries."""

    inner: Queue
    seen: Counter[str]

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        """Counts a request for each thousand messages, as shared.gcp.pubsub.queue makes them."""
        count = self.inner.publish(layer, messages)
        self.seen["messages"] += count
        self.seen["publishes"] += -(-count // pubsub.BATCH)
        return count

    def receive(self, timeout: float) -> Delivery | None:
        """Counts a delivery."""
        delivery = self.inner.receive(timeout)
        self.seen["deliveries"] += delivery is not None
        return delivery

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@dataclass
class CountedRun(MemoryRun):
    """A run in memory that counts everything it asks for."""

    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.completion = self.counting = CountingCompletion(self.seen)
        self.folder = CountingStorage(self.scratch, self.seen, "handoff")

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run, with folders that count."""
        inputs = (storage_of(self.volume.edges), storage_of(self.volume.components))
        edges, components = (CountingStorage(inner, self.seen, "input") for inner in inputs)
        source = ProcessedSource(edges, components)
        sources = Sources(source, self.folder)
        return OpenRun(self.record, sources, self.table, self.completion)

    def start(self) -> Self:
        """Makes the table and queues layer 2."""
        queue = CountingQueue(self.broker.open([]), self.seen)
        start(self.record, self.folder, self.table, queue, [])
        return self


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (5, 3, 2), (4, 4, 4)])
@pytest.mark.parametrize("test", [False, True])
def test_counts_are_those_of_a_run(shape: tuple[int, int, int], test: bool) -> None:
    """Publishes, deliveries, records read and written, files read and written: as planned, one by one.

    A chunk without an edge to another asks for no neighbour's components, so inputs may be fewer.
    """
    run = CountedRun.of(random_volume(3, shape, size=8, density=0.9), test=test)
    run.start().work(lambda queue: CountingQueue(queue, run.seen))
    planned = counted(shape, test)
    seen = run.seen
    assert (seen["messages"], seen["deliveries"]) == (planned.messages, planned.messages)
    assert seen["publishes"] == planned.publishes
    assert (seen["reads"], seen["writes"]) == (planned.record_reads, planned.record_writes)
    assert len(run.counting.documents) == planned.records
    assert (seen["handoff gets"], seen["puts"]) == (planned.handoff_gets, planned.puts)
    lower = planned.input_gets - 2 * planned.bulk_messages
    assert planned.input_gets - lower <= seen["input gets"] <= planned.input_gets


def test_raw_output_costs_more() -> None:
    """Parts of shards are asked for in the place of files, no more than planned; each chunk writes its files."""
    plain, raw = counted((3, 2, 1)), counted((3, 2, 1), raw=True, written=2)
    assert raw.puts == plain.puts + 2 * 6 and raw.input_gets == RAW_PARTS * 6
    volume = agreeing_volume(6, (3, 2, 1))
    run = RawRun.of_raw(volume, raw_of_volume(volume, version=4))
    reader = MemoryRanges(run.raw.files(), RAW)
    for chunk in volume.plan.grid.chunks(2):
        records = RecordFormat(4, run.raw.resolution)
        source = RawSource(RawAgglomeration(reader, volume.plan.grid, volume.plan.ids, records))
        Sources(source, run.scratch).build(run.record, chunk)
    assert 6 * 10 < len(reader.asked) <= raw.input_gets


def test_every_lower_neighbour_is_asked_for() -> None:
    """Where every chunk has edges through its faces, the planned files are all read."""
    run = CountedRun.of(random_volume(1, (3, 2, 2), size=40, density=0.9))
    run.start().work(lambda queue: CountingQueue(queue, run.seen))
    empty = sum(not data for data in run.volume.edges.values())
    assert empty == 0
    full = {chunk for chunk in run.record.plan.grid.chunks(2) if _has_supervoxels(run, chunk)}
    asked = sum(
        1 + 1 + sum(face % 2 == 0 for face in run.record.plan.grid.neighbours(chunk)) * (chunk in full)
        for chunk in run.record.plan.grid.chunks(2)
    )
    assert run.seen["input gets"] == asked <= counted((3, 2, 2)).input_gets


def _has_supervoxels(run: MemoryRun, chunk: Chunk) -> bool:
    """Whether a chunk has any: those without have no edge either."""
    ids = run.record.plan.ids
    return any(ids.chunk_of(supervoxel).coords == chunk.coords for supervoxel in run.volume.supervoxels)


def test_numbers_that_other_rooms_have_too() -> None:
    """Messages a request are those of the publisher, and no message is larger than the bill takes it to be."""
    assert BATCH == pubsub.BATCH
    longest = Message("g" * 63, "r" * 20, Chunk(20, 262_143, 262_143, 262_143)).encode()
    assert len(longest) + 20 + 20 < MESSAGE_BYTES


def test_bytes_that_pubsub_charges_for() -> None:
    """Layer 2 by its bytes, as a thousand messages share a request; each other request 1000 bytes at least."""
    counts = Operations(messages=2_073, publishes=2 + 73, bulk_messages=2_000)
    assert pubsub_bytes(counts, 1000) == 2_000 * 256 + 73 * 1000 + 2_073 * 1000
    assert pubsub_bytes(Operations(messages=1, publishes=1, bulk_messages=1), 1000) == 2_000
    assert pubsub_bytes(Operations(), 1000) == 0


def test_a_look_at_the_progress_by_hand() -> None:
    """Below 1,000 records a query is one read: three queries for each of four layers or five; and two more."""
    assert counted((12, 12, 12)).reads_a_look == 2 + 3 * 5
    # 8,000 records of layer 3 are 8 reads, in two sums over them and one count of them.
    assert counted((40, 40, 40)).reads_a_look == 2 + (1 + 16) + (8 + 2) + 3 * 5
