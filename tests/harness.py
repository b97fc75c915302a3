"""A whole run in memory: the product's own parts, put together for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Self

from shared.gcp.progress import CLASSIFY
from shared.inputs.source import ProcessedSource
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.completion import MemoryCompletion
from shared.memory.queue import MemoryBroker
from shared.memory.storage import MemoryStorage
from shared.memory.table import MemoryTable
from shared.operate.check import Checked
from shared.operate.queueing import start
from shared.plan.config import Dataset
from shared.plan.volume import VolumeFacts
from shared.run.control import read_control
from shared.run.ports import Delivery, Folder, Queue
from shared.run.record import RunRecord
from shared.table.decode import decode_counter, decode_id, decode_ids, decode_pairs
from shared.work.attempt import Runs
from shared.work.sources import Sources
from shared.work.steps import OpenRun
from shared.work.worker import Worker
from tests.volumes import Volume

TIMESTAMP_MS = 1_700_000_000_000
EDGES, COMPONENTS = f"{MEMORY}edges", f"{MEMORY}components"


def storage_of(objects: dict[str, bytes]) -> MemoryStorage:
    """A storage with these objects."""
    storage = MemoryStorage()
    for name, data in objects.items():
        storage.put(name, data)
    return storage


def content(storage: Folder, name: str) -> bytes:
    """An object that is there."""
    data = storage.get([name])[name]
    assert data is not None, name
    return data


def record_of(volume: Volume, **changes: Any) -> RunRecord:
    """The run record of a volume."""
    plan = volume.plan
    record = RunRecord(
        "graph", "run", "graph", None, TIMESTAMP_MS, plan.grid.shape, EDGES, COMPONENTS, schema=plan.schema
    )
    return replace(record, **changes)


@dataclass
class MemoryRun:
    """A run of `volume` with all its parts in memory; answers `shared.work.worker.Runs`."""

    volume: Volume
    record: RunRecord
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    table: MemoryTable = field(default_factory=MemoryTable)
    completion: MemoryCompletion = field(default_factory=MemoryCompletion)
    scratch: MemoryStorage = field(default_factory=MemoryStorage)
    builds: dict[object, int] = field(default_factory=dict)

    @classmethod
    def of(cls, volume: Volume, **changes: Any) -> Self:
        """A run that nothing has been queued for yet."""
        return cls(volume, record_of(volume, **changes))

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run, if that is its name."""
        opened = OpenRun(self.record, self.sources(), self.table, self.completion, read_control(self.scratch))
        return opened if (graph, run) == (self.record.graph, self.record.run) else None

    def sources(self) -> Sources:
        """Where its chunks come from."""
        inputs = ProcessedSource(storage_of(self.volume.edges), storage_of(self.volume.components))
        return Sources(inputs, self.scratch)

    def start(self) -> Self:
        """Makes the table and queues layer 2."""
        start(self.record, self.scratch, self.table, self.broker.open([]), [])
        return self

    def work(self, wrap: Callable[[Queue], Queue] = lambda queue: queue) -> Self:
        """One worker over all layers until the queue is empty; `wrap` may disturb its queue."""
        queue = wrap(self.broker.open(self.record.plan.layers))
        worker_of(queue, self).run(idle_seconds=0.0)
        return self

    def raw_table(self) -> dict[bytes, tuple[dict[str, bytes], dict[str, int]]]:
        """Every row with its cells and their times."""
        return {row.key: (row.cells, row.timestamps) for row in self.table.read([(b"", b"\xff")])}

    def decoded_table(self) -> dict[str, dict[str, Any]]:
        """Every row with decoded values, as the oracle gives them; without meta and version."""
        return {
            row.key.decode(): {column: decoded(column, value) for column, value in row.cells.items()}
            for row in self.table.read([(b"", b"\xff")])
        }


def worker_of(queue: Queue, runs: Runs, name: str = "test", **more: Any) -> Worker:
    """A worker as programs have it, but that no time passes and nobody stops it."""
    given: dict[str, Any] = {"clock": lambda: 0.0, "stopped": lambda: False, "classify": CLASSIFY} | more
    return Worker(queue, runs, name, **given)


def backend_of(*runs: MemoryRun) -> MemoryBackend:
    """A backend that has runs, each with the parts that it has."""
    backend = MemoryBackend(broker=runs[0].broker) if runs else MemoryBackend()
    for run in runs:
        graph = run.record.graph
        backend.folders[f"{MEMORY}scratch/{graph}"] = run.scratch
        backend.completions[graph, run.record.run] = run.completion
        backend.tables[run.record.table] = run.table
        for folder, objects in (
            (run.record.edges, run.volume.edges),
            (run.record.components, run.volume.components),
        ):
            if folder is not None:
                backend.folders[folder] = storage_of(objects)
    return backend


def decoded(column: str, value: bytes) -> object:
    """The value of a cell as Python integers."""
    if column == "0:parents":
        return decode_id(value)
    if column == "1:counter":
        return decode_counter(value)
    if column == "0:children":
        return decode_ids(value).tolist()
    return [tuple(pair) for pair in decode_pairs(value).tolist()]


class Shuffling:
    """A queue that delivers every message twice and in an order drawn from `rng`."""

    def __init__(self, inner: Queue, rng: Random) -> None:
        self.inner, self.rng, self.held = inner, rng, list[Delivery]()
        self.twice: set[bytes] = set()

    def receive(self, timeout: float) -> Delivery | None:
        """Any of the messages that wait; each is put back once."""
        while (delivery := self.inner.receive(timeout)) is not None:
            if delivery.data not in self.twice:
                self.twice.add(delivery.data)
                self.inner.publish(_layer(delivery.data), [delivery.data])
            self.held.append(delivery)
        if not self.held:
            return None
        return self.held.pop(self.rng.randrange(len(self.held)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


def _layer(data: bytes) -> int:
    from shared.run.messages import Message

    return Message.decode(data).chunk.layer


def checked_of(volume: Volume, edges: str, components: str, watershed: str) -> Checked:
    """A dataset that was checked, whose files are those of a volume, in these folders."""
    content = {
        "data_source": {"EDGES": edges, "COMPONENTS": components, "WATERSHED": watershed},
        "graph_config": {"CHUNK_SIZE": [64, 64, 32]},
        "chunkedgraph_ingest": {"schema": volume.plan.schema},
    }
    dataset = Dataset.model_validate(content)
    dataset._raw = content
    x, y, z = volume.plan.grid.shape
    return Checked(
        dataset, VolumeFacts((0, 0, 0), (64 * x, 64 * y, 32 * z), (8.0, 8.0, 40.0)), volume.plan, "graph"
    )
