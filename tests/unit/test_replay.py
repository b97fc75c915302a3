"""Replaying and discarding failed chunks, while workers run and when it is done twice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from shared.inputs.edges import edges_name
from shared.memory.queue import MemoryQueue
from shared.operate.queueing import resume
from shared.operate.replay import chosen, current_failures, discard, never_built, replay
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.run.done import is_finished
from shared.run.messages import Message
from shared.run.ports import Failure, State
from shared.timestamps import now, text_of
from tests.harness import MemoryRun
from tests.volumes import random_volume

BAD = (Chunk(2, 0, 0, 0), Chunk(2, 3, 1, 0))
VOLUME = random_volume(5, (4, 2, 1), size=4)


@pytest.fixture
def run() -> MemoryRun:
    """A run that stands, as two input files are damaged."""
    run = MemoryRun.of(replace(VOLUME, edges=dict(VOLUME.edges))).start()
    for chunk in BAD:
        run.volume.edges[edges_name(chunk)] = b"damaged"
    return run.work()


def mend(run: MemoryRun) -> None:
    run.volume.edges.update(VOLUME.edges)
    for chunk in BAD:
        if edges_name(chunk) not in VOLUME.edges:
            del run.volume.edges[edges_name(chunk)]


def queued(run: MemoryRun, layer: int = 2) -> list[Chunk]:
    return [Message.decode(each.data).chunk for each in run.broker.waiting[layer]]


def again(run: MemoryRun, failures: list[Failure]) -> int:
    return replay(run.record, run.completion, run.broker.open([]), failures, now())


def test_replay(run: MemoryRun) -> None:
    """What is replayed leaves the failures; mended, the run ends with the table that it would have had."""
    found = current_failures(run.record, run.completion)
    assert tuple(failure.chunk for failure in found) == BAD
    mend(run)
    assert again(run, found) == 2
    assert current_failures(run.record, run.completion) == []
    run.work()
    assert is_finished(run.record, run.completion)
    assert run.raw_table() == MemoryRun.of(VOLUME).start().work().raw_table()


def test_replay_of_what_fails_again(run: MemoryRun) -> None:
    """Replayed without being mended a chunk fails again, once, and its attempts are counted anew."""
    again(run, current_failures(run.record, run.completion))
    run.work()
    found = current_failures(run.record, run.completion)
    assert [(failure.chunk, failure.attempts, failure.dead) for failure in found] == [(bad, 1, True) for bad in BAD]
    assert all(failure.replayed for failure in found)


def test_replay_twice_and_beside_workers(run: MemoryRun) -> None:
    """Two replays at once queue a chunk twice at worst; what fails meanwhile stays in the failures."""
    found = current_failures(run.record, run.completion)
    again(run, found)
    run.work()
    again(run, found)
    assert [failure.chunk for failure in current_failures(run.record, run.completion)] == list(BAD)
    mend(run)
    again(run, current_failures(run.record, run.completion))
    run.work()
    assert current_failures(run.record, run.completion) == []
    assert run.raw_table() == MemoryRun.of(VOLUME).start().work().raw_table()


def test_replay_that_breaks_off(run: MemoryRun) -> None:
    """Messages are placed before failures are forgotten: one that cannot be placed loses nothing."""

    class Broken(MemoryQueue):
        def publish(self, layer: int, messages: Iterable[bytes]) -> int:
            raise ConnectionError("gone")

    found = current_failures(run.record, run.completion)
    with pytest.raises(ConnectionError):
        replay(run.record, run.completion, Broken(run.broker, []), found, now())
    assert current_failures(run.record, run.completion) == found


def test_chosen(run: MemoryRun) -> None:
    """All dead ones, those of a layer, or named ones; the discarded by name only."""
    first, second = current_failures(run.record, run.completion)
    trying = replace(first, chunk=Chunk(2, 2, 0, 0), state=State.TRYING)
    above = replace(first, chunk=Chunk(3, 0, 0, 0))
    given_up = replace(second, state=State.DISCARDED)
    every = [first, given_up, trying, above]
    assert chosen(every, None, []) == [first, above]
    assert chosen(every, 3, []) == [above]
    assert chosen(every, None, [BAD[1], trying.chunk]) == [given_up]


def test_done_chunks_have_no_failure(run: MemoryRun) -> None:
    """A failure of a chunk that was built after all is forgotten when somebody looks."""
    done = Chunk(2, 1, 1, 0)
    run.completion.add_failure(Failure(done, "E", "m", when=text_of(0.0)))
    assert [failure.chunk for failure in current_failures(run.record, run.completion)] == list(BAD)
    assert run.completion.failure(done) is None


def test_discard(run: MemoryRun) -> None:
    """What is discarded stays listed as such, is not resumed, and comes back by name."""
    first, second = current_failures(run.record, run.completion)
    discard(run.completion, [first], now())
    assert [failure.state for failure in current_failures(run.record, run.completion)] == ["discarded", "dead"]
    mend(run)
    resume(run.record, run.scratch, run.completion, run.broker.open([]))
    assert queued(run) == [second.chunk]
    run.work()
    (left,) = current_failures(run.record, run.completion)
    assert left.state is State.DISCARDED and not is_finished(run.record, run.completion)
    again(run, chosen([left], None, [left.chunk]))
    run.work()
    assert is_finished(run.record, run.completion)


def test_never_built() -> None:
    """What waits for a chunk, directly or not: its parent, up to three more, and so on to the root."""
    grid = Grid((8, 8, 8))
    plan = Plan(grid, IdLayout(grid.layer_count))
    found = never_built(plan, [Chunk(2, 3, 3, 3)])
    assert {layer: len(chunks) for layer, chunks in found.items()} == {3: 4, 4: 7, 5: 1}
    assert Chunk(3, 1, 1, 1) in found[3] and Chunk(3, 2, 1, 1) in found[3]
    assert never_built(plan, [plan.top]) == {}
    assert never_built(plan, [Chunk(2, 3, 3, 3), Chunk(3, 1, 1, 1)])[3] == found[3] - {Chunk(3, 1, 1, 1)}
