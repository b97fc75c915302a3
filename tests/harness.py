"""A whole run in memory: the product's own parts, put together for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import shared.gcp.clients  # noqa: F401  (adds Google's errors to the table of kinds, as in every program)
from shared.memory.completion import MemoryCompletion
from shared.memory.queue import MemoryBroker
from shared.memory.storage import MemoryStorage
from shared.memory.table import MemoryTable
from shared.run.control import read_control
from shared.run.ports import Delivery, Queue, Storage
from shared.run.record import RunRecord
from shared.run.sources import Sources
from shared.run.start import start
from shared.run.work import OpenRun
from shared.run.worker import Worker
from shared.table.decode import decode_counter, decode_id, decode_ids, decode_pairs
from tests.volumes import Volume

TIMESTAMP_MS = 1_700_000_000_000


def storage_of(objects: dict[str, bytes]) -> Storage:
    """A storage with these objects."""
    storage = MemoryStorage()
    for name, data in objects.items():
        storage.put(name, data)
    return storage


def record_of(volume: Volume, **changes: object) -> RunRecord:
    """The run record of a volume."""
    plan = volume.plan
    record = RunRecord(
        "graph", "run", "graph", None, TIMESTAMP_MS, plan.grid.shape, "edges", "components", schema=plan.schema
    )
    return replace(record, **changes)


@dataclass
class MemoryRun:
    """A run of `volume` with all its parts in memory; answers `shared.run.worker.Runs`."""

    volume: Volume
    record: RunRecord
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    table: MemoryTable = field(default_factory=MemoryTable)
    completion: MemoryCompletion = field(default_factory=MemoryCompletion)
    scratch: MemoryStorage = field(default_factory=MemoryStorage)
    builds: dict[object, int] = field(default_factory=dict)

    @classmethod
    def of(cls, volume: Volume, **changes: object) -> MemoryRun:
        """A run that nothing has been queued for yet."""
        return cls(volume, record_of(volume, **changes))

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run, if that is its name."""
        sources = Sources(storage_of(self.volume.edges), storage_of(self.volume.components), self.scratch)
        opened = OpenRun(self.record, sources, self.table, self.completion, read_control(self.scratch))
        return opened if (graph, run) == (self.record.graph, self.record.run) else None

    def start(self) -> MemoryRun:
        """Makes the table and queues layer 2."""
        start(self.record, self.scratch, self.table, self.broker.open([]), [])
        return self

    def work(self, wrap: Callable[[Queue], Queue] = lambda queue: queue) -> MemoryRun:
        """One worker over all layers until the queue is empty; `wrap` may disturb its queue."""
        queue = wrap(self.broker.open(self.record.plan.layers))
        Worker(queue, self, "test", clock=lambda: 0.0, stopped=lambda: False).run(idle_seconds=0.0)
        return self

    def raw_table(self) -> dict[bytes, tuple[dict[str, bytes], dict[str, int]]]:
        """Every row with its cells and their times."""
        return {row.key: (row.cells, row.timestamps) for row in self.table.read([(b"", b"\xff")])}

    def decoded_table(self) -> dict[str, dict[str, object]]:
        """Every row with decoded values, as the oracle gives them; without meta and version."""
        return {
            row.key.decode(): {column: decoded(column, value) for column, value in row.cells.items()}
            for row in self.table.read([(b"", b"\xff")])
        }


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

    def __init__(self, inner: Queue, rng: object) -> None:
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

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


def _layer(data: bytes) -> int:
    from shared.run.messages import Message

    return Message.decode(data).chunk.layer
