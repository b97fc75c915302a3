"""Following a run for whoever looks at it: each thing is read when it is time, within a budget of reads.

    watch.refresh(View(slice, chunk))     reads what is due; blocks as long as the service does
    watch.known, watch.records            what is known, from which everything is shown without a read

Nothing is read unless somebody asks, and nothing is written. Invariants: every read of Firestore is counted against
the budget, by one thread; a look that a service keeps from being taken leaves what was known; a run that was reset
is followed under its new name.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from shared.classify import Kind
from shared.errors import IngestError
from shared.estimate.prices import Prices
from shared.estimate.spent import cost
from shared.look.budget import Budget, Pace
from shared.look.known import Known
from shared.look.reading import (
    CHECKED,
    CHUNK,
    COST,
    COST_RECORDS,
    FAILURES,
    HISTORY,
    MOST_FAILURES,
    MOST_WORKERS,
    PROGRESS,
    VIEW,
    WORKERS,
    cost_reads,
    progress_reads,
)
from shared.look.records import Records
from shared.look.shown import undecided
from shared.look.slices import MOST_RECORDS, Slice
from shared.look.states import number_above
from shared.operate.account import account
from shared.operate.run import Run
from shared.operate.status import run_status
from shared.operate.watching import WINDOW
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from shared.run.history import Sample, read_history
from shared.run.ports import Failure, LayerProgress, State

STORED_SECONDS = 5.0
"""Between two looks at the objects of the graph's folder, which are no reads of Firestore."""


SPAN = 60.0
"""Seconds that a rate is over, at the least."""


@dataclass(frozen=True)
class View:
    """What somebody looks at beside the run as a whole."""

    slice: Slice | None = None
    chunk: Chunk | None = None


