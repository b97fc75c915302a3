"""Workers that crash or fail while a segmentation is cut, and its chunks built: the end is the same to the byte."""

from __future__ import annotations

import errno
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ShuttingDown
from shared.memory.completion import MemoryCompletion
from shared.operate.clearing import delete_run
from shared.operate.queueing import resume
from shared.operate.replay import current_failures, replay
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.record import RunRecord
from shared.run.record_versions import MAX_ATTEMPTS
from tests.examples import examples
from tests.faults.crash import Faults, Planned, Point, crash
from tests.faults.disturbed import DisturbedRun, RawTable, Script, every_chunk
from tests.faults.model import expected
from tests.faults.test_crash_matrix import ALWAYS, TIMES, fail, last_straw
from tests.harness import Shuffling
from tests.segmentation_runs import NO_FILES, SegmentationRun, record_of, small_scene
from tests.segmentations import write

Made = dict[str, dict[str, bytes]]
Act = Callable[[Chunk, Point], None]


@cache
def input_folder() -> tempfile.TemporaryDirectory[str]:
    """Where the volumes are that all runs read."""
    return tempfile.TemporaryDirectory()


@cache
def begun_record() -> RunRecord:
    """The record of a run of them."""
    return record_of(write(Path(input_folder().name), small_scene()))


@dataclass
class Cutting(SegmentationRun, DisturbedRun):
    """A run of a segmentation with faults in every port and in what it reads and writes."""

    folder: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def planned_cuts(cls, script: Script, act: Act = crash, prepare: bool = False) -> Cutting:
        """A begun run with a script, and a folder of its own for the volume."""
        folder = tempfile.TemporaryDirectory()
        record = begun_record()
        assert record.segmentation is not None
        cut = replace(record.segmentation, watershed=f"file://{folder.name}/ws")
        run = cls(NO_FILES, replace(record, segmentation=cut, prepare=prepare), folder=folder)
        run.script = Planned({chunk: list(points) for chunk, points in script.items()})
        run.faults = Faults(run.script, act)
        run.begin()
        return run

    def live(self) -> bool:
        """A worker opens everything anew."""
        self._sources = None
        return super().live()


LAYERS = {"layer 1": 1, "layer 2": 2, "layer 3": 3}
AT = (*LAYERS, "root")


@cache
def plan() -> Plan:
    """How it is cut."""
    return begun_record().plan


@cache
def chunk_at(at: str) -> Chunk:
    """The chunk that crashes there: found when a test asks, as it takes a run, and only some processes need it."""
    return last_straw(Cutting.planned_cuts({}), LAYERS[at]) if at in LAYERS else plan().top


CUT = (Point.READ, Point.PART, Point.VOXELS, Point.HANDOFF, Point.ONE, Point.PUBLISHED, Point.NOTED, Point.ALL)
BUILT = (Point.READ, Point.BUILT, Point.HALF, Point.ROWS, Point.HANDOFF, Point.ONE, Point.PUBLISHED, Point.NOTED)
OF_LAYER = {
    "layer 1": CUT,
    "layer 2": (*BUILT, Point.EDGES, Point.FILES, Point.ALL),
    "layer 3": (*BUILT, Point.ALL),
    "root": (Point.READ, Point.BUILT, Point.HALF, Point.ROWS, Point.COMPLETE, Point.HANDOFF, Point.ONE, Point.ALL),
}
BUT_ACK = [(at, point) for at, points in OF_LAYER.items() for point in points]
CASES = [*BUT_ACK, *((at, Point.ACK) for at in AT)]
TABLELESS = {Point.BUILT, Point.HALF, Point.ROWS}
PREPARING = [(at, point) for at, point in CASES if at != "layer 3" and point not in TABLELESS]
FORESEEN = [ConnectionError("reset"), OSError(errno.ENOSPC, "disk full"), MemoryError(), ShuttingDown("now")]


def each(cases: list[tuple[str, Point]]) -> pytest.MarkDecorator:
    """A test for each layer and point."""
    return pytest.mark.parametrize(("at", "point"), cases, ids=lambda part: getattr(part, "name", part))


@pytest.fixture(scope="module")
def undisturbed() -> tuple[RawTable, Made]:
    """Table, files, voxels and hand-offs when nothing happens."""
    run = Cutting.planned_cuts({})
    run.live_on()
    assert run.finished and run.notes() == [True, True, True]
    assert len(run.made()["watershed"]) == plan().total(1) + 2
    return run.raw_table(), run.made()


