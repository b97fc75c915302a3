"""What is said of a run while it is watched, beside its progress: it cannot be seen, workers wait, nothing moves.

Plain values and a clock in, lines out; nothing here prints. Invariants: each thing is said once, and again when
it is another, or after `again` seconds; with the last chunk that was done all that was said before is over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.operate.reasons import Reason, in_words
from shared.operate.status import RunStatus


@dataclass(frozen=True)
class Patience:
    """Seconds: without a look at the progress; since the last chunk before workers' reasons are told; without any
    chunk at first, and later on, before that is told; and before the same is told again."""

    unseen: float
    waiting: float
    first: float
    stalled: float
    again: float


HERE = Patience(unseen=6.0, waiting=4.0, first=20.0, stalled=120.0, again=300.0)
"""On this machine, where all is near."""

PROJECT = Patience(unseen=60.0, waiting=60.0, first=300.0, stalled=300.0, again=900.0)
"""In a project, where tasks take a minute to start, and services have their moments."""


class Notices:
    """The lines for one run; `where` finds it on make's command line, `service` holds its progress."""

    def __init__(self, where: str, service: str, patience: Patience, clock: Callable[[], float]) -> None:
        self._where, self._service, self._patience, self._clock = where, service, patience, clock
        self._seen = self._moved = clock()
        self._done: int | None = None
        self._begun = False
        self._unseen_told: float | None = None
        self._still_told: float | None = None
        self._kinds: frozenset[str] = frozenset()

    def saw(self, status: RunStatus, waiting: Sequence[Reason]) -> list[str]:
        """What is to be said after a look; `waiting` has the reasons of workers that wait."""
        now, lines = self._clock(), []
        if self._unseen_told is not None:
            lines.append(f"{self._service} answers again")
        self._seen, self._unseen_told = now, None
        done = status.done + status.failed
        if self._done is None or done != self._done:
            self._begun = self._begun or (self._done is not None and done > self._done)
            self._done, self._moved = done, now
            self._still_told, self._kinds = None, frozenset()
            return lines
        idle, kinds = now - self._moved, frozenset(reason.error for reason in waiting)
        limit = self._patience.stalled if self._begun else self._patience.first
        still = idle >= limit and _due(self._still_told, now, self._patience.again) and status.under_way > 0
        if still:
            self._still_told = now
            lines.append(self._still(idle, status.under_way, bool(waiting)))
        if waiting and idle >= self._patience.waiting and (still or kinds - self._kinds):
            self._kinds |= kinds
            lines += [f"waiting: {line}" for line in in_words(waiting)]
        return lines

    def unseen(self, reason: str) -> list[str]:
        """What is to be said while no look can be taken, for a reason if one is known."""
        now = self._clock()
        silent = now - self._seen
        if silent < self._patience.unseen or not _due(self._unseen_told, now, self._patience.again):
            return []
        self._unseen_told = now
        told = f" ({' '.join(reason.split())[:300]})" if reason else ""
        return [
            f"{self._service} does not answer for {silent:.0f} s{told}, so how far the run is cannot be seen "
            "and its workers wait. All goes on when it answers again; Ctrl-C leaves"
        ]

    def _still(self, idle: float, under_way: int, told: bool) -> str:
        why = "" if told else " No worker has told why."
        return (
            f"no chunk was done for {idle:.0f} s, though {under_way:,} are queued.{why} See: make status "
            f"{self._where}, make failed {self._where}. If messages or progress were lost: make "
            f"resume {self._where}"
        )


def _due(told: float | None, now: float, again: float) -> bool:
    return told is None or now - told >= again
