"""What waits for tasks: chunks that are queued and not done, by our own completion records.

Why not Pub/Sub's backlog: its metrics lag by minutes.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from shared.operate.status import RunStatus, run_status
from shared.run.done import is_finished
from shared.run.events import Event
from shared.run.ports import Board
from shared.run.registry import Registry

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Looked:
    """A run that was looked at: `status` has no layers where it has no work for tasks, or is over."""

    graph: str
    run: str
    status: RunStatus

    @property
    def name(self) -> str:
        """What names the run among those of all graphs."""
        return f"{self.graph}.{self.run}"


@dataclass(frozen=True)
class Waiting:
    """By layer, over all runs: `chunks` that wait, and, of the runs with such chunks, `done` chunks and `runs`; and
    each run that was `looked` at."""

    chunks: Mapping[int, int]
    done: Mapping[int, int] = field(default_factory=dict)
    runs: Mapping[int, set[str]] = field(default_factory=dict)
    looked: Sequence[Looked] = ()

    def with_more(self, chunks: Mapping[int, int]) -> Waiting:
        """The same with more chunks, which no record tells of."""
        return replace(self, chunks=Counter(self.chunks) + Counter(chunks))


def waiting_chunks(board: Board, registry: Registry) -> Waiting:
    """What waits of all graphs on the board; of paused ones nothing.

    Graphs whose run is over, or gone, are taken off the board. Whatever is wrong with one graph is logged
    with its name, and keeps no other from being looked at; raised if not one could be.
    """
    chunks: Counter[int] = Counter()
    done: Counter[int] = Counter()
    runs: defaultdict[int, set[str]] = defaultdict(set)
    errors: list[Exception] = []
    looked: list[Looked] = []
    graphs = board.graphs()
    for graph in graphs:
        try:
            found = _look(graph, board, registry)
        except Exception as error:
            errors.append(error)
            fields = {"graph": graph, "error": type(error).__name__, "reason": str(error)[:1000]}
            _log.error(Event.GRAPH_UNREADABLE, extra={"fields": fields})
            continue
        looked.append(found)
        for layer in found.status.layers:
            chunks[layer.layer] += layer.queued
            if layer.queued:
                done[layer.layer] += layer.done
                runs[layer.layer].add(found.name)
    if errors and len(errors) == len(graphs):
        raise errors[0]
    return Waiting(chunks, done, runs, looked)


def _look(graph: str, board: Board, registry: Registry) -> Looked:
    """How far a graph's run is, without layers where it has no work for tasks."""
    record = registry.record(graph)
    if record is None:
        board.withdraw(graph)
        return Looked(graph, "", RunStatus([]))
    completion = registry.completion(graph, record.run)
    if is_finished(record, completion):
        board.withdraw(graph)
        return Looked(graph, record.run, RunStatus([]))
    if registry.control(graph).paused:
        return Looked(graph, record.run, RunStatus([]))
    progress = completion.progress(record.plan.layers)
    failures = registry.failures(graph, record.run)
    return Looked(graph, record.run, run_status(record.plan, progress, failures, {}, 0.0))