def test_there_is_something_to_lose() -> None:
    """Layers 1 to 4; the chunks of the matrix have voxels of several supervoxels and are the last that others wait
    for."""
    assert list(plan().layers) == [1, 2, 3, 4] and plan().total(1) == plan().total(2) == 16
    for at in AT:
        assert at == "root" or len(plan().dependents(chunk_at(at))) >= 1, at
    assert len(plan().dependents(chunk_at("layer 1"))) >= 4


def as_if_nothing_had_been(run: Cutting, undisturbed: tuple[RawTable, Made]) -> None:
    """The end that every run here comes to."""
    assert run.finished and run.raw_table() == undisturbed[0]
    made = run.made()
    for kind, files in undisturbed[1].items():
        assert made[kind] == files, kind
    assert run.notes() == [True, True, True]
    assert current_failures(run.record, run.completion) == []


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@each(CASES)
def test_crash(at: str, point: Point, times: int, undisturbed: tuple[RawTable, Made]) -> None:
    """A worker that dies at a point, and so does the next: the run ends as if nothing had been, after as many
    attempts as the rules of the queue come to."""
    script = {chunk_at(at): [point] * times}
    run = Cutting.planned_cuts(script)
    assert run.live_on() == times == run.faults.met[point]
    as_if_nothing_had_been(run, undisturbed)
    assert run.faults.begun == expected(run.record, script).attempts
    assert run.broker.dead == []


@each(PREPARING)
def test_crash_while_preparing(at: str, point: Point, undisturbed: tuple[RawTable, Made]) -> None:
    """The same for a run that only writes files and voxels: these are the same, and there is no table."""
    run = Cutting.planned_cuts({chunk_at(at): [point]}, prepare=True)
    assert run.live_on() == 1 == run.faults.met[point]
    assert run.finished and run.raw_table() == {} and run.notes() == [True, True, True]
    made = run.made()
    for kind in ("edges", "components", "watershed"):
        assert made[kind] == undisturbed[1][kind]


@each(BUT_ACK)
def test_unforeseen_error(at: str, point: Point, undisturbed: tuple[RawTable, Made]) -> None:
    """An attempt that ends with an unforeseen error is made again, twice."""
    run = Cutting.planned_cuts({chunk_at(at): [point] * 2}, act=fail)
    assert run.live_on() == 0 and run.faults.met[point] == 2
    as_if_nothing_had_been(run, undisturbed)
    assert run.broker.dead == []


@pytest.mark.parametrize("error", FORESEEN, ids=lambda error: type(error).__name__)
@each([("layer 1", point) for point in (Point.READ, Point.PART, Point.VOXELS, Point.HANDOFF, Point.ONE)])
def test_foreseen_error(at: str, point: Point, error: Exception, undisturbed: tuple[RawTable, Made]) -> None:
    """A service out of reach, a full disk, too little memory, a worker told to end: all of it passes."""

    def act(chunk: Chunk, point: Point) -> None:
        raise error.with_traceback(None)

    run = Cutting.planned_cuts({chunk_at(at): [point] * 2}, act=act)
    assert run.live_on() == 0 and run.faults.met[point] == 2
    as_if_nothing_had_been(run, undisturbed)


@pytest.mark.parametrize("again", [resume, replay])
@each([("layer 1", point) for point in (Point.READ, Point.PART, Point.HANDOFF, Point.ONE, Point.ALL)])
def test_poisoned(at: str, point: Point, again: Callable[..., object], undisturbed: tuple[RawTable, Made]) -> None:
    """A chunk that cannot be cut ends in the failures once; what does not wait for it is built, and nothing says
    that all is there. Once mended the run completes."""
    chunk = chunk_at(at)
    script = {chunk: [point] * ALWAYS}
    run = Cutting.planned_cuts(script, act=fail)
    run.live_on()
    (failure,) = [failure for failure in run.completion.failures() if failure.dead]
    assert (failure.chunk, failure.attempts) == (chunk, MAX_ATTEMPTS)
    assert run.done() == expected(run.record, script, give_up=MAX_ATTEMPTS).done
    assert run.notes() == [False, False, False] and not run.finished
    run.mended(again)
    as_if_nothing_had_been(run, undisturbed)


