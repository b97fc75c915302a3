"""The counted operations are those that a run really makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

from shared.estimate.bill import MESSAGE_BYTES, pubsub_bytes
from shared.estimate.cuts import LOOKUP_GETS
from shared.estimate.operations import BATCH, RAW_PARTS, Operations, operations
from shared.estimate.report import PlanReport, describe
from shared.gcp.pubsub import queue as pubsub
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.source import ProcessedSource, RawSource
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.completion import MemoryCompletion
from shared.operate.begin import begin
from shared.operate.check import check
from shared.operate.queueing import start
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts
from shared.run.facts import Facts
from shared.run.messages import Message
from shared.run.ports import Delivery, Queue, Storage
from shared.work.sources import Sources
from shared.work.steps import OpenRun
from tests.datasets import changed
from tests.harness import MemoryRun, storage_of
from tests.raw_runs import RAW, RawRun, agreeing_volume
from tests.raw_shards import MemoryRanges, raw_of_volume
from tests.segmentations import Scene, write
from tests.volumes import random_volume


def counted(
    shape: tuple[int, int, int], test: bool = False, raw: bool = False, written: tuple[str, ...] = ()
) -> Operations:
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

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        """Counts a read, and a write for a new bit."""
        self.seen["reads"] += 1
        self.seen["writes"] += not super().done(waiting) >> dependency & 1
        self.documents.add(waiting)
        return super().complete(waiting, dependency, expected, child, seconds, facts)

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
    plain, raw = counted((3, 2, 1)), counted((3, 2, 1), raw=True, written=("edges", "components"))
    assert raw.puts == plain.puts + 2 * 6 and raw.input_gets == RAW_PARTS * 6
    volume = agreeing_volume(6, (3, 2, 1))
    run = RawRun.of_raw(volume, raw_of_volume(volume, version=4))
    reader = MemoryRanges(run.raw.files(), RAW)
    for chunk in volume.plan.grid.chunks(2):
        records = RecordFormat(4, run.raw.resolution)
        source = RawSource(RawAgglomeration(reader, volume.plan.grid, volume.plan.ids, records))
        Sources(source, run.scratch).build(run.record, chunk)
    assert 6 * 10 < len(reader.asked) <= raw.input_gets


@dataclass
class CountingBackend(MemoryBackend):
    """All of a run in memory, counted."""

    seen: Counter[str] = field(default_factory=Counter)

    def storage(self, folder: str) -> Storage:
        """Counts objects in memory: hand-offs, but for what there is one of a run."""
        found = super().storage(folder)
        return found if not folder.startswith(MEMORY) else CountingStorage(found, self.seen, "handoff")

    def queue(self, layers: Sequence[int]) -> Queue:
        """Counts messages."""
        return CountingQueue(super().queue(layers), self.seen)

    def completion(self, graph: str, run: str) -> MemoryCompletion:
        """Counts documents."""
        return self.completions.setdefault((graph, run), CountingCompletion(self.seen))


@pytest.mark.parametrize("test", [False, True])
def test_counts_of_a_segmentation(tmp_path: Path, test: bool) -> None:
    """Cuts are messages, records, transactions and hand-offs too, and their blocks are written; a test of it writes
    nothing beside its table."""
    labels = np.random.default_rng(1).integers(1, 20, (24, 16, 12)).astype("uint64")
    checked = check(write(tmp_path, Scene(labels, (6, 4, 4))), "graph", test)
    planned, backend = operations(checked.report), CountingBackend()
    run, _ = begin(backend, checked, "graph", now_ms=1_700_000_000_000)
    run.work()
    assert run.finished
    seen, chunks = backend.seen, checked.plan.total(2)
    assert (seen["messages"], seen["deliveries"]) == (planned.messages, planned.messages)
    assert seen["publishes"] == planned.publishes
    assert planned.bulk_messages == checked.plan.total(1) == chunks
    (completion,) = backend.completions.values()
    assert isinstance(completion, CountingCompletion) and len(completion.documents) == planned.records
    assert seen["reads"] >= planned.record_reads and seen["writes"] == planned.record_writes
    names = [name for folder in backend.folders.values() for name in folder.list("") if name.endswith(".handoff")]
    assert len(names) == checked.report.chunks
    assert sum(path.is_file() for path in tmp_path.glob("out/ws/*/*")) == (0 if test else chunks)
    assert planned.puts == checked.report.chunks + 1 + (0 if test else 3 * chunks)


def segmented(tables: tuple[str, ...] = (), parts: int = 0, **changes: Any) -> PlanReport:
    """The report of a segmentation of 4 x 3 x 2 chunks of 512 x 512 x 128 voxels."""
    size, low = (2048, 1536, 256), (0, 0, 0)
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=[512, 512, 128]))
    plan = make_plan(dataset, VolumeFacts(low, size, (8.0, 8.0, 40.0)), False)
    plan = replace(plan, grid=replace(plan.grid, lowest=1), tables=parts)
    cut = Segmentation("gs://a", "gs://b", low, size, (512, 512, 128), (8.0, 8.0, 40.0), scores=tables, **changes)
    outputs = ("edges", "components", "watershed")
    return describe(plan, dataset, VolumeFacts(low, size, (8.0, 8.0, 40.0)), False, outputs, cut)


def test_blocks_by_hand() -> None:
    """A chunk of 512 x 512 x 128 voxels is 8 x 8 x 2 blocks of 64 that are read, of each volume, and 4 x 4 x 2 that
    are written."""
    one, two = operations(segmented()), operations(segmented(objects="gs://c", affinities="gs://d"))
    assert (one.input_gets, two.input_gets) == (24 * 128, 3 * 24 * 128)
    assert one.puts == segmented().chunks + 1 + 24 * (2 + 32)


def test_tables_come_first() -> None:
    """Three parts of tables and what joins them: four messages at once, one record, and one cut that waits for it
    and is published by itself."""
    plain, more = operations(segmented()), operations(segmented(("gs://t",), 4))
    assert more.messages - plain.messages == 4 and more.records - plain.records == 1
    assert more.bulk_messages == plain.bulk_messages - 1 + 4
    assert more.publishes == plain.publishes + 2
    assert more.record_reads - plain.record_reads == 4 and more.record_writes - plain.record_writes == 5
    assert more.handoff_gets == plain.handoff_gets
    assert more.input_gets == plain.input_gets + 24 * LOOKUP_GETS


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
