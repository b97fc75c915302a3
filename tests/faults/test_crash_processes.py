"""A sample of the crash matrix with real worker processes, which end by `os._exit`, on the emulators.

How often a chunk is delivered is up to the machine too: on a slow one a lease of seconds ends early. So each
attempt is accounted for by what ended it, and what is exact is the number of crashes.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

import pytest

from shared.operate.replay import current_failures, replay
from shared.plan.grid import Chunk
from shared.run.events import Event
from shared.run.record_versions import MAX_ATTEMPTS
from tests.faults.crash import Point
from tests.faults.disturbed import VOLUME, every_chunk
from tests.faults.emulated import CRASHED, EmulatedRun, of_chunks, wait_until
from tests.faults.test_crash_matrix import CHUNKS

SECONDS = 600.0
LAYER_2, MIDDLE, BELOW_ROOT, ROOT = CHUNKS.values()
LAST = [chunk for chunk in every_chunk(VOLUME.plan) if chunk.layer == BELOW_ROOT.layer]
"""Of these the one that is done last publishes the root, and which that is nobody knows before."""

SAMPLE = {
    "layer 2, after reading and after half of the rows": {LAYER_2: [Point.READ, Point.HALF]},
    "layer 2, after the hand-off and after one dependent": {LAYER_2: [Point.HANDOFF, Point.ONE]},
    "middle, after all rows and after all dependents": {MIDDLE: [Point.ROWS, Point.ALL]},
    "below the root, after a publish, twice": {chunk: [Point.PUBLISHED, Point.PUBLISHED] for chunk in LAST},
    "root, after building and before the ack": {ROOT: [Point.BUILT, Point.ACK]},
}
CRASHES = 2
"""What each script of the sample comes to."""

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


def ended(run: EmulatedRun) -> Counter[tuple[Chunk, int]]:
    """The attempts that got as far as their inputs and came to an end, by a crash or with a line in the log."""
    return run.met() + run.told(Event.CHUNK_DONE, Event.LEASE_LOST)


@pytest.mark.parametrize("name", SAMPLE)
def test_crash(runs: dict[str, EmulatedRun], name: str) -> None:
    """A worker process that ends at a point, and the next: the run ends as if nothing had been."""
    run, script = runs[name], SAMPLE[name]

    def over() -> bool:
        crashed = of_chunks(run.met())
        done = of_chunks(run.told(Event.CHUNK_DONE))
        return run.finished and all(done[chunk] for chunk in crashed) and run.begun() == ended(run)

    assert wait_until(over, SECONDS), f"{run.begun()} {ended(run)}\n{run.logs()}"
    assert run.ended == {CRASHED: CRASHES} and run.met().total() == CRASHES
    assert run.planned() == sum(map(len, script.values())) - CRASHES
    assert run.raw_table() == run.expected_table()
    begun = of_chunks(run.begun())
    assert set(begun) == set(every_chunk(VOLUME.plan))
    # A message is delivered for the first time once, and only who does a chunk again may publish again.
    firsts = Counter(chunk for chunk, attempt in run.begun().elements() if attempt == 1)
    for chunk, count in firsts.items():
        assert count <= 1 + sum(begun[on] - 1 for on in VOLUME.plan.dependencies(chunk))
    assert current_failures(run.record, run.opened.completion) == []


def test_poisoned(runs: dict[str, EmulatedRun]) -> None:
    """A chunk that kills each of its workers is in the failures once; mended and replayed, the run completes."""
    run, (chunk,) = runs["poisoned"], POISONED

    def failed() -> list[Chunk]:
        return [failure.chunk for failure in current_failures(run.record, run.opened.completion) if failure.dead]

    assert wait_until(lambda: bool(failed()), SECONDS), run.logs()
    assert failed() == [chunk] and not run.finished
    # The end of a first delivery leaves no note, and a message that was lost on its way has none.
    noted = [attempt for _, attempt in run.met().elements() if attempt > 1]
    assert len(noted) == MAX_ATTEMPTS and len(set(noted)) == MAX_ATTEMPTS
    assert run.ended[CRASHED] == run.met().total() <= MAX_ATTEMPTS + 1
    run.lift_faults()
    queue = run.backend.queue([])
    replay(run.record, run.opened.completion, queue, run.opened.completion.failures(), "now")
    queue.close()
    assert wait_until(lambda: run.finished, SECONDS), run.logs()
    assert run.raw_table() == run.expected_table()
    assert current_failures(run.record, run.opened.completion) == []
