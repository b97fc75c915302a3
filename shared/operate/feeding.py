"""The lowest layer of a large run is queued some at a time, so that its queue holds few messages of each graph.

Why: a layer has one subscription for all graphs, and Pub/Sub hands its messages out in no order that could be
relied on, often the oldest first. With a million messages of one graph in it a second one would wait for days. So
each run has about as many messages there as workers take in `AHEAD_SECONDS`, whoever it is, and what two runs get
is about the same. Fewer messages also never come near the seven days after which Pub/Sub drops them.

What is queued is noted by `shared.run.queued`.

Which layer: 2, or 1 where a segmentation is cut; parts of its tables (layer 0) are few, and come before: then
nothing of layer 1 is queued until all of them are done. Who feeds: any worker of these layers, one at a time (a
turn on the board), every `LOOK_SECONDS`, at work or idle. Invariants: messages are published before it is noted how
many, so a crash between has some published twice, and none lost; without the object, or with one of another run,
everything counts as queued."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from shared.run.backend import Backend
from shared.run.events import Event
from shared.run.ports import Board, Completion, Queue, Storage
from shared.run.queued import LEAST, Queued, in_order, read_queued, tables_done, write_queued
from shared.run.record import RunRecord
from shared.run.registry import Registry, graph_folder

LOOK_SECONDS = 20.0
AHEAD_SECONDS = 120.0
MOST = 200_000
"""Messages that a run has waiting, at the speed at which it goes: never more, and `LEAST` at first."""

TURN = "feeding"

_log = logging.getLogger(__name__)


def more_to_queue(queued: Queued, total: int, done: int, dead: int, now: float, least: int = LEAST) -> int:
    """How many more chunks of a layer are queued now: up to what the run does in `AHEAD_SECONDS`, once half of
    that is done."""
    seconds = max(now - queued.when, 1.0)
    wanted = min(MOST, max(least, int((done - queued.done) / seconds * AHEAD_SECONDS)))
    waiting = max(0, queued.count - done - dead)
    return min(total - queued.count, wanted - waiting) if waiting <= wanted // 2 else 0


def feed(
    record: RunRecord, scratch: Storage, completion: Completion, queue: Queue, now: float, least: int = LEAST
) -> int:
    """Queues more of the lowest layer, if it is time; how many chunks."""
    fed = record.plan.fed
    queued, total = read_queued(record, scratch), record.plan.total(fed)
    if queued is None or queued.count >= total or not tables_done(record, completion):
        return 0
    done = completion.progress([fed])[fed].done
    dead = sum(failure.dead for failure in completion.failures() if failure.chunk.layer == fed)
    more = more_to_queue(queued, total, done, dead, now, least)
    if more <= 0:
        return 0
    queue.publish(fed, map(record.message, in_order(record, queued.count, queued.count + more)))
    write_queued(scratch, Queued(record.run, queued.count + more, done, now))
    return more


@dataclass
class Feeder:
    """Feeds all runs on the board, when it is time and this worker's turn; `clock` gives seconds since 1970."""

    backend: Backend
    queue: Queue
    clock: Callable[[], float]
    least: int = LEAST
    _next: float = field(default=float("-inf"), init=False)

    def __call__(self) -> None:
        """Looks, unless that was done a moment ago. Whatever is wrong is left to the next look."""
        now = self.clock()
        if now < self._next:
            return
        self._next = now + LOOK_SECONDS
        try:
            graphs = self._board.graphs() if self._board.claim(TURN, now, LOOK_SECONDS / 2) else []
        except Exception as error:
            _log.debug("nothing is fed: %s", error)
            return
        for graph in graphs:
            try:
                self._feed(graph, now)
            except Exception as error:
                _log.warning("graph %s is not fed: %s: %s", graph, type(error).__name__, error)

    def _feed(self, graph: str, now: float) -> None:
        record = self._registry.record(graph)
        if record is None or self._registry.control(graph).paused:
            return
        completion = self._registry.completion(graph, record.run)
        count = feed(record, graph_folder(self.backend, graph), completion, self.queue, now, self.least)
        if count:
            _log.info(Event.RUN_FED, extra={"fields": {"graph": graph, "run": record.run, "queued": count}})

    @cached_property
    def _board(self) -> Board:
        return self.backend.board()

    @cached_property
    def _registry(self) -> Registry:
        return Registry(self.backend)
