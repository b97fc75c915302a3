"""One bad run stops no other: workers that serve two graphs, one of which lacks something of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from google.api_core.exceptions import PermissionDenied, ServiceUnavailable

from shared.errors import Denied, IngestError, StateError
from shared.gcp.progress import CLASSIFY
from shared.memory.backend import MEMORY, MemoryBackend
from shared.memory.queue import MemoryBroker
from shared.memory.storage import MemoryStorage
from shared.plan.grid import Chunk
from shared.run import control
from shared.run.done import is_finished
from shared.run.ports import Storage
from shared.run.record import RECORD_NAME
from shared.run.turns import Turns
from shared.table.cells import Cells
from shared.work.open_runs import OpenRuns
from shared.work.outcomes import Outcome
from shared.work.worker import LONGEST_DELAY, RENEWED, Worker
from tests.harness import MemoryRun, backend_of, worker_of
from tests.unit.test_worker import Spy, Waits
from tests.volumes import random_volume

VOLUME = random_volume(3, (2, 2, 1), size=5)
CHUNKS = 5
"""Chunks of one run, with its root."""

IDLE = 5.0
"""Seconds of the tests' clock, which goes on by a hundredth with each look at it."""


class Time:
    """A clock that goes on when somebody waits, or looks at it."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


class Two:
    """A good and a bad run on one backend, and workers that serve both by their names."""

    def __init__(self) -> None:
        self.time = Time(0.01)
        broker = MemoryBroker(self.time)
        self.bad = MemoryRun.of(VOLUME, graph="bad", table="bad", edges="memory://bad", run="run")
        self.good = MemoryRun.of(VOLUME, graph="good", table="good")
        for run in (self.bad, self.good):
            run.broker = broker
            run.start()
        self.backend = backend_of(self.bad, self.good)
        self.broker = broker

    def worker(self, **more: Any) -> Worker:
        """A worker over all layers, for which no time passes while it waits but the clock's."""
        queue = self.broker.open(VOLUME.plan.layers)
        given = {"clock": self.time, "wait": never, "classify": CLASSIFY} | more
        return worker_of(queue, OpenRuns(self.backend, self.time), "w", **given)

    def work(self) -> int:
        """A worker's life, until nothing comes that it can work on; the chunks it has built."""
        return self.worker().run(IDLE, 0.0)

    def good_is_done(self) -> bool:
        """Whether the good run is built."""
        return is_finished(self.good.record, self.good.completion)


def never(seconds: float) -> None:
    """Fails: a worker that waits for one run holds up all others."""
    raise AssertionError(f"waits for {seconds} s")


@pytest.fixture
def two() -> Two:
    """Two runs that are begun."""
    return Two()


def refuse(error: Exception) -> Callable[..., Any]:
    """A method that raises."""

    def fail(*_: object) -> object:
        raise error

    return fail


