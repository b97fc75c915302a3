"""How a run went: a sample now and then of what was done and how many tasks were at work, for a curve.

Why rounds of dispatch take them: they look at every run anyway, whoever else does or does not. Invariants: a
history has `MOST` samples at the most, however long a run is, as every second one is dropped when there are more
and the rest are taken half as often; so it is one small document, which one read brings. It may be lost, and is
only for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from shared.run.ports import Board

MOST = 512
LEAST_SECONDS = 2.0
"""Between two samples, at first."""

_KEY = "samples"


@dataclass(frozen=True)
class Sample:
    """What was seen at one moment (milliseconds since 1970): chunks done by layer, tasks at work on these layers
    (those of other graphs too), and chunks of this run that were queued, and that were in the dead letters."""

    at_ms: int
    done: Mapping[int, int]
    tasks: int = 0
    queued: int = 0
    failed: int = 0


@dataclass(frozen=True)
class History:
    """Samples, the oldest first, at least `seconds` apart but for the last one."""

    samples: tuple[Sample, ...] = ()
    seconds: float = field(default=LEAST_SECONDS)

    def due(self, at_ms: int) -> bool:
        """Whether it is time for another sample."""
        return not self.samples or at_ms - self.samples[-1].at_ms >= self.seconds * 1000

    def with_sample(self, sample: Sample) -> History:
        """One sample more; where that is too many, every second one fewer."""
        samples = (*self.samples, sample)
        if len(samples) <= MOST:
            return replace(self, samples=samples)
        return History(samples[::2], self.seconds * 2)

    def as_facts(self) -> dict[str, float | str]:
        """As a board keeps it."""
        rows = [
            [one.at_ms, one.tasks, one.queued, one.failed, {str(layer): count for layer, count in one.done.items()}]
            for one in self.samples
        ]
        return {"seconds": self.seconds, _KEY: json.dumps(rows, separators=(",", ":"))}

    @classmethod
    def of_facts(cls, facts: Mapping[str, float | str]) -> History:
        """What a board kept; empty for whatever is no history."""
        try:
            rows = json.loads(str(facts.get(_KEY, "[]")))
            samples = tuple(
                Sample(int(at), {int(layer): int(count) for layer, count in done.items()}, *map(int, counts))
                for at, *counts, done in rows
            )
            return cls(samples, float(facts.get("seconds", LEAST_SECONDS)))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return cls()


def read_history(board: Board, graph: str, run: str) -> History:
    """The history of a run, empty where there is none."""
    return History.of_facts(board.recall(_name(graph, run)))


def note_sample(board: Board, graph: str, run: str, sample: Sample) -> bool:
    """Adds a sample to the history of a run, if it is time for one; whether it was."""
    history = read_history(board, graph, run)
    if not history.due(sample.at_ms):
        return False
    board.remember(_name(graph, run), history.with_sample(sample).as_facts())
    return True


def _name(graph: str, run: str) -> str:
    """A name that no fleet has, as it has a dot."""
    return f"history.{graph}.{run}"
