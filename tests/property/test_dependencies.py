"""Who waits for whom, lived through: no chunk starts early, nothing waits for ever, and what it costs."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.chunks.codec import encode_handoff
from shared.chunks.handoff import HandOff
from shared.estimate.report import describe
from shared.memory.completion import MemoryCompletion
from shared.memory.storage import MemoryStorage
from shared.memory.table import MemoryTable
from shared.operate.feeding import feed
from shared.operate.queueing import resume, start
from shared.plan.checks import make_plan
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts
from shared.run.done import is_finished
from shared.run.facts import Facts
from shared.run.messages import Message
from shared.run.ports import Queue
from shared.run.record import RunRecord
from shared.work import sources as work
from shared.work.sources import Made
from shared.work.steps import OpenRun, work_on
from shared.work.written import Written
from tests.datasets import dataset
from tests.examples import examples

shapes = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 3)).flatmap(st.permutations).map(tuple)


class Interrupted(Exception):
    """The worker is gone, in the middle of what it did."""


class CountedCompletion(MemoryCompletion):
    """Counts what would be operations of Firestore; before or after one of them the worker is gone.

    `left` counts these moments.
    """

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None
        self.completed: Counter[int] = Counter()
        self.noted = 0

    def complete(
        self,
        waiting: Chunk,
        dependency: int,
        expected: int,
        child: bool,
        seconds: float,
        facts: Facts | None = None,
    ) -> bool:
        """Notes one dependency."""
        self._spend()
        self.completed[waiting.layer - 1] += 1
        ready = super().complete(waiting, dependency, expected, child, seconds, facts)
        self._spend()
        return ready

    def note_published(self, waiting: Chunk) -> None:
        """Notes one publication."""
        self._spend()
        self.noted += 1
        super().note_published(waiting)
        self._spend()

    def _spend(self) -> None:
        if self.left is not None:
            if self.left == 0:
                raise Interrupted
            self.left -= 1


class Messages:
    """A queue that is a bag; answers the part of `shared.run.ports.Queue` that publishes."""

    def __init__(self) -> None:
        self.bag: list[tuple[int, bytes]] = []

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        """Adds messages."""
        new = [(layer, data) for data in messages]
        self.bag += new
        return len(new)

    def take(self, rng: random.Random) -> tuple[int, bytes]:
        """Any message, out of the bag."""
        self.bag.sort()
        return self.bag.pop(rng.randrange(len(self.bag)))


@dataclass
class Sources:
    """Builds nothing, but only where everything that the chunk depends on has been stored."""

    scratch: MemoryStorage = field(default_factory=MemoryStorage)
    started: Counter[Chunk] = field(default_factory=Counter)

    written: Written = field(default_factory=Written)

    def make(self, record: RunRecord, chunk: Chunk) -> Made:
        """An empty hand-off."""
        assert chunk in record.plan
        names = [record.handoff_name(other) for other in record.plan.dependencies(chunk)]
        if chunk.layer == 1:
            names = [record.handoff_name(record.plan.chunk_at(0, at)) for at in range(record.plan.tables)]
        assert None not in self.scratch.get(names).values(), f"{chunk} started before what it depends on"
        self.started[chunk] += 1
        handoff = HandOff(chunk, NO_IDS, {}, 0, {})
        return Made([], encode_handoff(handoff))


def record_of(shape: tuple[int, int, int], test: bool, schema: int, tables: int | None) -> RunRecord:
    """A run that reads files, or cuts a segmentation with so many parts of `tables`."""
    record = RunRecord("g", "r", "g", None, 1, shape, "e", "c", schema=schema, test=test)
    if tables is None:
        return record
    x, y, z = (8 * length for length in shape)
    cut = Segmentation("s", "w", (0, 0, 0), (x, y, z), (8, 8, 8), (1.0, 1.0, 1.0))
    return replace(record, segmentation=cut, table_parts=({},) * tables)


INPUTS = st.sampled_from([None, 0, 1, 3])
"""Files, or a segmentation with so many parts of tables."""


class Pipeline:
    """A run whose builds do nothing; its queue delivers as the caller says."""

    def __init__(
        self, shape: tuple[int, int, int], test: bool = False, schema: int = 3, tables: int | None = None
    ) -> None:
        self.record = record_of(shape, test, schema, tables)
        self.sources, self.completion, self.queue = Sources(), CountedCompletion(), Messages()
        table = MemoryTable()
        self.run = OpenRun(self.record, cast(work.Sources, self.sources), table, self.completion)
        start(self.record, self.sources.scratch, table, self.port, [])

    @property
    def port(self) -> Queue:
        """The queue for those that only publish."""
        return cast(Queue, self.queue)

    def work(self, data: bytes) -> None:
        """What a worker does with a message, and beside it."""
        work_on(self.run, Message.decode(data).chunk, self.port, lambda: 0.0)
        self.feed()

    def feed(self) -> None:
        """More of the lowest layer is queued, if it may be."""
        feed(self.record, self.sources.scratch, self.completion, self.port, 2.0, least=10)

    def drain(self, rng: random.Random) -> None:
        """Works off the queue in any order."""
        while self.queue.bag:
            self.work(self.queue.take(rng)[1])


class Deliveries(RuleBasedStateMachine):
    """Deliveries in any order, twice, cut short at any point, and lost messages with a resume after them."""

    @initialize(
        shape=shapes,
        test=st.booleans(),
        schema=st.sampled_from([2, 3]),
        tables=INPUTS,
        seed=st.integers(0, 2**32 - 1),
    )
    def begin(self, shape: tuple[int, int, int], test: bool, schema: int, tables: int | None, seed: int) -> None:
        self.pipeline, self.rng, self.lost = Pipeline(shape, test, schema, tables), random.Random(seed), False

    @precondition(lambda self: self.pipeline.queue.bag)
    @rule(count=st.integers(1, 20))
    def deliver(self, count: int) -> None:
        """Some messages, one after the other."""
        for _ in range(min(count, len(self.pipeline.queue.bag))):
            self.pipeline.work(self.pipeline.queue.take(self.rng)[1])

    @precondition(lambda self: self.pipeline.queue.bag)
    @rule()
    def deliver_twice(self) -> None:
        """A message that is worked off, and comes again at any later time."""
        layer, data = self.pipeline.queue.take(self.rng)
        self.pipeline.work(data)
        self.pipeline.queue.publish(layer, [data])

    @precondition(lambda self: self.pipeline.queue.bag)
    @rule(left=st.integers(0, 11))
    def interrupt(self, left: int) -> None:
        """A worker that ends after some operations; its message was not acked, so it comes again."""
        layer, data = self.pipeline.queue.take(self.rng)
        self.pipeline.completion.left = left
        try:
            self.pipeline.work(data)
        except Interrupted:
            self.pipeline.queue.publish(layer, [data])
        self.pipeline.completion.left = None

    @precondition(lambda self: self.pipeline.queue.bag)
    @rule()
    def lose(self) -> None:
        """A message that nobody ever gets."""
        self.pipeline.queue.take(self.rng)
        self.lost = True

    @rule()
    def resume(self) -> None:
        """What was lost is queued again."""
        run = self.pipeline
        resume(run.record, run.sources.scratch, run.completion, run.port)
        self.lost = False

    @invariant()
    def somebody_can_go_on(self) -> None:
        """As long as no message was lost, the run is finished or a chunk is queued that is not done."""
        if self.lost:
            return
        run = self.pipeline
        if not is_finished(run.record, run.completion):
            run.feed()
            assert run.queue.bag

    def teardown(self) -> None:
        """From wherever it is the run comes to its end, with every chunk built."""
        if not hasattr(self, "pipeline"):
            return
        run = self.pipeline
        if self.lost:
            resume(run.record, run.sources.scratch, run.completion, run.port)
            run.feed()
        run.drain(self.rng)
        plan = run.record.plan
        assert is_finished(run.record, run.completion)
        built = {plan.chunk_at(layer, index) for layer in plan.layers for index in range(plan.total(layer))}
        assert run.sources.started.keys() == built


Deliveries.TestCase.settings = examples(60, steps=30)
TestDeliveries = Deliveries.TestCase


@examples(60)
@given(shapes, st.booleans(), st.sampled_from([2, 3]), INPUTS, st.integers(0, 2**32 - 1))
def test_operations_are_those_of_the_report(
    shape: tuple[int, int, int], test: bool, schema: int, tables: int | None, seed: int
) -> None:
    """Without repetitions a run updates as many completion records as `plan` says, layer by layer.

    A chunk costs at most 4 updates (a cut 7), and each that waits one note more that it was published.
    """
    run = Pipeline(shape, test, schema, tables)
    run.drain(random.Random(seed))
    with TemporaryDirectory() as folder:
        config = dataset(Path(folder), graph_config__CHUNK_SIZE=[8, 8, 8], chunkedgraph_ingest__schema=schema)
    facts = VolumeFacts((0, 0, 0), (8 * shape[0], 8 * shape[1], 8 * shape[2]), (1.0, 1.0, 1.0))
    plan = make_plan(config, facts, test)
    plan = replace(plan, grid=run.record.plan.grid, tables=run.record.plan.tables)
    assert plan == run.record.plan
    report = describe(plan, config, facts)
    assert {layer.layer: layer.transactions for layer in report.layers} == dict(run.completion.completed)
    assert report.transactions == run.completion.completed.total() <= (4 if tables is None else 7) * report.chunks
    assert run.completion.noted == report.records - 1
    assert set(run.sources.started.values()) == {1}


@examples(60)
@given(shapes, st.booleans(), INPUTS)
def test_dependencies_and_dependents_answer_each_other(
    shape: tuple[int, int, int], test: bool, tables: int | None
) -> None:
    """A chunk waits for at most 8 + 24 others, all one layer down, and at most 4 wait for it, 7 for a cut, which
    know it."""
    plan = record_of(shape, test, 3, tables).plan
    waits: Counter[Chunk] = Counter()
    for layer in plan.layers:
        for index in range(plan.total(layer)):
            chunk = plan.chunk_at(layer, index)
            dependencies, dependents = plan.dependencies(chunk), plan.dependents(chunk)
            assert len(set(dependencies)) == len(dependencies) <= 32
            assert len(set(dependents)) == len(dependents) <= (7 if layer == 1 else 4)
            assert {other.layer for other in dependencies} <= {layer - 1}
            assert all(other in plan for other in dependencies)
            assert all(chunk in plan.bits(other) for other in dependents)
            waits.update(dependents)
    del waits[plan.end]
    assert all(count == len(plan.dependencies(chunk)) for chunk, count in waits.items())
