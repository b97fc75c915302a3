"""The worker's answers to deliveries: what is acked, given back or dead-lettered, and when."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from google.api_core.exceptions import PermissionDenied, ServiceUnavailable

from shared.errors import DataError, LeaseLost, ShuttingDown
from shared.inputs.edges import edges_name
from shared.memory.queue import MemoryBroker, MemoryQueue
from shared.memory.table import MemoryTable
from shared.operate.replay import replay
from shared.plan.grid import Chunk
from shared.run import control
from shared.run.messages import Message
from shared.run.ports import Delivery, Failure, State
from shared.run.record_versions import MAX_ATTEMPTS
from shared.table.cells import Cells
from shared.timestamps import now
from shared.work.crowd import Crowd
from shared.work.outcomes import Outcome
from shared.work.steps import OpenRun
from shared.work.worker import CONNECT_SECONDS, OUTAGE_SECONDS, Worker
from tests.harness import MemoryRun, worker_of
from tests.volumes import random_volume

CHUNK = Chunk(2, 0, 0, 0)


class Spy:
    """A delivery that notes its answer and what was stored by then."""

    def __init__(self, data: bytes, see: Callable[[], object] = lambda: None) -> None:
        self.data, self.attempt, self.answers, self.see = data, 1, list[str](), see
        self.attributes, self.published, self.lost = dict[str, str](), 0.0, False
        self.seen: object = None
        self.after = 0.0

    def ack(self) -> None:
        self.answers.append("ack")
        self.seen = self.see()

    def give_back(self, after: float = 0.0) -> None:
        self.after = after
        self.answers.append("give back")


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """What a log line says beside its event."""
    found: dict[str, Any] = record.__dict__["fields"]
    return found


def worker_for(run: MemoryRun) -> Worker:
    return worker_of(run.broker.open([]), run, "w")


@pytest.fixture
def run() -> MemoryRun:
    return MemoryRun.of(random_volume(3, (2, 2, 1), size=5)).start()


def broken(run: MemoryRun, error: BaseException) -> MemoryRun:
    """The same run, whose table fails with `error`."""

    def fail(cells: Sequence[Cells], timestamp_ms: int) -> int:
        raise error

    run.table.write = fail
    return run


def spy(run: MemoryRun, *coords: int) -> Spy:
    return Spy(Message(run.record.graph, run.record.run, Chunk(*coords)).encode())


def test_ack_comes_last(run: MemoryRun) -> None:
    """By the time of the ack rows, hand-off and completion are stored and the parent is queued."""

    def stored(chunk: Chunk) -> tuple[int, int, int]:
        names = list(run.scratch.list(f"run/layer2/{chunk.x}_{chunk.y}_0"))
        known = run.completion.done(Chunk(3, 0, 0, 0)).bit_count()
        return len(names), known, len(run.broker.waiting[3])

    for number, (x, y) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)], start=1):
        delivery = spy(run, 2, x, y, 0)
        delivery.see = partial(stored, Chunk(2, x, y, 0))
        worker_for(run).handle(delivery)
        assert delivery.answers == ["ack"]
        assert delivery.seen == (1, number, 1 if number == 4 else 0)


def test_redelivered_completion_publishes_again(run: MemoryRun) -> None:
    """A chunk delivered again after its parent became ready queues the parent again: a lost publish heals."""
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1), (1, 1)):
        worker_for(run).handle(spy(run, 2, x, y, 0))
    assert len(run.broker.waiting[3]) == 2


def test_data_error_is_dead_lettered_at_once(run: MemoryRun) -> None:
    """A damaged file ends in the dead letters with file, chunk and traceback, and is acked."""
    run.volume.edges[edges_name(Chunk(2, 0, 0, 0))] = b"damaged"
    delivery = spy(run, 2, 0, 0, 0)
    worker_for(run).handle(delivery)
    (failure,) = run.completion.failures()
    assert (delivery.answers, failure.dead, failure.attempts) == (["ack"], True, 1)
    assert failure.chunk == Chunk(2, 0, 0, 0) and failure.error == DataError.__name__
    assert "edges_0_0_0.proto.zst" in failure.message and "Traceback" in failure.traceback
    assert [data for data, _ in run.broker.dead] == [delivery.data]


def test_other_errors_are_tried_again_and_then_dead_lettered(run: MemoryRun) -> None:
    """An unknown error gives the message back, until it has failed a fixed number of times."""
    broken(run, RuntimeError("out of luck"))
    answers = []
    for _ in range(MAX_ATTEMPTS):
        delivery = spy(run, 2, 0, 0, 0)
        worker_for(run).handle(delivery)
        answers += delivery.answers
    assert answers == ["give back"] * (MAX_ATTEMPTS - 1) + ["ack"]
    assert delivery.after == 0.0
    (failure,) = run.completion.failures()
    assert (failure.dead, failure.attempts, len(run.broker.dead)) == (True, MAX_ATTEMPTS, 1)


def test_shutting_down_gives_back_without_a_failure(run: MemoryRun) -> None:
    """A chunk interrupted by the end of the worker is given back, and nothing is held against it."""
    delivery = spy(broken(run, ShuttingDown("now")), 2, 0, 0, 0)
    worker_for(run).handle(delivery)
    assert (delivery.answers, run.completion.failures()) == (["give back"], [])


def test_unreachable_run_gives_back(run: MemoryRun) -> None:
    """While a run's record cannot be read its messages are given back, and the worker lives on."""

    class Unreachable:
        def open(self, graph: str, run: str) -> OpenRun | None:
            raise OSError("no route")

    delivery = spy(run, 2, 0, 0, 0)
    worker_of(run.broker.open([]), Unreachable(), "w").handle(delivery)
    assert delivery.answers == ["give back"]