class Watch:
    """One run, for one person. `clock` gives seconds that only grow, `wall` those since 1970."""

    def __init__(
        self,
        run: Run,
        prices: Prices | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._prices, self._clock, self._wall = prices, clock, wall
        self.budget = Budget(clock)
        self._stored = Pace(self.budget, clock, STORED_SECONDS, 1.0)
        self._follow(run)

    def _follow(self, run: Run) -> None:
        """Begins with a run: nothing is known of it."""
        self.run = run
        self.known = Known()
        self.records = Records(run.record, run.completion, self._clock)
        pace = {name: Pace(self.budget, self._clock, *every) for name, every in _EVERY.items()}
        self.pace: Mapping[str, Pace] = pace
        self._progress: dict[int, LayerProgress] = {}
        self._looks: deque[tuple[float, dict[int, int]]] = deque(maxlen=WINDOW)
        self._failure: dict[Chunk, tuple[float, Failure | None]] = {}
        self._at_once = False
        self._moved = self._clock()

    def refresh(self, view: View | None = None, at_once: bool = False) -> None:
        """Reads what is due, or all of it `at_once`. What a service keeps from being read is said in
        `known.trouble`; other errors are raised."""
        self._at_once = at_once
        if at_once:
            for pace in (self._stored, *self.pace.values()):
                pace.soon()
        try:
            self._look_at_folder()
            self._look_at_history()
            self._look_at_progress()
            self._look_at_failures()
            self._look_at_work()
            if view is not None:
                self._look_at_view(view)
            self._look_at_cost()
        except IngestError as error:
            self._trouble(str(error))
        except Exception as error:
            if not is_outage(self.run, error):
                raise
            self._trouble(f"{type(error).__name__}: {error}")
        else:
            now, starved = int(self._wall() * 1000), not self.budget.has(1)
            self.known = replace(self.known, trouble="", seen_ms=now, starved=starved)

    def failure(self, chunk: Chunk) -> Failure | None:
        """What is noted of a chunk, as it was read last."""
        _, found = self._failure.get(chunk, (0.0, None))
        return found or self.known.failures.get(chunk)

    def next_look(self, slice: Slice) -> float | None:
        """Seconds until a view is looked at again; None if nothing of it can change."""
        plan = self.run.record.plan
        above = _above(plan, [chunk for chunk in slice.chunks() if chunk in plan])
        oldest = self.records.oldest(above)
        return None if oldest is None else max(0.0, oldest + self._period(above, VIEW) - self._clock())

    def _trouble(self, text: str) -> None:
        self.known = replace(self.known, trouble=text)

    def _look_at_folder(self) -> None:
        """Whether the run was reset, or paused."""
        if not self._stored.due(0):
            return
        current = Run.open(self.run.backend, self.run.graph)
        if current.record.run != self.run.record.run:
            self._follow(current)
        self.known = replace(self.known, paused=current.paused)
        self._stored.looked(0)

    def _look_at_history(self) -> None:
        pace = self.pace["history"]
        if not pace.due(1):
            return
        found = read_history(self.run.backend.board(), self.run.graph, self.run.record.run)
        pace.looked(1)
        self.known = replace(self.known, history=found.samples)
        if found.samples and self._progress:
            self._advance(found.samples[-1])

    def _advance(self, sample: Sample) -> None:
        """Takes the counts of a sample that is younger than the last look: another paid for it."""
        at = self._clock() - (self._wall() - sample.at_ms / 1000)
        if not self._looks or at <= self._looks[-1][0]:
            return
        for layer, done in sample.done.items():
            if layer in self._progress:
                before = self._progress[layer]
                self._progress[layer] = replace(before, done=max(before.done, done))
        self._note_look(at)

    def _look_at_progress(self) -> None:
        reads, pace = progress_reads(self.run.record.plan), self.pace["progress"]
        if not pace.due(reads):
            return
        found = self.run.completion.progress(self.run.record.plan.layers)
        pace.looked(reads)
        if self.run.completion.stale:
            raise ConnectionError(self.run.completion.stale)
        self._progress = dict(found)
        self._note_look(self._clock())

    def _look_at_failures(self) -> None:
        """Lists failures, and leaves out those whose chunks are done by now, as far as that is looked up."""
        pace, plan = self.pace["failures"], self.run.record.plan
        if not pace.due(MOST_FAILURES + CHECKED):
            return
        listed = self.run.completion.some_failures(MOST_FAILURES)
        current = [one for one in listed if one.state is not State.REPLAYED and one.chunk in plan]
        checked = self.records.changing(_above(plan, [failure.chunk for failure in current]))[:CHECKED]
        pace.looked(max(1, len(listed)) + self.records.read(checked))
        still = {failure.chunk: failure for failure in current if not self.is_done(failure.chunk)}
        self.known = replace(self.known, failures=still, more_failures=len(listed) == MOST_FAILURES)
        self._tell()

    def _look_at_work(self) -> None:
        pace = self.pace["workers"]
        if not pace.due(MOST_WORKERS):
            return
        found = self.run.completion.at_work(MOST_WORKERS)
        pace.looked(max(1, len(found)))
        latest = {at.chunk: at for at in sorted(found, key=lambda at: at.since_ms)}
        self.known = replace(self.known, at_work=latest)

    def _look_at_cost(self) -> None:
        """Reckons what the run has cost so far, from a few records."""
        plan, pace = self.run.record.plan, self.pace["cost"]
        if self._prices is None or self.run.record.upgrade or not pace.due(cost_reads(plan)):
            return
        begun = self.run.record.timestamp_ms
        taken = account(plan, self.run.completion, begun, COST_RECORDS, self._progress)
        pace.looked(cost_reads(plan))
        found = cost(self.run.books.kept().expected, taken.layers, self._prices)
        self.known = replace(self.known, cost=found, cost_known=taken.known)

    def _look_at_view(self, view: View) -> None:
        """Reads the records of a view that were never read, at once, and the others when it is time."""
        plan, reads = self.run.record.plan, 0
        if view.slice is not None:
            inside = [chunk for chunk in view.slice.chunks() if chunk in plan]
            reads += self._read(_above(plan, inside), VIEW)
            own = undecided(plan, inside, self.known, self.records)
            reads += self._read(own, VIEW) if len(own) <= MOST_RECORDS else 0
        if view.chunk is not None:
            own = [view.chunk] if plan.dependencies(view.chunk) else []
            reads += self._read([*own, *_above(plan, [view.chunk])], CHUNK)
            reads += self._look_for_failure(view.chunk)
        self.budget.spend(reads)

    def _read(self, waiting: list[Chunk], every: tuple[float, float]) -> int:
        """Reads those that were never read, and those that are old enough to be read again; how many."""
        wanted = self.records.wanted(waiting, self._period(waiting, every))
        return self.records.read(wanted) if wanted and self.budget.has(len(wanted)) else 0

    def _period(self, waiting: list[Chunk], every: tuple[float, float]) -> float:
        least, rate = every
        return 0.0 if self._at_once else max(least, len(self.records.changing(waiting)) / rate)

    def _look_for_failure(self, chunk: Chunk) -> int:
        at, _ = self._failure.get(chunk, (float("-inf"), None))
        if self._clock() - at < CHUNK[0] or not self.budget.has(1):
            return 0
        found = self.run.completion.failure(chunk)
        # Of many chunks nothing is remembered.
        self._failure = {**dict(list(self._failure.items())[-100:]), chunk: (self._clock(), found)}
        return 1

    def is_done(self, chunk: Chunk) -> bool:
        """Whether a chunk's end is noted, as far as that was read."""
        above, bit = number_above(self.run.record.plan, chunk)
        seen = self.records.get(above)
        return seen is not None and bool(seen.done >> bit & 1)

    def _note_look(self, at: float) -> None:
        done = {layer: progress.done for layer, progress in self._progress.items()}
        if self._looks and done != self._looks[-1][1]:
            self._moved = at
        self._looks.append((at, done))
        self._tell()

    def _tell(self) -> None:
        """Makes the status of what is known."""
        if not self._looks:
            return
        at, _ = self._looks[-1]
        since, before = self._before(at)
        failures = self.known.failures.values()
        status = run_status(self.run.record.plan, self._progress, failures, before, at - since)
        quiet = self._clock() - self._moved
        self.known = replace(self.known, status=status, quiet_seconds=quiet)

    def _before(self, at: float) -> tuple[float, dict[int, int]]:
        """What rates are over: the first of the last looks; if that is only a moment old, an older sample, or the
        run's begin."""
        since, done = self._looks[0]
        if at - since >= SPAN:
            return since, done
        now = self._wall()
        for sample in reversed(self.known.history):
            if sample.at_ms / 1000 <= now - SPAN:
                return at - (now - sample.at_ms / 1000), dict(sample.done)
        return at - (now - self.run.record.timestamp_ms / 1000), {}


def is_outage(run: Run, error: Exception) -> bool:
    """Whether what a page shows is only out of reach."""
    return run.backend.classify(error) in (Kind.OUTAGE, Kind.BLOCKED)


def _above(plan: Plan, chunks: list[Chunk]) -> list[Chunk]:
    """The records in which the ends of chunks are noted."""
    return list(dict.fromkeys(number_above(plan, chunk)[0] for chunk in chunks))


_EVERY = {"progress": PROGRESS, "failures": FAILURES, "workers": WORKERS, "history": HISTORY, "cost": COST}
