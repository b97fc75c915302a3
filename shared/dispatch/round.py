"""One round of dispatch: for each fleet that chunks wait for, at most one execution is started.

Invariants: rounds may run at the same time or twice (schedulers fire so): a fleet's turn is claimed before
tasks are started, and counts for a period. A turn whose start fails is given back; one whose dispatcher died
costs a period. What is remembered of a fleet's pace may be lost or written twice: then it is measured again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.dispatch.decide import tasks_to_start
from shared.dispatch.fleet import FLEETS_NAME, Fleet, decode_fleets
from shared.dispatch.growth import Pace, Seen, most_tasks, paced
from shared.dispatch.ports import Jobs
from shared.dispatch.waiting import Waiting, waiting_chunks
from shared.errors import StateError
from shared.run.events import Event
from shared.run.history import Sample, note_sample
from shared.run.ports import Board, Storage
from shared.run.registry import Registry

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Turn:
    """What became of one fleet in a round: chunks that wait for it, its tasks before, those started, and how
    many it may have by what they get done."""

    job: str
    layers: tuple[int, ...]
    waiting: int
    running: int
    started: int
    allowed: int = 0
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
    waiting = waiting_chunks(board, registry).with_more(more or {})
    turns = dispatch(fleets, waiting, board, jobs, now)
    _note(waiting, turns, board, now)
    return turns


def dispatch(fleets: Sequence[Fleet], waiting: Waiting, board: Board, jobs: Jobs, now: float) -> list[Turn]:
    """Starts tasks where chunks wait; what became of each fleet that has any. A fleet that cannot be
    started says so in its turn and keeps no other from starting."""
    turns = []
    for fleet in fleets:
        chunks = sum(waiting.chunks.get(layer, 0) for layer in fleet.layers)
        if chunks:
            turns.append(_turn(fleet, chunks, waiting, board, jobs, now))
    return turns


def _note(waiting: Waiting, turns: Sequence[Turn], board: Board, now: float) -> None:
    """Adds a sample to the history of each run with work, as well as that can be done: nothing depends on it."""
    for found in waiting.looked:
        if not found.status.layers:
            continue
        layers = {layer.layer: layer for layer in found.status.layers}
        tasks = sum(turn.running for turn in turns if any(layers[at].queued for at in turn.layers if at in layers))
        done = {at: layer.done for at, layer in layers.items()}
        sample = Sample(int(now * 1000), done, tasks, found.status.under_way, found.status.failed)
        try:
            note_sample(board, found.graph, found.run, sample)
        except Exception as error:
            _log.debug("no sample of %s was noted: %s", found.name, error)


def _turn(fleet: Fleet, chunks: int, waiting: Waiting, board: Board, jobs: Jobs, now: float) -> Turn:
    running = started = allowed = 0
    error = ""
    try:
        found = jobs.running(fleet.job)
        running, allowed = found.tasks, _allowed(fleet, found.tasks, waiting, board, now)
        wanted = tasks_to_start(fleet, chunks, found, allowed)
        if wanted and board.claim(fleet.name, now, fleet.period):
            try:
                jobs.run(fleet.job, wanted)
            except BaseException:
                board.release(fleet.name)
                raise
            started = wanted
    except Exception as failure:
        error = f"{type(failure).__name__}: {failure}"
    turn = Turn(fleet.job, fleet.layers, chunks, running, started, allowed, error)
    _tell(turn)
    return turn


def _allowed(fleet: Fleet, tasks: int, waiting: Waiting, board: Board, now: float) -> int:
    """How many tasks the fleet may have, by what is remembered of it and seen now."""
    runs = {run for layer in fleet.layers for run in waiting.runs.get(layer, ())}
    done = sum(waiting.done.get(layer, 0) for layer in fleet.layers)
    before = Pace.of_facts(board.recall(fleet.name))
    pace = paced(before, Seen(" ".join(sorted(runs)), now, tasks, done), fleet.period)
    if pace != before:
        board.remember(fleet.name, pace.as_facts())
    return most_tasks(fleet, pace, now)


def _tell(turn: Turn) -> None:
    fields = {
        "job": turn.job.rpartition("/")[2],
        "layers": list(turn.layers),
        "waiting": turn.waiting,
        "running": turn.running,
        "allowed": turn.allowed,
        "started": turn.started,
    }
    if turn.error:
        _log.error(Event.DISPATCH_FAILED, extra={"fields": fields | {"reason": turn.error[:1000]}})
    else:
        _log.info(Event.DISPATCH_TURN, extra={"fields": fields})