@pytest.mark.parametrize("chunk", [Chunk(2, 2, 0, 0), Chunk(9, 0, 0, 0), Chunk(1, 0, 0, 0)])
def test_chunk_outside_the_plan_is_dropped(run: MemoryRun, chunk: Chunk) -> None:
    """A message for a chunk that the plan does not have builds nothing and does not come again."""
    delivery = spy(run, *chunk)
    worker_for(run).handle(delivery)
    assert (delivery.answers, run.broker.dead) == (["ack"], [])


def test_message_of_another_run_is_dropped(run: MemoryRun) -> None:
    """After a reset messages of the old run are stale: acked and not built."""
    delivery = Spy(Message("graph", "older", Chunk(2, 0, 0, 0)).encode())
    worker_for(run).handle(delivery)
    assert (delivery.answers, list(run.scratch.list("run/"))) == (["ack"], [])


def test_undecodable_message_is_dead_lettered(run: MemoryRun) -> None:
    """What is no message goes to the dead letters as it came, with the reason."""
    delivery = Spy(b"\x00nonsense")
    worker_for(run).handle(delivery)
    ((data, attributes),) = run.broker.dead
    assert (delivery.answers, data, attributes["error"]) == (["ack"], b"\x00nonsense", "MessageError")


class Distant(MemoryQueue):
    """A queue that is reached after `until` seconds of a clock of its own, and is empty."""

    def __init__(self, until: float) -> None:
        super().__init__(MemoryBroker(), [])
        self.until, self.now, self.answered = until, 0.0, until <= 0.0

    def receive(self, timeout: float) -> None:
        self.now += timeout
        self.answered = self.now >= self.until


@pytest.mark.parametrize(("until", "ends"), [(0.0, 61.0), (150.0, 210.0), (1e9, CONNECT_SECONDS + 60)])
def test_idle_from_the_first_answer(run: MemoryRun, until: float, ends: float) -> None:
    """A task whose network comes up late has its whole idle time from then on; one that never comes up ends."""
    queue = Distant(until)
    assert worker_of(queue, run, clock=lambda: queue.now).run(idle_seconds=60.0) == 0
    assert queue.now == ends


