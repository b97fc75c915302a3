"""What it costs to watch a run with many failures: reads are counted, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.dispatch.waiting import waiting_chunks
from shared.memory.backend import MemoryBackend
from shared.memory.completion import MemoryCompletion
from shared.memory.storage import MemoryStorage
from shared.operate.replay import current_failures
from shared.operate.run import Run
from shared.operate.watching import CHECKED, Failures, Unseen, looks
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.registry import READS_A_SECOND, Registry
from tests.harness import record_of
from tests.volumes import random_volume

MANY = 10_000
HOUR = 3600


class Counting(MemoryCompletion):
    """Completion records that count documents read, as the service charges for them."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0

    def failures(self) -> list[Failure]:
        found = super().failures()
        self.reads += max(1, len(found))
        return found

    def done(self, waiting: Chunk) -> int:
        self.reads += 1
        return super().done(waiting)

    def published(self, waiting: Chunk) -> bool:
        self.reads += 1
        return super().published(waiting)


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def record() -> RunRecord:
    """A run of 27,000 chunks of layer 2."""
    return record_of(random_volume(1, (2, 1, 1), size=3), shape=(30, 30, 30))


@pytest.fixture
def completion(record: RunRecord) -> Counting:
    """Of whose chunks ten thousand are in the dead letters."""
    completion = Counting()
    for index in range(MANY):
        completion.add_failure(Failure(record.plan.chunk_at(2, index), "DataError", "bad"))
    return completion


@pytest.fixture
def backend(record: RunRecord, completion: Counting) -> MemoryBackend:
    backend = MemoryBackend()
    backend.completions[record.graph, record.run] = completion
    folder = MemoryStorage()
    folder.put(RECORD_NAME, record.encode())
    backend.folders[f"{backend.scratch}/{record.graph}"] = folder
    backend.board().announce(record.graph)
    return backend


def note_done(record: RunRecord, completion: MemoryCompletion, chunk: Chunk) -> None:
    """Notes a chunk as done with everyone who waits for it."""
    for waiting in record.plan.dependents(chunk):
        bits = record.plan.bits(waiting)
        completion.complete(waiting, bits[chunk], len(bits), True, 1.0)


def test_an_hour_of_watching(record: RunRecord, completion: Counting, backend: MemoryBackend) -> None:
    """Looked at every half second for an hour, ten thousand failures are read as often as their budget allows,
    and all are there each time."""
    clock = Clock()
    failures = Failures(Run(backend, record), clock)
    while clock.now < HOUR:
        assert len(failures.now()) == MANY
        clock.now += 0.5
    # The first look is not paid for by time that has passed.
    assert completion.reads <= READS_A_SECOND * HOUR + MANY + 8 * CHECKED
    assert completion.reads >= READS_A_SECOND * HOUR / 2


def test_an_hour_of_dispatch(record: RunRecord, completion: Counting, backend: MemoryBackend) -> None:
    """A round a minute reads them no more often either, and counts what waits as before."""
    clock = Clock()
    registry, waiting = Registry(backend, clock=clock), set()
    while clock.now < HOUR:
        waiting.add(waiting_chunks(backend.board(), registry).chunks[2])
        clock.now += 60
    assert waiting == {30**3 - MANY}
    assert completion.reads <= READS_A_SECOND * HOUR + MANY + 60


def test_a_few_failures_are_looked_at_as_before(record: RunRecord, backend: MemoryBackend) -> None:
    """Of five failures each second has news, of those that were tried again in vain as of those that are done."""
    completion, clock = Counting(), Clock()
    backend.completions[record.graph, record.run] = completion
    chunks = [record.plan.chunk_at(2, index) for index in range(5)]
    for chunk in chunks:
        completion.add_failure(Failure(chunk, "E", "no", state=State.TRYING))
    failures = Failures(Run(backend, record), clock)
    assert len(failures.now()) == 5 and failures.fresh
    clock.now += 0.5
    failures.now()
    assert not failures.fresh
    note_done(record, completion, chunks[0])
    completion.add_failure(Failure(chunks[1], "E", "worse"))
    clock.now += 1.5
    assert [failure.message for failure in failures.now()] == ["worse", "no", "no", "no"] and failures.fresh
    assert [failure.chunk for failure in completion.failures()] == chunks[1:]


def test_all_are_checked_in_turn(record: RunRecord, backend: MemoryBackend) -> None:
    """Of more failures than are checked at once, those whose chunk is done are found within a few looks."""
    completion, clock = Counting(), Clock()
    backend.completions[record.graph, record.run] = completion
    chunks = [record.plan.chunk_at(2, index) for index in range(3 * CHECKED)]
    for chunk in chunks:
        completion.add_failure(Failure(chunk, "E", "no"))
    failures = Failures(Run(backend, record), clock)
    for _ in range(3):
        failures.now()
        failures.expire()
    for chunk in chunks[::2]:
        note_done(record, completion, chunk)
    sizes = []
    for _ in range(3):
        sizes.append(len(failures.now()))
        failures.expire()
    assert sizes == [2.5 * CHECKED, 2 * CHECKED, 1.5 * CHECKED]


def test_a_command_checks_a_bounded_number(record: RunRecord, completion: Counting) -> None:
    """Asked for once, the failures are all there, at the cost of reading them and of checking a thousand."""
    assert len(current_failures(record, completion)) == MANY
    assert completion.reads <= MANY + 8 * 1_000


def test_nobody_leaves_by_old_failures(record: RunRecord, completion: Counting, backend: MemoryBackend) -> None:
    """A run that seems to stand still is looked at anew before the watching ends: replayed since, it goes on."""
    clock = Clock()
    for index in range(record.plan.total(2)):
        completion.add_failure(Failure(record.plan.chunk_at(2, index), "E", "no"))

    def wait(seconds: float) -> None:
        clock.now += seconds
        if clock.now > 4.0:
            first = Failure(record.plan.chunk_at(2, 0), "E", "no")
            completion.change_failure(first.chunk, lambda _: replace(first, state=State.REPLAYED))

    def seen() -> Iterator[int]:
        for number, status in enumerate(looks(Run(backend, record), wait, clock)):
            assert not isinstance(status, Unseen)
            yield status.under_way
            if number == 12:
                return

    found = list(seen())
    assert found[0] == 0 and found[-1] == 1 and len(found) == 13