class Closed(MemoryStorage):
    """A folder whose objects cannot be read."""

    def __init__(self, error: Exception) -> None:
        super().__init__("memory://bad")
        self.error = error

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Fails."""
        raise self.error


class Broken(MemoryBackend):
    """A backend that cannot open some folders, by their names."""

    def __init__(self, inner: MemoryBackend, **errors: Exception) -> None:
        super().__init__(broker=inner.broker, completions=inner.completions, tables=inner.tables)
        self.folders, self.errors = inner.folders, errors

    def storage(self, folder: str) -> Storage:
        """The folder; an error for some."""
        error = self.errors.get(folder.removeprefix(MEMORY))
        if error is not None:
            raise error
        return super().storage(folder)


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


BLOCKS: dict[str, Callable[[Two], object]] = {
    "table deleted": lambda two: setattr(two.bad.table, "write", refuse(StateError("no table bad"))),
    "table forbidden": lambda two: setattr(two.bad.table, "write", refuse(Denied("not yours"))),
    "bucket forbidden": lambda two: two.backend.folders.update({
        "memory://bad": Closed(caused(IngestError("edges cannot be read"), PermissionDenied("no"))),
    }),
    "bucket out of reach": lambda two: two.backend.folders.update({
        "memory://bad": Closed(caused(IngestError("edges cannot be read"), ConnectionError("no such host"))),
    }),
    "record unreadable": lambda two: two.bad.scratch.put(RECORD_NAME, b"{"),
    "record of another age": lambda two: two.bad.scratch.put(RECORD_NAME, b'{"version": 99}'),
    "control unreadable": lambda two: two.bad.scratch.put(control.CONTROL_NAME, b"["),
    "paused": lambda two: control.pause(two.bad.scratch, "since noon"),
}  # fmt: skip


@pytest.mark.parametrize("what", BLOCKS)
def test_the_other_run_is_built(two: Two, what: str) -> None:
    """Whatever one run lacks: another that waits behind it is built by the same worker, which waits for nothing;
    the messages of the bad one are kept for later, and none is counted as failed."""
    BLOCKS[what](two)
    assert two.work() == CHUNKS
    assert two.good_is_done() and not is_finished(two.bad.record, two.bad.completion)
    later = [item for _, _, _, item in two.broker._later]
    assert len(later) + len(two.broker.waiting[2]) == 4 and two.broker.dead == []
    assert all(failure.attempts == 0 and not failure.dead for failure in two.bad.completion.failures())


@pytest.mark.parametrize("what", ["table deleted", "bucket forbidden", "paused", "record unreadable"])
def test_it_goes_on_when_it_is_mended(two: Two, what: str) -> None:
    """What was given back comes again, and the run is built when the cause is gone."""
    write, folder = two.bad.table.write, two.backend.folders["memory://bad"]
    record = two.bad.record.encode()
    BLOCKS[what](two)
    worker = two.worker()
    worker.run(IDLE, 0.0)
    two.bad.table.write, two.backend.folders["memory://bad"] = write, folder
    two.bad.scratch.put(RECORD_NAME, record)
    control.go_on(two.bad.scratch)
    two.time.step = 1.0
    worker.run(2 * LONGEST_DELAY, 0.0)
    assert is_finished(two.bad.record, two.bad.completion)


def test_reason_is_on_record(two: Two) -> None:
    """Why a run is left alone is noted with one of its chunks, and with one only, however many messages wait."""
    BLOCKS["table deleted"](two)
    two.work()
    (note,) = two.bad.completion.failures()
    assert (note.waiting, note.worker, note.error) == (True, "w", "OfOneRun")
    assert "table of graph bad" in note.message and "no table bad" in note.message


def test_reason_is_told_once(two: Two, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for a run that is left alone, not one a message."""
    caplog.set_level(logging.INFO)
    BLOCKS["record unreadable"](two)
    two.work()
    told = [record for record in caplog.records if record.getMessage() == "run.blocked"]
    assert len(told) == 1 and told[0].__dict__["fields"]["graph"] == "bad"


def test_only_some_messages_are_tried(two: Two) -> None:
    """A blocked run costs an attempt now and then, not one a message: after 10, 20 and 40 seconds."""
    BLOCKS["table deleted"](two)
    tried: list[float] = []

    def write(cells: Sequence[Cells], timestamp_ms: int) -> int:
        tried.append(two.time.now)
        raise StateError("no table")

    two.bad.table.write = write
    two.time.step = 0.0
    worker = two.worker()
    for _ in range(100):
        for chunk in (Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0)):
            assert worker.handle(Spy(two.bad.record.message(chunk))) is Outcome.BLOCKED
        two.time.now += 1.0
    assert tried == [0.0, 10.0, 30.0, 70.0]


@pytest.mark.parametrize(
    "error", [IngestError("no such protocol"), caused(IngestError("no folder"), ValueError("what is this"))]
)
def test_folder_that_cannot_be_understood(two: Two, error: Exception) -> None:
    """An input folder that a worker cannot open is an error of its run's configuration: each chunk is recorded as
    failed, with the reason, and dead-lettered; the other run is built."""
    two.backend = Broken(two.backend, bad=error)
    assert two.work() == CHUNKS
    failures = two.bad.completion.failures()
    assert [(failure.dead, failure.error) for failure in failures] == [(True, "Misconfigured")] * 4
    assert all("graph bad" in failure.message and str(error) in failure.message for failure in failures)
    assert len(two.broker.dead) == 4 and two.good_is_done()


