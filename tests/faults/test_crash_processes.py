"""A sample of the crash matrix with real worker processes, which end by `os._exit`, on the emulators."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.plan.grid import Chunk
from shared.run.failures import MAX_ATTEMPTS
from shared.run.replay import current_failures, replay
from tests.faults.crash import Point
from tests.faults.disturbed import VOLUME, every_chunk
from tests.faults.emulated import CRASHED, EmulatedRun, wait_until
from tests.faults.test_crash_matrix import CHUNKS

SECONDS = 100.0
LAYER_2, MIDDLE, BELOW_ROOT, ROOT = CHUNKS.values()
SAMPLE = {
    "layer 2, after reading and after half of the rows": {LAYER_2: [Point.READ, Point.HALF]},
    "layer 2, after the hand-off and after one dependent": {LAYER_2: [Point.HANDOFF, Point.ONE]},
    "middle, after all rows and after all dependents": {MIDDLE: [Point.ROWS, Point.ALL]},
    "below the root, after a publish, twice": {BELOW_ROOT: [Point.PUBLISHED, Point.PUBLISHED]},
    "root, after building and before the ack": {ROOT: [Point.BUILT, Point.ACK]},
}
POISONED = {LAYER_2: [Point.BUILT] * 50}


@pytest.fixture(scope="module")
def runs(emulators: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EmulatedRun]]:
    """A run for each script, all at once, as they mostly wait for leases; a worker that ended is replaced."""
    started = {}
    for number, (name, script) in enumerate({**SAMPLE, "poisoned": POISONED}.items()):
        started[name] = EmulatedRun(VOLUME, tmp_path_factory.mktemp(f"run{number}"), emulators)
        started[name].plan_faults(script)
    over = threading.Event()

    def supervise() -> None:
        while not over.wait(0.1):
            for run in started.values():
                run.reap()
                if not run.workers:
                    run.work()

    thread = threading.Thread(target=supervise, daemon=True)
    thread.start()
    yield started
    over.set()
    thread.join()
    for run in started.values():
        run.stop()


@pytest.mark.parametrize("name", SAMPLE)
def test_crash(runs: dict[str, EmulatedRun], name: str) -> None:
    """A worker process that ends at a point, and the next: the run ends as if nothing had been."""
    run, ((chunk, points),) = runs[name], SAMPLE[name].items()
    assert wait_until(lambda: run.finished and run.begun()[chunk] > len(points), SECONDS), run.logs()
    assert run.ended == {CRASHED: len(points)} and run.planned() == 0
    assert run.raw_table() == run.expected_table()
    redone = run.begun() - Counter(every_chunk(VOLUME.plan))
    assert set(run.begun()) == set(every_chunk(VOLUME.plan)) and redone[chunk] == len(points)
    assert current_failures(run.record, run.opened.completion) == []


def test_poisoned(runs: dict[str, EmulatedRun]) -> None:
    """A chunk that kills each of its workers is in the failures once; mended and replayed, the run completes."""
    run, (chunk,) = runs["poisoned"], POISONED

    def failed() -> list[Chunk]:
        return [failure.chunk for failure in current_failures(run.record, run.opened.completion) if failure.dead]

    assert wait_until(lambda: bool(failed()), SECONDS), run.logs()
    assert failed() == [chunk] and not run.finished
    assert run.begun()[chunk] == MAX_ATTEMPTS + 1 == run.ended[CRASHED]
    run.lift_faults()
    queue = run.backend.queue([])
    replay(run.record, run.opened.completion, queue, run.opened.completion.failures(), "now")
    queue.close()
    assert wait_until(lambda: run.finished, SECONDS), run.logs()
    assert run.raw_table() == run.expected_table()
    assert current_failures(run.record, run.opened.completion) == []
