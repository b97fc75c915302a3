"""One round of dispatch: what waits, by our own completion records; then at most one execution a fleet.

Why not Pub/Sub's backlog: its metrics lag by minutes. Invariants: rounds may run at the same time or twice
(schedulers fire so): a fleet's turn is claimed before tasks are started, and counts for a period. A turn
whose start fails is given back; one whose dispatcher died costs a period.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.dispatch.decide import tasks_to_start
from shared.dispatch.fleet import FLEETS_NAME, Fleet, decode_fleets
from shared.dispatch.ports import Jobs
from shared.errors import StateError
from shared.operate.status import run_status
from shared.run.done import is_finished
from shared.run.events import Event
from shared.run.ports import Board, Storage
from shared.run.registry import Registry

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """What became of one fleet in a round: chunks that wait for it, its tasks before, and those started."""

    job: str
    layers: tuple[int, ...]
    waiting: int
    running: int
    started: int
    error: str = ""


def read_fleets(scratch: Storage) -> list[Fleet]:
    """The fleets in the folder that holds all graphs' folders; StateError where nothing is deployed."""
    data = scratch.get([FLEETS_NAME])[FLEETS_NAME]
    file = f"{scratch.folder}/{FLEETS_NAME}"
    if data is None:
        raise StateError(
            f"{file} is not there, so nothing is deployed for it; type: make deploy DATASET=… PROJECT=…"
        )
    return decode_fleets(data, file)


def one_round(
    fleets: Sequence[Fleet], registry: Registry, jobs: Jobs, now: float, more: Mapping[int, int] | None = None
) -> list[Turn]:
    """Looks at what waits and starts tasks; what became of each fleet that has work.

    `more` chunks a layer wait that no record tells of; `now` is in seconds since 1970.
    """
    board = registry.progress.board()
    return dispatch(fleets, waiting_chunks(board, registry) + Counter(more or {}), board, jobs, now)


def waiting_chunks(board: Board, registry: Registry) -> Counter[int]:
    """Chunks a layer that are queued and not done, over all graphs on the board; of paused ones none.

    Graphs whose run is over, or gone, are taken off the board. Whatever is wrong with one graph is logged
    with its name, and keeps no other from being looked at; raised if not one could be.
    """
    found: Counter[int] = Counter()
    errors: list[Exception] = []
    graphs = board.graphs()
    for graph in graphs:
        try:
            found.update(_waiting_of(graph, board, registry))
        except Exception as error:
            errors.append(error)
            fields = {"graph": graph, "error": type(error).__name__, "reason": str(error)[:1000]}
            _log.error(Event.GRAPH_UNREADABLE, extra={"fields": fields})
    if errors and len(errors) == len(graphs):
        raise errors[0]
    return found


def _waiting_of(graph: str, board: Board, registry: Registry) -> dict[int, int]:
    record = registry.record(graph)
    if record is None:
        board.withdraw(graph)
        return {}
    completion = registry.completion(graph, record.run)
    if is_finished(record, completion):
        board.withdraw(graph)
        return {}
    if registry.control(graph).paused:
        return {}
    progress = completion.progress(record.plan.layers)
    status = run_status(record.plan, progress, completion.failures(), {}, 0.0)
    return {layer.layer: layer.queued for layer in status.layers}


def dispatch(
    fleets: Sequence[Fleet], waiting: Mapping[int, int], board: Board, jobs: Jobs, now: float
) -> list[Turn]:
    """Starts tasks where chunks wait; what became of each fleet that has any. A fleet that cannot be
    started says so in its turn and keeps no other from starting."""
    turns = []
    for fleet in fleets:
        chunks = sum(waiting.get(layer, 0) for layer in fleet.layers)
        if chunks:
            turns.append(_turn(fleet, chunks, board, jobs, now))
    return turns


def _turn(fleet: Fleet, chunks: int, board: Board, jobs: Jobs, now: float) -> Turn:
    running = started = 0
    error = ""
    try:
        found = jobs.running(fleet.job)
        running, wanted = found.tasks, tasks_to_start(fleet, chunks, found)
        if wanted and board.claim(fleet.name, now, fleet.period):
            try:
                jobs.run(fleet.job, wanted)
            except BaseException:
                board.release(fleet.name)
                raise
            started = wanted
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    turn = Turn(fleet.job, fleet.layers, chunks, running, started, error)
    _tell(turn)
    return turn


def _tell(turn: Turn) -> None:
    fields = {
        "job": turn.job.rpartition("/")[2],
        "layers": list(turn.layers),
        "waiting": turn.waiting,
        "running": turn.running,
        "started": turn.started,
    }
    if turn.error:
        _log.error(Event.DISPATCH_FAILED, extra={"fields": fields | {"reason": turn.error[:1000]}})
    else:
        _log.info(Event.DISPATCH_TURN, extra={"fields": fields})