def test_reset_ends_it(two: Two) -> None:
    """Messages of a run that was reset are dropped before any of its folders is opened."""
    two.backend = Broken(two.backend, bad=IngestError("no such protocol"))
    two.bad.scratch.put(RECORD_NAME, replace(two.bad.record, run="another").encode())
    assert two.work() == CHUNKS
    assert two.broker.dead == [] and two.bad.completion.failures() == []
    assert not two.broker._later and not two.broker.waiting[2]


@pytest.mark.parametrize("place", ["table", "scratch", "completion"])
def test_a_service_that_all_share_is_waited_for(two: Two, place: str) -> None:
    """Bigtable, the scratch folder or Firestore out of reach holds the message: no other run could go on either."""
    name = {"table": "write", "scratch": "put", "completion": "complete"}[place]
    port = getattr(two.bad, place)
    method = getattr(port, name)
    setattr(port, name, refuse(ServiceUnavailable("gone")))
    waits = Waits(lambda number: setattr(port, name, method) if number == 3 else None)
    delivery = Spy(two.bad.record.message(Chunk(2, 0, 0, 0)))
    assert two.worker(wait=waits).handle(delivery) is Outcome.DONE
    assert len(waits.seconds) == 3


def test_given_back_later_and_later(two: Two) -> None:
    """A message of a blocked run comes again after a pause that grows, and is at most ten minutes."""
    BLOCKS["record unreadable"](two)
    worker, pauses = two.worker(), []
    for attempt in range(1, RENEWED):
        delivery = Spy(two.bad.record.message(Chunk(2, 0, 0, 0)))
        delivery.attempt = attempt
        worker.handle(delivery)
        pauses.append(delivery.after)
    assert pauses[0] <= 20 and max(pauses) <= LONGEST_DELAY and min(pauses[8:]) >= LONGEST_DELAY / 2


def test_deliveries_do_not_run_out(two: Two) -> None:
    """A message that was given back often is published anew and acked, so that its deliveries are counted from
    one again; Pub/Sub takes none for undeliverable because its run waits."""
    BLOCKS["paused"](two)
    delivery = Spy(two.bad.record.message(Chunk(2, 0, 0, 0)))
    delivery.attempt = RENEWED
    before = len(two.broker.waiting[2])
    assert two.worker().handle(delivery) is Outcome.PAUSED
    assert (delivery.answers, len(two.broker.waiting[2])) == (["ack"], before + 1)
    assert two.broker.waiting[2][-1].data == delivery.data and two.broker.waiting[2][-1].attempt == 1


def test_not_published_anew_without_pubsub(two: Two) -> None:
    """Where publishing fails the message is given back instead: never acked before its double is queued."""
    BLOCKS["paused"](two)
    worker = two.worker()
    worker.queue.publish = refuse(ServiceUnavailable("gone"))
    delivery = Spy(two.bad.record.message(Chunk(2, 0, 0, 0)))
    delivery.attempt = RENEWED + 5
    worker.handle(delivery)
    assert delivery.answers == ["give back"]


def test_turns_alternate() -> None:
    """Of the messages at hand the graph comes next that was served longest ago; one alone has every turn."""
    turns = Turns()
    a, b = (MemoryRun.of(VOLUME, graph=name).record.message(Chunk(2, 0, 0, 0)) for name in "ab")
    assert [turns.choose([a, a, a, b]) for _ in range(4)] == [0, 3, 0, 3]
    assert [turns.choose([a, a]) for _ in range(3)] == [0, 0, 0]
    assert turns.choose([b"no message", a]) == 0


def test_both_graphs_have_shares(two: Two) -> None:
    """While messages of two graphs are at hand a worker builds them in turn."""
    queue, graphs = two.broker.open([2]), []
    while (delivery := queue.receive(0.0)) is not None:
        graphs.append(b'"graph":"bad"' in delivery.data)
        delivery.ack()
    assert graphs == [True, False] * 4 or graphs == [False, True] * 4