def test_worker_ends_when_idle_and_when_stopped(run: MemoryRun) -> None:
    """It builds all there is and ends when nothing came for the idle time, or takes nothing once stopped."""
    stopped = worker_of(run.broker.open([2]), run, "w", stopped=lambda: True)
    assert stopped.run(idle_seconds=0.0) == 0
    assert worker_of(run.broker.open([2, 3]), run, "w").run(0.0) == 5


def failure_of(run: MemoryRun, chunk: Chunk = CHUNK) -> Failure:
    found = run.completion.failure(chunk)
    assert found is not None
    return found


def redelivered(run: MemoryRun, attempt: int = 2) -> Spy:
    delivery = spy(run, *CHUNK)
    delivery.attempt = attempt
    return delivery


def test_given_back_later_each_time(run: MemoryRun) -> None:
    """A chunk that fails comes again after a pause that grows, so that what passes has time to pass."""
    broken(run, RuntimeError("out of luck"))
    pauses = []
    for attempt in range(1, MAX_ATTEMPTS):
        delivery = redelivered(run, attempt)
        worker_for(run).handle(delivery)
        pauses.append(delivery.after)
    assert all(low <= pause <= 2 * low for pause, low in zip(pauses, (0.5, 2.0, 8.0, 32.0), strict=True))


def test_limit_of_the_layer(run: MemoryRun) -> None:
    """The configuration says how many attempts a chunk of a layer has."""
    run.record = replace(run.record, max_attempts={"other": 5, "2": 2})
    broken(run, RuntimeError("out of luck"))
    outcomes = [worker_for(run).handle(redelivered(run, attempt)) for attempt in (1, 2)]
    assert outcomes == [Outcome.RETRY, Outcome.DEAD]


def test_start_is_recorded_from_the_second_delivery_on(run: MemoryRun) -> None:
    """During a second attempt the record says that it was begun; after it nothing is left."""
    seen: list[Failure | None] = []
    write = run.table.write

    def look(cells: Sequence[Cells], timestamp_ms: int) -> int:
        seen.append(run.completion.failure(CHUNK))
        return write(cells, timestamp_ms)

    run.table.write = look
    worker_for(run).handle(spy(run, *CHUNK))
    worker_for(run).handle(redelivered(run))
    assert seen[0] is None
    assert seen[1] is not None and len(seen[1].started) == 1 and "on w" in seen[1].started[0]
    assert run.completion.failures() == []


class Killed(BaseException):
    """The end of a process, without a word."""


def test_chunk_that_kills_its_worker(run: MemoryRun) -> None:
    """Each silent end leaves its start; at the limit the chunk is dead-lettered before it is built again."""
    write = run.table.write
    broken(run, Killed())
    for attempt in range(1, MAX_ATTEMPTS + 2):
        with pytest.raises(Killed):
            worker_for(run).handle(redelivered(run, attempt))
    assert (failure_of(run).dead, len(failure_of(run).started)) == (False, MAX_ATTEMPTS)
    last = redelivered(run, MAX_ATTEMPTS + 2)
    assert worker_for(run).handle(last) is Outcome.DEAD
    failure = failure_of(run)
    assert (failure.state, failure.error, failure.attempts) == (State.DEAD, "WorkerKilled", 0)
    assert (last.answers, [data for data, _ in run.broker.dead]) == (["ack"], [last.data])
    run.table.write = write
    replay(run.record, run.completion, run.broker.open([]), [failure], now())
    assert worker_for(run).handle(redelivered(run)) is Outcome.DONE
    assert run.completion.failure(CHUNK) is None


@pytest.mark.parametrize("error", [ShuttingDown("now"), LeaseLost("gone")])
def test_start_is_taken_back_when_given_up_in_order(run: MemoryRun, error: Exception) -> None:
    """Neither the end of a worker nor a lost lease looks like a silent death afterwards."""
    delivery = redelivered(broken(run, error))
    worker_for(run).handle(delivery)
    assert (delivery.answers, run.completion.failures()) == (["give back"], [])


