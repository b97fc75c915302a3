"""Workers that crash or fail while a run from raw output writes processed files: nothing is lost or half done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.example.shards import RawFiles
from shared.inputs.components import components_name
from shared.inputs.edges import edges_name
from shared.operate.queueing import resume
from shared.operate.replay import current_failures, replay
from shared.plan.grid import Chunk
from shared.run.record_versions import MAX_ATTEMPTS
from tests.examples import examples
from tests.faults.crash import CUTTING, WRITING, Faults, Planned, Point, crash
from tests.faults.disturbed import DisturbedRun, RawTable, Script, every_chunk
from tests.faults.model import expected
from tests.faults.test_crash_matrix import ALWAYS, TIMES, fail
from tests.harness import MemoryRun
from tests.raw_runs import RawRun, agreeing_volume, processed_run, raw_record
from tests.raw_shards import raw_of_volume

VOLUME = agreeing_volume(5, (5, 3, 1))
RAW = raw_of_volume(VOLUME, version=4, seed=1)
PLAN = VOLUME.plan

NEVER = {Point.NOTED_FAILURE, Point.BURIED, *CUTTING}


@dataclass
class DisturbedRawRun(RawRun, DisturbedRun):
    """A run from raw output with faults in every port, its folders of processed files among them."""

    raw: RawFiles = field(default_factory=lambda: RAW)

    @classmethod
    def planned_raw(
        cls, script: Script, act: Callable[[Chunk, Point], None] = crash, prepare: bool = False
    ) -> DisturbedRawRun:
        """A begun run with a script."""
        run = cls(VOLUME, raw_record(VOLUME, RAW, prepare=prepare))
        run.script = Planned({chunk: list(points) for chunk, points in script.items()})
        run.faults = Faults(run.script, act)
        run.begin()
        return run


@pytest.fixture(scope="module")
def undisturbed() -> tuple[RawTable, dict[str, dict[str, bytes]]]:
    """Table and files when nothing happens; the table is that of the volume's own files."""
    run = RawRun.of_raw(VOLUME, RAW).begin()
    run.work()
    assert run.notes() == [True, True]
    assert run.raw_table() == MemoryRun.of(VOLUME).start().work().raw_table() == processed_run(run).raw_table()
    return run.raw_table(), run.files()


def busy() -> Chunk:
    """A layer-2 chunk with both files, and as many dependents as any."""
    run = RawRun.of_raw(VOLUME, RAW).begin()
    run.work()
    written = run.files()
    chunks = [
        chunk
        for chunk in PLAN.grid.chunks(2)
        if edges_name(chunk) in written["edges"] and components_name(chunk) in written["components"]
    ]
    return max(chunks, key=lambda chunk: len(PLAN.dependents(chunk)))


CHUNKS = {"layer 2": busy(), "root": PLAN.top}
BEFORE_COMPLETION = (Point.READ, Point.EDGES, Point.FILES, Point.BUILT, Point.HALF, Point.ROWS, Point.HANDOFF)
CASES = [
    *(("layer 2", point) for point in (*BEFORE_COMPLETION, Point.ONE, Point.ALL, Point.ACK)),
    *(("root", point) for point in (*BEFORE_COMPLETION, Point.COMPLETE, Point.ALL, Point.ACK)),
]
CASES = [(at, point) for at, point in CASES if at == "layer 2" or point not in (Point.EDGES, Point.FILES)]
matrix = pytest.mark.parametrize(("at", "point"), CASES, ids=lambda part: getattr(part, "name", part))
TABLELESS = {Point.BUILT, Point.HALF, Point.ROWS}
PREPARING = [(at, point) for at, point in CASES if point not in TABLELESS]


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@matrix
def test_crash(
    at: str, point: Point, times: int, undisturbed: tuple[RawTable, dict[str, dict[str, bytes]]]
) -> None:
    """A worker that dies anywhere, and so does the next: the same table and the same files, all noted as there."""
    script = {CHUNKS[at]: [point] * times}
    run = DisturbedRawRun.planned_raw(script)
    assert run.live_on() == times == run.faults.met[point]
    assert run.finished and (run.raw_table(), run.files()) == undisturbed
    assert run.notes() == [True, True]
    assert run.faults.begun == expected(run.record, script).attempts


@pytest.mark.parametrize("times", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize(("at", "point"), PREPARING, ids=lambda part: getattr(part, "name", part))
def test_crash_while_preparing(
    at: str, point: Point, times: int, undisturbed: tuple[RawTable, dict[str, dict[str, bytes]]]
) -> None:
    """The same for a run that only writes files: these are the same, and there is no table."""
    script = {CHUNKS[at]: [point] * times}
    run = DisturbedRawRun.planned_raw(script, prepare=True)
    assert run.live_on() == times == run.faults.met[point]
    assert run.finished and run.files() == undisturbed[1] and run.raw_table() == {}
    assert run.notes() == [True, True]


@pytest.mark.parametrize("again", [resume, replay])
@pytest.mark.parametrize("point", WRITING[:2], ids=lambda point: point.name)
def test_files_that_cannot_be_written(
    point: Point, again: Callable[..., object], undisturbed: tuple[RawTable, dict[str, dict[str, bytes]]]
) -> None:
    """A chunk whose files cannot be written ends in the failures; until that is mended nothing says that all files
    are there, and no row of that chunk is written."""
    chunk = CHUNKS["layer 2"]
    run = DisturbedRawRun.planned_raw({chunk: [point] * ALWAYS}, act=fail)
    run.live_on()
    (failure,) = [failure for failure in run.completion.failures() if failure.dead]
    assert (failure.chunk, failure.attempts) == (chunk, MAX_ATTEMPTS)
    assert run.notes() == [False, False] and not run.finished
    assert not any(PLAN.ids.chunk_of(int(key)) == chunk for key in run.raw_table() if key.isdigit())
    run.mended(again)
    assert run.finished and (run.raw_table(), run.files()) == undisturbed
    assert run.notes() == [True, True] and current_failures(run.record, run.completion) == []


points = st.lists(st.sampled_from([point for point in Point if point not in NEVER]), min_size=1, max_size=3)
scripts = st.dictionaries(st.sampled_from(every_chunk(PLAN)), points, max_size=6)


@examples(40)
@given(scripts, st.booleans())
def test_many_crashes_in_one_run(
    undisturbed: tuple[RawTable, dict[str, dict[str, bytes]]], script: dict[Chunk, list[Point]], prepare: bool
) -> None:
    """Any crashes of any chunks in one run, one after the other: the same files, and the same table or none."""
    run = DisturbedRawRun.planned_raw(script, prepare=prepare)
    assert run.live_on() == run.faults.met.total()
    assert run.finished and run.files() == undisturbed[1] and run.notes() == [True, True]
    assert run.raw_table() == ({} if prepare else undisturbed[0])
