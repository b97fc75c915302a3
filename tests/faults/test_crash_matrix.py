"""Workers that crash or fail at every point of their work, once, twice and always, in every kind of layer."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError, ShuttingDown
from shared.operate.queueing import resume
from shared.operate.replay import current_failures, replay
from shared.plan.grid import Chunk
from shared.run.messages import Message
from shared.run.record_versions import MAX_ATTEMPTS
from tests.examples import examples
from tests.faults.crash import USUAL, Crash, Point, crash
from tests.faults.disturbed import VOLUME, DisturbedRun, RawTable, every_chunk
from tests.faults.model import Expected, expected
from tests.harness import MemoryRun, worker_of

PLAN = VOLUME.plan
ALWAYS = 1000
TIMES = {"once": 1, "twice": 2}
FORESEEN = [ConnectionError("reset"), OSError(errno.ENOSPC, "disk full"), MemoryError(), ShuttingDown("now")]


class Broken(RuntimeError):
    """Something that nobody foresaw."""


def fail(chunk: Chunk, point: Point) -> None:
    """A fault that the worker lives to tell."""
    raise Broken(f"{chunk} {point}")


def fail_for_good(chunk: Chunk, point: Point) -> None:
    """The same, where no other attempt makes sense; but the worker ends while it tells."""
    if point in (Point.NOTED_FAILURE, Point.BURIED):
        crash(chunk, point)
    raise DataError("file", chunk, point)


def last_straw(run: DisturbedRun, layer: int) -> Chunk:
    """A chunk whose completion queues another when nothing is disturbed, one with several dependents if any; `run`
    was begun."""
    queue = run.faults.queue(run.broker.open(run.record.plan.layers))
    worker = worker_of(queue, run, "worker")
    found = []
    while (delivery := queue.receive(0.0)) is not None:
        before = run.faults.published.total()
        worker.handle(delivery)
        chunk = run.faults.chunk
        if chunk is not None and chunk.layer == layer and run.faults.published.total() > before:
            found.append((len(run.record.plan.dependents(chunk)), chunk))
    return max(found)[1]


LAYERS = {"layer 2": 2, "middle": 3, "below root": 4}
CHUNKS = {name: last_straw(DisturbedRun.planned({}), layer) for name, layer in LAYERS.items()} | {"root": PLAN.top}
CASES = [
    (f"{layer}-{point.name}", chunk, point)
    for layer, chunk in CHUNKS.items()
    for point in USUAL
    if chunk != PLAN.top or point not in (Point.PUBLISHED, Point.NOTED)
]
matrix = pytest.mark.parametrize(
    ("chunk", "point"), [pytest.param(chunk, point, id=name) for name, chunk, point in CASES]
)
BUT_ACK = [pytest.param(chunk, point, id=name) for name, chunk, point in CASES if point is not Point.ACK]
matrix_but_ack = pytest.mark.parametrize(("chunk", "point"), BUT_ACK)


@pytest.fixture(scope="module")
def undisturbed() -> RawTable:
    """The table when nothing happens, with times."""
    return MemoryRun.of(VOLUME).start().work().raw_table()


def failed(run: DisturbedRun) -> list[Chunk]:
    """What an operator sees."""
    return [failure.chunk for failure in current_failures(run.record, run.completion)]


def dead_letters(run: DisturbedRun) -> list[Chunk]:
    """The chunks of all dead letters."""
    return [Message.decode(data).chunk for data, _ in run.broker.dead]


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@matrix
def test_crash(chunk: Chunk, point: Point, times: int, undisturbed: RawTable) -> None:
    """A worker that dies at a point, and so does the next: the run ends as if nothing had been."""
    script = {chunk: [point] * times}
    run = DisturbedRun.planned(script)
    assert run.live_on() == times == run.faults.met[point]
    assert run.finished and run.raw_table() == undisturbed
    assert run.faults.begun == expected(run.record, script).attempts
    assert (failed(run), dead_letters(run)) == ([], [])


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@matrix_but_ack
def test_unforeseen_error(chunk: Chunk, point: Point, times: int, undisturbed: RawTable) -> None:
    """An attempt that ends with an unforeseen error is made again, and the run ends as if nothing had been."""
    script = {chunk: [point] * times}
    run = DisturbedRun.planned(script, act=fail)
    assert run.live_on() == 0 and run.faults.met[point] == times
    assert run.finished and run.raw_table() == undisturbed
    assert run.faults.begun == expected(run.record, script).attempts
    assert (failed(run), dead_letters(run)) == ([], [])


@pytest.mark.parametrize("error", FORESEEN, ids=lambda error: type(error).__name__)
@matrix_but_ack
def test_foreseen_error(chunk: Chunk, point: Point, error: Exception, undisturbed: RawTable) -> None:
    """A service out of reach, a full disk, too little memory, a worker told to end: all of it passes."""

    def act(chunk: Chunk, point: Point) -> None:
        raise error.with_traceback(None)

    script = {chunk: [point] * 2}
    run = DisturbedRun.planned(script, act)
    assert run.live_on() == 0 and run.faults.met[point] == 2
    assert run.finished and run.raw_table() == undisturbed
    assert run.faults.begun == expected(run.record, script, held=isinstance(error, OSError)).attempts
    assert (failed(run), dead_letters(run)) == ([], [])


@pytest.mark.parametrize("again", [resume, replay])
@matrix_but_ack
def test_poisoned_by_errors(
    chunk: Chunk, point: Point, again: Callable[..., object], undisturbed: RawTable
) -> None:
    """A chunk that always fails ends in the failures once; all else is built; once mended the run completes."""
    script = {chunk: [point] * ALWAYS}
    run = DisturbedRun.planned(script, act=fail)
    run.live_on()
    poisoned(run, chunk, expected(run.record, script, give_up=MAX_ATTEMPTS), "Broken")
    mended(run, again, undisturbed)


@pytest.mark.parametrize("again", [resume, replay])
@matrix_but_ack
def test_poisoned_by_crashes(
    chunk: Chunk, point: Point, again: Callable[..., object], undisturbed: RawTable
) -> None:
    """A chunk that always kills its worker ends in the failures once; all else is built; mended, it completes."""
    script = {chunk: [point] * ALWAYS}
    run = DisturbedRun.planned(script)
    # The first delivery leaves no note of its start.
    assert run.live_on() == MAX_ATTEMPTS + 1
    poisoned(run, chunk, expected(run.record, script, give_up=MAX_ATTEMPTS + 1), "WorkerKilled")
    mended(run, again, undisturbed)


@matrix_but_ack
def test_poisoned_by_damage(chunk: Chunk, point: Point, undisturbed: RawTable) -> None:
    """An error that lasts needs one attempt, and crashes while that is told neither lose nor double it."""
    script = {chunk: [point, Point.NOTED_FAILURE, point, Point.BURIED, *[point] * ALWAYS]}
    run = DisturbedRun.planned(script, act=fail_for_good)
    assert run.live_on() == 2 and run.faults.met[point] == 3
    wanted = expected(run.record, {chunk: [point] * 3}, give_up=3)
    assert set(dead_letters(run)) == {chunk}
    assert run.done() == wanted.done
    assert failed(run) == visible(chunk, wanted)
    mended(run, replay, undisturbed)


@pytest.mark.parametrize("chunk", CHUNKS.values(), ids=CHUNKS)
def test_always_crashing_before_the_ack(chunk: Chunk, undisturbed: RawTable) -> None:
    """A chunk that kills its worker when all is stored holds up nothing: it is done, and so is the run."""
    run = DisturbedRun.planned({chunk: [Point.ACK] * 20})
    assert run.live_on() == 20
    assert run.finished and run.raw_table() == undisturbed
    assert (failed(run), dead_letters(run)) == ([], [])


def poisoned(run: DisturbedRun, chunk: Chunk, wanted: Expected, error: str) -> None:
    """Checks what a run comes to in which one chunk cannot be built."""
    (failure,) = [failure for failure in run.completion.failures() if failure.dead]
    assert failure.chunk == chunk and failure.error == error
    assert dead_letters(run) == [chunk]
    assert run.done() == wanted.done
    assert run.faults.begun == wanted.attempts
    assert failed(run) == visible(chunk, wanted)


def visible(chunk: Chunk, wanted: Expected) -> list[Chunk]:
    """The failures: a chunk that is done is none, unless what it made ready was never queued."""
    return [chunk] if chunk not in wanted.done or wanted.never_queued else []


def mended(run: DisturbedRun, again: Callable[..., object], undisturbed: RawTable) -> None:
    """Lifts the fault, tries again and checks that the run ends as if nothing had been."""
    run.mended(again)
    assert run.finished and run.raw_table() == undisturbed
    assert failed(run) == []


points = st.lists(st.sampled_from(USUAL), min_size=1, max_size=3)
scripts = st.dictionaries(st.sampled_from(every_chunk(PLAN)), points, max_size=6)


@examples(60)
@given(scripts)
def test_many_crashes_in_one_run(undisturbed: RawTable, script: dict[Chunk, list[Point]]) -> None:
    """Any crashes of any chunks in one run, one after the other: the same table, and no chunk is missing."""
    run = DisturbedRun.planned(script)
    crashed = run.live_on()
    assert crashed == run.faults.met.total()
    assert run.finished and run.raw_table() == undisturbed
    redone = run.faults.begun - Counter(run.stored())
    assert run.stored() == set(run.faults.begun) and redone.total() <= 20 * crashed
    assert (failed(run), dead_letters(run)) == ([], [])


def test_nothing_but_the_harness_catches_a_crash() -> None:
    """A worker lets a crash through, as it must let through what ends its process."""
    run = DisturbedRun.planned({CHUNKS["layer 2"]: [Point.BUILT]})
    queue = run.faults.queue(run.broker.open(PLAN.layers))
    with pytest.raises(Crash):
        worker_of(queue, run, "worker").run(idle_seconds=0.0)