class Waits:
    """A wait that notes its seconds, and lets things happen meanwhile."""

    def __init__(self, then: Callable[[int], object] = lambda number: None) -> None:
        self.seconds, self.then = list[float](), then

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.then(len(self.seconds))


OUTAGES = [
    ServiceUnavailable("no table servers"),
    OSError(errno.ENOSPC, "disk full"),
    PermissionDenied("not yours"),
]


@pytest.mark.parametrize("error", OUTAGES, ids=lambda error: type(error).__name__)
def test_outage_is_waited_for(run: MemoryRun, error: Exception) -> None:
    """While a service is out of reach the message is held and nothing is counted; then it is done."""
    write = run.table.write
    broken(run, error)
    waits = Waits(lambda number: setattr(run.table, "write", write) if number == 6 else None)
    delivery = redelivered(run)
    worker = replace(worker_for(run), wait=waits)
    assert worker.handle(delivery) is Outcome.DONE
    assert (delivery.answers, run.completion.failures()) == (["ack"], [])
    assert len(waits.seconds) == 6 and 16 <= waits.seconds[-1] <= 32


def test_outage_is_noted_early(run: MemoryRun) -> None:
    """Why a worker waits is on record from its second try on, once, and is gone when the chunk is done."""
    write = run.table.write
    broken(run, ServiceUnavailable("no table servers"))
    notes: list[Failure | None] = []

    def look(number: int) -> None:
        notes.append(run.completion.failure(CHUNK))
        if number == 3:
            run.table.write = write

    assert replace(worker_for(run), wait=Waits(look)).handle(spy(run, *CHUNK)) is Outcome.DONE
    assert notes[0] is None and notes[1] == notes[2] and notes[1] is not None
    assert (notes[1].waiting, notes[1].worker, notes[1].attempts, notes[1].error) == (
        *(True, "w", 0),
        "ServiceUnavailable",
    )
    assert run.completion.failure(CHUNK) is None


def test_long_outage_is_noted_and_not_counted(run: MemoryRun) -> None:
    """After ten minutes the message is given back, with the reason on record, and no attempt used up."""
    broken(run, ServiceUnavailable("no table servers"))
    waits, delivery = Waits(), redelivered(run)
    assert replace(worker_for(run), wait=waits).handle(delivery) is Outcome.UNREACHABLE
    failure = failure_of(run)
    assert (delivery.answers, delivery.after > 0) == (["give back"], True)
    assert (failure.error, failure.attempts, failure.started, failure.dead) == ("ServiceUnavailable", 0, (), False)
    assert OUTAGE_SECONDS <= sum(waits.seconds) < OUTAGE_SECONDS + 60 and max(waits.seconds) <= 60


def test_told_to_stop_in_an_outage(run: MemoryRun) -> None:
    """A worker that waits for a service gives its message back as soon as it is to end."""
    broken(run, ServiceUnavailable("no table servers"))
    told: list[float] = []
    delivery = redelivered(run)
    worker = worker_of(run.broker.open([]), run, "w", stopped=lambda: bool(told), wait=Waits(told.append))
    assert worker.handle(delivery) is Outcome.GIVEN_BACK
    assert (delivery.answers, delivery.after, run.completion.failures()) == (["give back"], 0.0, [])


def test_lease_lost_in_an_outage(run: MemoryRun) -> None:
    """A message whose lease ended while its worker waited is left to who has it now."""
    broken(run, ServiceUnavailable("no table servers"))
    delivery = redelivered(run)
    worker = replace(worker_for(run), wait=Waits(lambda number: setattr(delivery, "lost", True)))
    assert worker.handle(delivery) is Outcome.LOST
    assert delivery.answers == ["give back"]


