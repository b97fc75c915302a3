"""How far a fleet may grow: only while its tasks together get more done than before.

More tasks than the table takes the rows of wait for it, and are paid for it. Nothing tells what the table takes,
but the completion records tell how many chunks are done. So the chunks a second of each number of tasks are
measured, and compared with what so many tasks would do if each did what one did at its best. Where they do all
of that, the fleet grows by its whole factor; the less they do, the less it grows, and from ENOUGH down not at
all. When the table gets more nodes, the rate rises by itself, and the fleet grows again.

Invariants: plain numbers in and out, and a few of them are kept between rounds, however long a run is. A rate is
taken while the number of tasks stays as it is, once those that were started last have had WARM seconds to begin.
With a table that stays as it is, a fleet only grows, and never to more than `factor` times what the table takes
(nor is it less than its first tasks); tasks that ended are replaced up to what is of use. Where too few chunks
are done to tell, as in the highest layers, a fleet grows as if each task did its part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.dispatch.fleet import Fleet

ENOUGH = 0.75
"""The part of their best that tasks must do, on average, for more of them to be started."""

WARM = 90.0
"""Seconds from a start until all of its tasks are at work: an image is pulled, connections are made."""

LEAST = 200
"""Chunks that a rate is taken of: so many differ from their mean by 7 % in two of three cases."""

SAME = 0.1
"""Two numbers of tasks that differ by less than this part count as the same."""

PATIENCE = 2
"""Periods after which a fleet is said to be too slow to be measured."""


@dataclass(frozen=True)
class Seen:
    """What a round of dispatch sees of a fleet: at `now` (seconds), `tasks` under way, and `done` chunks of its
    layers, over all runs that have work for it; `of` names those runs, with spaces between."""

    of: str
    now: float
    tasks: int
    done: int


@dataclass(frozen=True)
class Pace:
    """What is remembered of a fleet: the window in which a rate is taken, the last rate, and the best.

    `tasks` were seen first at `since`; the window begins at `begun` (0: not yet) with `done` chunks. The last
    measured `rate` (chunks a second) is that of `measured` tasks (0: none yet); `best` is the highest rate of
    one task (0: unknown).
    """

    of: str
    tasks: int
    since: float
    begun: float = 0.0
    done: int = 0
    measured: int = 0
    rate: float = 0.0
    best: float = 0.0

    def as_facts(self) -> dict[str, float | str]:
        """As plain values to be stored."""
        return dict(vars(self))

    @classmethod
    def of_facts(cls, facts: Mapping[str, float | str]) -> Pace | None:
        """What was stored; None for nothing, and for what another release stored."""
        try:
            return cls(**facts)  # type: ignore[arg-type]
        except TypeError:
            return None


def paced(before: Pace | None, seen: Seen, period: float) -> Pace:
    """What is remembered after a round; `period` is how long a rate is taken.

    Begins anew where no task is under way, and with runs of which none was there before, whose chunks are
    others: so a measurement that was wrong, for whatever reason, is gone after a pause. Where a run only came or
    went the best rate is kept, and the window begins anew, as `done` counts other chunks.
    """
    if before is None or not (seen.tasks and before.tasks) or not _overlap(before.of, seen.of):
        return Pace(seen.of, seen.tasks, seen.now)
    if before.of != seen.of:
        return replace(before, of=seen.of, tasks=seen.tasks, since=seen.now, begun=0.0)
    if not _same(seen.tasks, before.tasks):
        return replace(before, tasks=seen.tasks, since=seen.now, begun=0.0)
    if not before.begun:
        ready = seen.now - before.since >= WARM
        return replace(before, begun=seen.now, done=seen.done) if ready else before
    seconds, done = seen.now - before.begun, seen.done - before.done
    expected = before.best * before.tasks * seconds
    if seconds < period or max(done, expected) < LEAST:
        return before
    rate = max(0, done) / seconds
    return replace(
        before,
        begun=seen.now,
        done=seen.done,
        measured=before.tasks,
        rate=rate,
        best=max(before.best, rate / before.tasks),
    )


def most_tasks(fleet: Fleet, pace: Pace, now: float) -> int:
    """The most tasks that the fleet may have now, by its pace."""
    tasks = pace.tasks
    if pace.measured and _same(tasks, pace.measured) and pace.best:
        useful = pace.rate / pace.best
        share = (useful / pace.measured - ENOUGH) / (1 - ENOUGH)
        allowed = int(tasks * (1 + (fleet.factor - 1) * min(1.0, max(0.0, share))))
    elif pace.begun and now - pace.begun >= PATIENCE * fleet.period:
        allowed = int(tasks * fleet.factor)
    else:
        allowed = tasks
        if pace.measured > tasks and pace.best:
            # Some ended since the last rate was taken: back to what was of use then.
            allowed = max(tasks, min(pace.measured, int(pace.rate / pace.best / ENOUGH)))
    return max(fleet.start, allowed)


def _overlap(runs: str, others: str) -> bool:
    return not set(runs.split()).isdisjoint(others.split()) or runs == others


def _same(tasks: int, other: int) -> bool:
    return abs(tasks - other) <= SAME * other
