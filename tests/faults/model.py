"""The flow of messages and completions by its rules and nothing else: no rows, no files, no ports.

What tests hold the product to: which chunk is queued when, how often it is begun, what is done.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.operate.queueing import shuffled_chunks
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.record import RunRecord
from tests.faults.crash import Point

BEFORE = (
    Point.READ,
    Point.PART,
    Point.VOXELS,
    Point.EDGES,
    Point.FILES,
    Point.BUILT,
    Point.HALF,
    Point.ROWS,
    Point.COMPLETE,
    Point.HANDOFF,
)
"""Points up to which nobody has been told that a chunk is done."""


class Model:
    """Which dependencies of each chunk are noted as done, and which publishes are.

    `check_done_first`: a worker asks whether a chunk is done before it builds it.
    """

    def __init__(self, plan: Plan, check_done_first: bool = False) -> None:
        self.plan = plan
        self.check_done_first = check_done_first
        self.noted: defaultdict[Chunk, set[Chunk]] = defaultdict(set)
        self.published: set[Chunk] = set()

    @property
    def finished(self) -> bool:
        """Whether the top chunk is done."""
        return self.noted[self.plan.end] == {self.plan.top}

    def is_done(self, chunk: Chunk) -> bool:
        """Whether everyone who waits for `chunk` knows that it is done."""
        return all(chunk in self.noted[waiting] for waiting in self.plan.dependents(chunk))

    def is_ready(self, chunk: Chunk) -> bool:
        """Whether all that `chunk` waits for is done."""
        return self.noted[chunk] == set(self.plan.dependencies(chunk))

    def handle(self, chunk: Chunk) -> list[Chunk]:
        """What a worker does with a message when nothing goes wrong; what it queued."""
        return self.known(chunk) if self.check_done_first and self.is_done(chunk) else self.attempt(chunk)

    def known(self, chunk: Chunk) -> list[Chunk]:
        """What is made up for when a chunk is done already; what was queued."""
        above = [waiting for waiting in self.plan.dependents(chunk) if waiting != self.plan.end]
        queued = [waiting for waiting in above if self.is_ready(waiting) and waiting not in self.published]
        self.published.update(queued)
        return queued

    def attempt(self, chunk: Chunk, end: Point | None = None) -> list[Chunk]:
        """An attempt that ends early at a point, or does not; what it queued."""
        queued: list[Chunk] = []
        if end in BEFORE:
            return queued
        dependents = self.plan.dependents(chunk)
        for number, waiting in enumerate(dependents, start=1):
            self.noted[waiting].add(chunk)
            if (end is Point.ONE and number == 1) or (end is Point.ALL and number == len(dependents)):
                return queued
            if waiting != self.plan.end and self.is_ready(waiting):
                queued.append(waiting)
                if end is Point.PUBLISHED:
                    return queued
                self.published.add(waiting)
                if end is Point.NOTED:
                    return queued
        return queued

    def resume(self, stored: Collection[Chunk]) -> list[Chunk]:
        """What is noted from what is stored, layer by layer; what was queued."""
        self.check_done_first = True
        queued: list[Chunk] = []
        for layer in self.plan.layers:
            chunks = [self.plan.chunk_at(layer, at) for at in range(self.plan.total(layer))]
            for chunk in chunks:
                if chunk in stored:
                    for waiting in self.plan.dependents(chunk):
                        self.noted[waiting].add(chunk)
            missing = [
                chunk
                for chunk in chunks
                if not self.is_done(chunk) and (layer == self.plan.fed or self.is_ready(chunk))
            ]
            queued += missing
            self.published.update(chunk for chunk in missing if layer > self.plan.fed)
        return queued


@dataclass
class Expected:
    """What a whole run comes to: attempts at each chunk, and what is noted as done in the end."""

    model: Model
    attempts: Counter[Chunk]
    queued: set[Chunk]

    @property
    def done(self) -> set[Chunk]:
        """The chunks that everyone who waits for them knows as done."""
        plan = self.model.plan
        every = (plan.chunk_at(layer, at) for layer in plan.layers for at in range(plan.total(layer)))
        return {chunk for chunk in every if self.model.is_done(chunk)}

    @property
    def never_queued(self) -> set[Chunk]:
        """Chunks that wait for nothing any more and were not queued."""
        ready = {chunk for chunk in self.model.noted if self.model.is_ready(chunk)}
        return ready - self.queued - {self.model.plan.end}


def expected(
    record: RunRecord,
    script: Mapping[Chunk, Sequence[Point]],
    give_up: int | None = None,
    held: bool = False,
) -> Expected:
    """A run by one worker at a time that takes messages in turn, the highest layer first.

    The script's faults send their message to the end of the queue, or with `held` to its beginning,
    until `give_up` attempts at the chunk have met one.
    """
    model, attempts, faults = Model(record.plan), Counter[Chunk](), Counter[Chunk]()
    waiting: dict[int, deque[Chunk]] = {layer: deque() for layer in record.plan.layers}
    lowest = waiting[record.plan.fed]
    lowest.extend(shuffled_chunks(record, record.plan.fed))
    queued = set(lowest)
    while any(waiting.values()):
        layer = max(layer for layer, chunks in waiting.items() if chunks)
        chunk = waiting[layer].popleft()
        points = script.get(chunk, ())
        end = points[faults[chunk]] if faults[chunk] < len(points) else None
        attempts[chunk] += 1
        for above in model.attempt(chunk, end):
            waiting[above.layer].append(above)
            queued.add(above)
        if end is not None:
            faults[chunk] += 1
            if faults[chunk] != give_up:
                waiting[layer].insert(0 if held else len(waiting[layer]), chunk)
    return Expected(model, attempts, queued)