def test_failure_that_cannot_be_recorded(run: MemoryRun) -> None:
    """While Firestore is out of reach a failed attempt is made again rather than forgotten."""
    broken(run, RuntimeError("out of luck"))
    change = run.completion.change_failure
    run.completion.change_failure = lambda *_: (_ for _ in ()).throw(ServiceUnavailable("no firestore"))
    waits = Waits(lambda number: setattr(run.completion, "change_failure", change))
    assert replace(worker_for(run), wait=waits).handle(redelivered(run)) is Outcome.RETRY
    assert (failure_of(run).error, failure_of(run).attempts) == ("RuntimeError", 1)


def test_dead_letters_out_of_reach(run: MemoryRun) -> None:
    """A dead letter that cannot be published brings its message back; the failure is on record already."""

    class NoDeadLetters(MemoryQueue):
        def publish_dead(self, data: bytes, attributes: dict[str, str]) -> None:
            raise ServiceUnavailable("no topic")

    run.volume.edges[edges_name(CHUNK)] = b"damaged"
    delivery = redelivered(run)
    worker = replace(worker_for(run), queue=NoDeadLetters(run.broker, []))
    assert worker.handle(delivery) is Outcome.UNREACHABLE
    assert (delivery.answers, failure_of(run).dead, run.broker.dead) == (["give back"], True, [])
    worker_for(run).handle(delivery)
    assert [data for data, _ in run.broker.dead] == [delivery.data]


def test_out_of_memory_ends_the_attempt_only(run: MemoryRun) -> None:
    """A chunk that needs too much is counted and comes again; the worker goes on with the next."""
    write = run.table.write
    broken(run, MemoryError())
    assert worker_for(run).handle(spy(run, *CHUNK)) is Outcome.MEMORY
    assert (failure_of(run).error, failure_of(run).attempts, failure_of(run).dead) == ("MemoryError", 1, False)
    run.table.write = write
    assert worker_for(run).handle(spy(run, 2, 1, 1, 0)) is Outcome.DONE


@pytest.mark.parametrize("step", ["rows", "hand-off"])
def test_lost_lease_is_noticed(run: MemoryRun, step: str) -> None:
    """Work whose lease ends on the way is given up after the step at hand, and not acked."""
    delivery = redelivered(run)
    place, name = (run.table, "write") if step == "rows" else (run.scratch, "put")
    method = getattr(place, name)

    def lose(*arguments: object) -> object:
        delivery.lost = True
        return method(*arguments)

    setattr(place, name, lose)
    assert worker_for(run).handle(delivery) is Outcome.LOST
    assert (delivery.answers, run.completion.done(Chunk(3, 0, 0, 0))) == (["give back"], 0)
    assert run.completion.failures() == []


def test_pause(run: MemoryRun) -> None:
    """Messages of a paused run are given back for later, and its worker ends when nothing else comes; once it
    goes on they are built."""
    control.pause(run.scratch, "since noon")
    assert worker_of(run.broker.open([2]), run, "w").run(idle_seconds=0.0) == 0
    assert len(run.broker.waiting[2]) == 4 and not list(run.scratch.list("run/"))
    delivery = redelivered(run)
    worker = worker_of(run.broker.open([2, 3]), run, "w")
    assert worker.handle(delivery) is Outcome.PAUSED
    assert delivery.answers == ["give back"] and 10 <= delivery.after <= 40
    control.go_on(run.scratch)
    assert worker.handle(redelivered(run)) is Outcome.DONE


def test_doubles_are_not_built_twice(run: MemoryRun) -> None:
    """After a resume a message for a done chunk is acked without a build, and queues no parent twice."""
    control.check_done_first(run.scratch)
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
        assert worker_for(run).handle(spy(run, 2, x, y, 0)) is Outcome.DONE
    broken(run, RuntimeError("never called"))
    assert worker_for(run).handle(spy(run, *CHUNK)) is Outcome.ALREADY_DONE
    assert len(run.broker.waiting[3]) == 1


