"""A round of dispatch over runs, board and Jobs in memory."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from shared.dispatch.fleet import Fleet
from shared.dispatch.round import dispatch, waiting_chunks
from shared.errors import DataError, StateError
from shared.memory.dispatch import MemoryBoard, MemoryJobs
from shared.run import control
from shared.run.events import Event
from shared.run.ports import Failure
from shared.run.record import RECORD_NAME
from shared.run.registry import Registry
from tests.harness import MemoryRun, backend_of, worker_of
from tests.volumes import random_volume

VOLUME = random_volume(1, (4, 2, 2), size=6)
L2, L3 = (
    Fleet(f"projects/p/locations/r/jobs/j-l{layer}", (layer,), start=2, factor=2, period=60, max=100)
    for layer in (2, 3)
)


@pytest.fixture
def run() -> MemoryRun:
    """A run whose layer 2 is queued."""
    return MemoryRun.of(VOLUME).start()


@pytest.fixture
def board() -> MemoryBoard:
    """A board that knows the run."""
    board = MemoryBoard()
    board.announce("graph")
    return board


def jobs() -> MemoryJobs:
    return MemoryJobs({L2.job, L3.job})


def some_work(run: MemoryRun, chunks: int) -> None:
    """Handles that many deliveries."""
    queue = run.broker.open(run.record.plan.layers)
    worker = worker_of(queue, run, "w")
    for _ in range(chunks):
        delivery = queue.receive(0.0)
        assert delivery is not None
        worker.handle(delivery)


def test_waiting_is_what_is_queued(run: MemoryRun, board: MemoryBoard) -> None:
    """At any moment the count of a layer is that of its messages; the end takes the graph off the board."""
    books, total = Registry(backend_of(run)), sum(map(VOLUME.plan.total, VOLUME.plan.layers))
    for _ in range(total):
        messages = {layer: len(run.broker.waiting[layer]) for layer in VOLUME.plan.layers}
        assert dict(waiting_chunks(board, books)) == messages
        some_work(run, 1)
    assert waiting_chunks(board, books).total() == 0 and board.graphs() == []


def test_failed_chunks_are_not_waited_for(run: MemoryRun, board: MemoryBoard) -> None:
    """A chunk in the dead letters needs no task."""
    before = waiting_chunks(board, Registry(backend_of(run)))[2]
    run.completion.add_failure(Failure(VOLUME.plan.chunk_at(2, 0), "DataError", "bad"))
    assert waiting_chunks(board, Registry(backend_of(run)))[2] == before - 1


def test_paused_runs_start_nothing(run: MemoryRun, board: MemoryBoard) -> None:
    """While a run is paused it counts as without work, and stays on the board for when it goes on."""
    control.pause(run.scratch, "me")
    assert waiting_chunks(board, Registry(backend_of(run))).total() == 0
    control.go_on(run.scratch)
    assert waiting_chunks(board, Registry(backend_of(run)))[2] == VOLUME.plan.total(2)


def test_several_graphs(run: MemoryRun, board: MemoryBoard) -> None:
    """Graphs share the fleets, so their chunks add up; one whose run is gone is taken off the board."""
    other = MemoryRun.of(VOLUME, graph="other").start()
    for name in ("other", "gone"):
        board.announce(name)
    waiting = waiting_chunks(board, Registry(backend_of(run, other)))
    assert waiting[2] == 2 * VOLUME.plan.total(2) and board.graphs() == ["graph", "other"]


def test_schedulers_fire_twice(board: MemoryBoard) -> None:
    """Of two rounds within a period one starts tasks; the next period's round starts more."""
    running, waiting = jobs(), {2: 1000}
    started = [dispatch([L2], waiting, board, running, now)[0].started for now in (0.0, 0.1, 59.0, 60.0, 61.0)]
    assert started == [2, 0, 0, 2, 0] and len(running.open) == 2


def test_only_layers_with_work(board: MemoryBoard) -> None:
    """A fleet without waiting chunks is not asked for, and one of several layers counts them all."""
    running = jobs()
    (turn,) = dispatch([L2, L3], {3: 1}, board, running, 0.0)
    assert (turn.job, turn.waiting, turn.started) == (L3.job, 1, 1)
    (turn,) = dispatch([replace(L2, layers=(2, 3, 4))], {2: 1, 4: 1}, board, running, 0.0)
    assert (turn.waiting, turn.started) == (2, 2)


class Refusing(MemoryJobs):
    """Jobs that cannot be run."""

    def run(self, job: str, tasks: int) -> str:
        """Refuses."""
        raise ConnectionError("quota")


def test_failure_gives_the_turn_back(board: MemoryBoard, caplog: pytest.LogCaptureFixture) -> None:
    """A Job that cannot be started is told of as an error, keeps no other from starting, and may try at once."""
    with caplog.at_level(logging.INFO):
        turns = dispatch([L2], {2: 9}, board, Refusing({L2.job}), 0.0)
    assert turns[0].error == "ConnectionError: quota" and turns[0].started == 0
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "dispatch.failed")]
    missing, there = dispatch([L2, L3], {2: 9, 3: 9}, board, MemoryJobs({L3.job}), 0.0)
    assert StateError.__name__ in missing.error and there.started == 2
    assert dispatch([L2], {2: 9}, board, jobs(), 0.0)[0].started == 2


def test_a_crash_costs_a_period(board: MemoryBoard) -> None:
    """Whoever dies between claim and start leaves a turn that is taken; the next period starts tasks."""

    class Dying(MemoryBoard):
        def claim(self, name: str, now: float, seconds: float) -> bool:
            assert board.claim(name, now, seconds)
            raise SystemExit

    with pytest.raises(SystemExit):
        dispatch([L2], {2: 9}, Dying(), jobs(), 0.0)
    assert [dispatch([L2], {2: 9}, board, jobs(), now)[0].started for now in (1.0, 60.0)] == [0, 2]


def test_log(board: MemoryBoard, caplog: pytest.LogCaptureFixture) -> None:
    """Each fleet with work has a line a round, with the fields that dashboards count on."""
    with caplog.at_level(logging.INFO):
        dispatch([L2, L3], {2: 9}, board, jobs(), 0.0)
    (record,) = caplog.records
    assert record.getMessage() == "dispatch.turn"
    fields = vars(record)["fields"]
    assert fields == {"job": "j-l2", "layers": [2], "waiting": 9, "running": 0, "started": 2}


def test_one_unreadable_graph_stops_no_other(
    run: MemoryRun, board: MemoryBoard, caplog: pytest.LogCaptureFixture
) -> None:
    """A round goes on with the other graphs, and says which one it left out and why; alone it is an error."""
    broken = MemoryRun.of(VOLUME, graph="broken").start()
    board.announce("broken")
    broken.scratch.put(RECORD_NAME, b'{"version": 99}')
    assert waiting_chunks(board, Registry(backend_of(run, broken)))[2] == VOLUME.plan.total(2)
    (line,) = [record for record in caplog.records if record.message == Event.GRAPH_UNREADABLE]
    assert line.fields["graph"] == "broken" and "version 99" in line.fields["reason"]
    board.withdraw("graph")
    with pytest.raises(DataError, match="version 99"):
        waiting_chunks(board, Registry(backend_of(run, broken)))