@each(CASES)
def test_all_but_what_is_stored_is_lost(at: str, point: Point, undisturbed: tuple[RawTable, Made]) -> None:
    """A worker dies, and messages and completion records with it: a resume makes of the stored hand-offs, cuts
    among them, what was left."""
    run = Cutting.planned_cuts({chunk_at(at): [point]})
    assert run.live()
    run.broker.waiting.clear()
    run.completion = MemoryCompletion()
    stored = run.stored()
    resume(run.record, run.scratch, run.completion, run.broker.open([]))
    assert stored <= run.done()
    before = run.faults.begun.copy()
    run.live_on()
    as_if_nothing_had_been(run, undisturbed)
    assert not (run.faults.begun - before).keys() & stored


@each(CASES)
def test_reset_after_a_crash(at: str, point: Point, undisturbed: tuple[RawTable, Made]) -> None:
    """A worker dies, the run is reset under another name, and messages of the old one still come: all is written
    again, the same bytes over what there was."""
    run = Cutting.planned_cuts({chunk_at(at): [point]})
    assert run.live()
    before = run.record
    run.record, run.completion = replace(before, run="again"), MemoryCompletion()
    delete_run(run.scratch, before.run)
    resume(run.record, run.scratch, run.completion, run.broker.open([]))
    run.live_on()
    as_if_nothing_had_been(run, undisturbed)


@pytest.mark.parametrize("seed", range(6))
def test_duplicates_in_any_order(seed: int, undisturbed: tuple[RawTable, Made]) -> None:
    """Every message comes twice, in any order: chunks of layer 2 never before their cuts."""
    run = Cutting.planned_cuts({})
    rng = random.Random(seed)
    run.work(lambda queue: run.faults.queue(Shuffling(queue, rng)))
    as_if_nothing_had_been(run, undisturbed)


def test_a_double_after_the_end(undisturbed: tuple[RawTable, Made]) -> None:
    """A message of any chunk that comes when all is done changes no byte."""
    run = Cutting.planned_cuts({})
    run.live_on()
    queue = run.broker.open(plan().layers)
    for chunk in every_chunk(plan()):
        queue.publish(chunk.layer, [run.record.message(chunk)])
    run.live_on()
    as_if_nothing_had_been(run, undisturbed)


@pytest.mark.parametrize("lost", ["cut", "cut of a neighbour"])
def test_a_lost_cut_is_waited_for(lost: str, undisturbed: tuple[RawTable, Made]) -> None:
    """A chunk of layer 2 whose cuts are not there, as somebody deleted one, names the file; cut again, the run
    goes on."""
    run = Cutting.planned_cuts({})
    chunk = chunk_at("layer 2")
    own = chunk._replace(layer=1)
    gone = own if lost == "cut" else next(one for one in plan().dependencies(chunk) if one != own)
    stored = run.scratch.put

    def put(name: str, data: bytes) -> None:
        if name != run.record.handoff_name(gone):
            stored(name, data)

    run.scratch.put = put
    run.live_on()
    failures = {failure.chunk: failure for failure in run.completion.failures() if failure.dead}
    assert chunk in failures and run.record.handoff_name(gone) in failures[chunk].message
    assert set(failures) == set(plan().dependents(gone)) and not run.finished
    run.scratch.put = stored
    queue = run.broker.open([])
    queue.publish(1, [run.record.message(gone)])
    run.live_on()
    resume(run.record, run.scratch, run.completion, queue)
    run.live_on()
    as_if_nothing_had_been(run, undisturbed)


NEVER = {Point.NOTED_FAILURE, Point.BURIED}
points = st.lists(st.sampled_from([point for point in Point if point not in NEVER]), min_size=1, max_size=3)
scripts = st.deferred(lambda: st.dictionaries(st.sampled_from(every_chunk(plan())), points, max_size=6))


@examples(40)
@given(scripts, st.booleans())
def test_many_crashes_in_one_run(undisturbed: tuple[RawTable, Made], script: Script, prepare: bool) -> None:
    """Any crashes of any chunks in one run, one after the other: the same end, with a table or without."""
    run = Cutting.planned_cuts(script, prepare=prepare)
    assert run.live_on() == run.faults.met.total()
    if not prepare:
        as_if_nothing_had_been(run, undisturbed)
        return
    assert run.finished and run.raw_table() == {} and run.notes() == [True, True, True]
    made = run.made()
    assert all(made[kind] == undisturbed[1][kind] for kind in ("edges", "components", "watershed"))


@pytest.fixture(scope="module", autouse=True)
def _inputs() -> Iterator[None]:
    """The volumes that all runs read go when these tests are done."""
    yield
    input_folder().cleanup()
    for made in (input_folder, begun_record):
        made.cache_clear()
