"""A round of dispatch over runs, board and Jobs in memory."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

import pytest

from shared.dispatch.fleet import Fleet
from shared.dispatch.round import dispatch, one_round
from shared.dispatch.waiting import Waiting, waiting_chunks
from shared.errors import DataError, StateError
from shared.memory.dispatch import MemoryBoard, MemoryJobs
from shared.run import control
from shared.run.events import Event
from shared.run.history import read_history
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


def total_of(waiting: Waiting) -> int:
    return sum(waiting.chunks.values())


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
        assert waiting_chunks(board, books).chunks == messages
        some_work(run, 1)
    assert total_of(waiting_chunks(board, books)) == 0 and board.graphs() == []


def test_what_is_done_is_counted_for_growth(run: MemoryRun, board: MemoryBoard) -> None:
    """Of layers that have work, with the names of their runs; a layer without any counts nothing."""
    some_work(run, 5)
    waiting = waiting_chunks(board, Registry(backend_of(run)))
    assert waiting.done[2] == 5 and waiting.runs[2] == {"graph.run"}
    assert all(bool(waiting.runs.get(layer)) == bool(waiting.chunks[layer]) for layer in run.record.plan.layers)


def test_failed_chunks_are_not_waited_for(run: MemoryRun, board: MemoryBoard) -> None:
    """A chunk in the dead letters needs no task."""
    before = waiting_chunks(board, Registry(backend_of(run))).chunks[2]
    run.completion.add_failure(Failure(VOLUME.plan.chunk_at(2, 0), "DataError", "bad"))
    assert waiting_chunks(board, Registry(backend_of(run))).chunks[2] == before - 1


def test_paused_runs_start_nothing(run: MemoryRun, board: MemoryBoard) -> None:
    """While a run is paused it counts as without work, and stays on the board for when it goes on."""
    control.pause(run.scratch, "me")
    assert total_of(waiting_chunks(board, Registry(backend_of(run)))) == 0
    control.go_on(run.scratch)
    assert waiting_chunks(board, Registry(backend_of(run))).chunks[2] == VOLUME.plan.total(2)


def test_several_graphs(run: MemoryRun, board: MemoryBoard) -> None:
    """Graphs share the fleets, so their chunks add up; one whose run is gone is taken off the board."""
    other = MemoryRun.of(VOLUME, graph="other").start()
    for name in ("other", "gone"):
        board.announce(name)
    waiting = waiting_chunks(board, Registry(backend_of(run, other)))
    assert waiting.chunks[2] == 2 * VOLUME.plan.total(2) and board.graphs() == ["graph", "other"]


def test_schedulers_fire_twice(board: MemoryBoard) -> None:
    """Of two rounds within a period one starts tasks; when two periods have told nothing, a round starts more."""
    running, waiting = jobs(), Waiting({2: 1000})
    times = (0.0, 0.1, 59.0, 91.0, 210.0, 211.0, 211.1, 212.0)
    started = [dispatch([L2], waiting, board, running, now)[0].started for now in times]
    assert started == [2, 0, 0, 0, 0, 2, 0, 0] and len(running.open) == 2


def test_more_tasks_are_for_more_chunks(board: MemoryBoard) -> None:
    """Minute by minute: the fleet grows while a minute has more chunks done than before, and no further; the log
    says how many tasks it may have."""
    running, done, most = jobs(), 0, []
    for minute in range(60):
        waiting = Waiting({2: 10**6}, {2: done}, {2: {"graph.run"}})
        (turn,) = dispatch([L2], waiting, board, running, 60.0 * minute)
        done += 60 * 10 * min(8, turn.running + turn.started)
        most.append(turn.running)
    assert most == sorted(most) and 8 <= most[-1] <= 16 and most[-20:] == 20 * [most[-1]]
    assert turn.allowed == most[-1]


def test_only_layers_with_work(board: MemoryBoard) -> None:
    """A fleet without waiting chunks is not asked for, and one of several layers counts them all."""
    running = jobs()
    (turn,) = dispatch([L2, L3], Waiting({3: 1}), board, running, 0.0)
    assert (turn.job, turn.waiting, turn.started) == (L3.job, 1, 1)
    (turn,) = dispatch([replace(L2, layers=(2, 3, 4))], Waiting({2: 1, 4: 1}), board, running, 0.0)
    assert (turn.waiting, turn.started) == (2, 2)


class Refusing(MemoryJobs):
    """Jobs that cannot be run."""

    def run(self, job: str, tasks: int) -> str:
        """Refuses."""
        raise ConnectionError("quota")


def test_failure_gives_the_turn_back(board: MemoryBoard, caplog: pytest.LogCaptureFixture) -> None:
    """A Job that cannot be started is told of as an error, keeps no other from starting, and may try at once."""
    with caplog.at_level(logging.INFO):
        turns = dispatch([L2], Waiting({2: 9}), board, Refusing({L2.job}), 0.0)
    assert turns[0].error == "ConnectionError: quota" and turns[0].started == 0
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [("ERROR", "dispatch.failed")]
    missing, there = dispatch([L2, L3], Waiting({2: 9, 3: 9}), board, MemoryJobs({L3.job}), 0.0)
    assert StateError.__name__ in missing.error and there.started == 2
    assert dispatch([L2], Waiting({2: 9}), board, jobs(), 0.0)[0].started == 2


def test_a_crash_costs_a_period(board: MemoryBoard) -> None:
    """Whoever dies between claim and start leaves a turn that is taken; the next period starts tasks."""

    class Dying(MemoryBoard):
        def claim(self, name: str, now: float, seconds: float) -> bool:
            assert board.claim(name, now, seconds)
            raise SystemExit

    with pytest.raises(SystemExit):
        dispatch([L2], Waiting({2: 9}), Dying(), jobs(), 0.0)
    assert [dispatch([L2], Waiting({2: 9}), board, jobs(), now)[0].started for now in (1.0, 60.0)] == [0, 2]


def test_log(board: MemoryBoard, caplog: pytest.LogCaptureFixture) -> None:
    """Each fleet with work has a line a round, with the fields that dashboards count on."""
    with caplog.at_level(logging.INFO):
        dispatch([L2, L3], Waiting({2: 9}), board, jobs(), 0.0)
    (record,) = caplog.records
    assert record.getMessage() == "dispatch.turn"
    fields = vars(record)["fields"]
    assert fields == {"job": "j-l2", "layers": [2], "waiting": 9, "running": 0, "allowed": 2, "started": 2}


def test_one_unreadable_graph_stops_no_other(
    run: MemoryRun, board: MemoryBoard, caplog: pytest.LogCaptureFixture
) -> None:
    """A round goes on with the other graphs, and says which one it left out and why; alone it is an error."""
    broken = MemoryRun.of(VOLUME, graph="broken").start()
    board.announce("broken")
    broken.scratch.put(RECORD_NAME, b'{"version": 99}')
    assert waiting_chunks(board, Registry(backend_of(run, broken))).chunks[2] == VOLUME.plan.total(2)
    (line,) = [record for record in caplog.records if record.message == Event.GRAPH_UNREADABLE]
    assert line.__dict__["fields"]["graph"] == "broken" and "version 99" in line.__dict__["fields"]["reason"]
    board.withdraw("graph")
    with pytest.raises(DataError, match="version 99"):
        waiting_chunks(board, Registry(backend_of(run, broken)))


def test_rounds_leave_a_history(run: MemoryRun) -> None:
    """Each round adds a sample of what is done and at work to the history of a run; none once it is over, and a
    board that keeps nothing holds up no task."""
    backend = backend_of(run)
    backend.board().announce("graph")
    at_work, fleets = jobs(), [L2, L3]
    registry = Registry(backend)
    one_round(fleets, registry, at_work, 1000.0)
    some_work(run, 3)
    one_round(fleets, registry, at_work, 1060.0)
    first, second = read_history(backend.board(), "graph", run.record.run).samples
    assert (first.at_ms, first.done[2], first.tasks, first.queued) == (1_000_000, 0, 0, 16)
    assert (second.at_ms, second.done[2], second.tasks, second.failed) == (1_060_000, 3, 2, 0)

    class Full(MemoryBoard):
        def remember(self, name: str, facts: Mapping[str, float | str]) -> None:
            if name.startswith("history"):
                raise ConnectionError("out of reach")
            super().remember(name, facts)

    full, others = Full(), jobs()
    full.announce("graph")
    backend.board = lambda: full
    assert [turn.started for turn in one_round(fleets, registry, others, 2000.0)] == [2]