def test_double_of_a_lost_publish(run: MemoryRun) -> None:
    """A done chunk whose parent was never noted as queued queues it, though it is not built again."""
    control.check_done_first(run.scratch)
    note = run.completion.note_published
    run.completion.note_published = lambda waiting: None
    for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)):
        worker_for(run).handle(spy(run, 2, x, y, 0))
    run.broker.waiting[3].clear()
    run.completion.note_published = note
    assert worker_for(run).handle(spy(run, *CHUNK)) is Outcome.ALREADY_DONE
    assert len(run.broker.waiting[3]) == 1 and run.completion.published(Chunk(3, 0, 0, 0))


def test_forced_message_is_built_again(run: MemoryRun) -> None:
    """A chunk that somebody queues by hand is built even if it is done."""
    control.check_done_first(run.scratch)
    worker_for(run).handle(spy(run, *CHUNK))
    forced = Spy(Message("graph", "run", CHUNK, force=True).encode())
    assert worker_for(run).handle(forced) is Outcome.DONE


def test_one_line_a_chunk(run: MemoryRun, caplog: pytest.LogCaptureFixture) -> None:
    """The log has one line for each message, with a constant name and the numbers of the work."""

    class Gauge:
        def start(self) -> None:
            """Nothing to begin."""

        def peak_mb(self) -> float:
            return 12.345

        def cpu_seconds(self) -> float:
            return 0.25

    caplog.set_level("INFO")
    worker = replace(worker_for(run), meter=Gauge())
    worker.handle(spy(run, *CHUNK))
    run.volume.edges[edges_name(Chunk(2, 0, 1, 0))] = b"damaged"
    worker.handle(spy(run, 2, 0, 1, 0))
    done, failed = caplog.records
    assert (done.getMessage(), failed.getMessage()) == ("chunk.done", "chunk.failed")
    assert fields(done).keys() >= {"graph", "run", "layer", "chunk", "attempt", "seconds", "rows", "bytes"}
    assert (fields(done)["peak_mb"], fields(done)["layer"], fields(failed)["error"]) == (12.3, 2, "DataError")
    parent = run.record.plan.dependents(Chunk(*CHUNK))[0]
    noted = run.completion.look([parent])[parent].facts[run.record.plan.bits(parent)[Chunk(*CHUNK)]]
    assert (noted.peak_mb, noted.cpu, noted.rows, noted.attempt) == (12.3, 0.25, fields(done)["rows"], 1)
    assert isinstance(failed.__dict__["error"], DataError)


def test_delivery_protocol() -> None:
    """The spy answers the same protocol as the queues' deliveries."""
    delivery: Delivery = Spy(b"")
    assert delivery.attempt == 1


def test_no_chunk_is_blamed_in_a_crowd(run: MemoryRun, caplog: pytest.LogCaptureFixture) -> None:
    """An attempt that meets the memory limit beside another chunk is given back uncounted, and the process has one
    at a time from then on; alone it counts."""

    class Full(MemoryTable):
        def write(self, cells: Sequence[Cells], timestamp_ms: int) -> int:
            raise MemoryError

    caplog.set_level("INFO")
    run.table = Full()
    crowd = Crowd()
    worker = replace(worker_for(run), crowd=crowd)
    with crowd.place():
        assert worker.handle(spy(run, *CHUNK)) is Outcome.CROWDED
    assert crowd.narrow and run.completion.failures() == []
    assert worker.handle(spy(run, *CHUNK)) is Outcome.MEMORY
    assert [failure.attempts for failure in run.completion.failures()] == [1]
    assert [record.getMessage() for record in caplog.records] == ["chunk.crowded", "chunk.out_of_memory"]


def test_a_crowd_knows_who_met_whom() -> None:
    """A chunk that was ever at work beside another is crowded, also when it is alone again."""
    crowd = Crowd()
    with crowd.place() as first:
        assert not first.crowded and crowd.alone
        with crowd.place() as second:
            assert first.crowded and second.crowded and not crowd.alone
    assert crowd.alone
    with crowd.place() as third:
        assert not third.crowded
