"""Waiting for a run to end: one look after the other, each a status with rates over the last looks.

A look sums over all completion records, which the service charges for by the thousand, so larger runs are
looked at less often; and failures, each of which is a read and whose chunk is up to eight more, the less often the
more there are. Nothing here prints; who waits shows what is yielded. A look that a
service keeps from being taken ends nothing: it is taken again, as whoever watches has no part in the run.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from shared.classify import Kind
from shared.operate.replay import still_failed
from shared.operate.run import Run
from shared.operate.status import RunStatus, run_status
from shared.plan.grid import Chunk
from shared.run.ports import Failure
from shared.run.registry import READS_A_SECOND

_log = logging.getLogger(__name__)

CHUNKS_A_SECOND = 20_000
"""A run is looked at every (chunks / this) seconds, from half a second to a minute."""
WINDOW = 30
"""Looks over which the rate is taken."""
COLLECT = 10.0
"""Seconds between two looks at the dead letters."""


CHECKED = 100
"""Failures of which it is looked up at one look whether they still are any."""


@dataclass(frozen=True)
class Unseen:
    """A look that could not be taken, and why."""

    reason: str


class Failures:
    """The failures of a run, asked for again when they are a moment old; less often when that takes long, or
    reads much.

    Of many a part is checked at each look, new and changed ones first, then those that were checked longest ago;
    the others count as failures still. Dead letters are noted now and then: those of Pub/Sub itself, which no
    worker knows of.
    """

    def __init__(self, run: Run, clock: Callable[[], float]) -> None:
        self._run, self._clock = run, clock
        self._found: list[Failure] = []
        self._checked: dict[Chunk, Failure] = {}
        """As they were when they were checked, the longest ago first."""
        self._next = self._collected = float("-inf")
        self.fresh = False
        """Whether the last answer was looked up for it."""

    def now(self) -> list[Failure]:
        """All of them, as of a moment ago."""
        begun = self._clock()
        if begun >= self._collected:
            try:
                self._run.collect_dead_letters()
            except Exception as error:
                if self._run.backend.classify(error) is not Kind.OUTAGE:
                    raise
                _log.debug("dead letters are looked at later: %s", error)
            self._collected = begun + COLLECT
            begun = self._clock()
        self.fresh = begun >= self._next
        if self.fresh:
            reads = self._look()
            took = self._clock() - begun
            self._next = self._clock() + max(1.0, min(30.0, 5 * took), reads / READS_A_SECOND)
        return self._found

    def expire(self) -> None:
        """Has the next answer be looked up."""
        self._next = float("-inf")

    def _look(self) -> int:
        """Looks at all failures, and checks some; about how many records were read."""
        listed = self._run.completion.failures()
        current = {failure.chunk: failure for failure in listed}
        known = {chunk: failure for chunk, failure in self._checked.items() if current.get(chunk) == failure}
        new = [failure for failure in listed if failure.chunk not in known]
        picked = list(islice(chain(new, known.values()), CHECKED))
        kept = {failure.chunk for failure in still_failed(self._run.record, self._run.completion, picked)}
        for failure in picked:
            known.pop(failure.chunk, None)
            if failure.chunk in kept:
                known[failure.chunk] = failure
            else:
                del current[failure.chunk]
        self._checked, self._found = known, list(current.values())
        return len(listed) + 8 * len(picked)


def looks(
    run: Run, wait: Callable[[float], object] = time.sleep, clock: Callable[[], float] = time.monotonic
) -> Iterator[RunStatus | Unseen]:
    """Statuses of a run until it is finished, or nothing is under way; the last one is how it ended.

    `wait` waits between two looks, `clock` gives seconds. While a service is out of reach there are looks that
    saw nothing; other errors are raised.
    """
    plan, failures = run.record.plan, Failures(run, clock)
    history: deque[tuple[float, dict[int, int]]] = deque(maxlen=WINDOW)
    period = min(60.0, max(0.5, sum(map(plan.total, plan.layers)) / CHUNKS_A_SECOND))
    while True:
        now = clock()
        try:
            progress = run.completion.progress(plan.layers)
            if run.completion.stale:
                yield Unseen(run.completion.stale)
                wait(period)
                continue
            failed = failures.now()
        except Exception as error:
            if run.backend.classify(error) is not Kind.OUTAGE:
                raise
            yield Unseen(f"{type(error).__name__}: {error}")
            wait(period)
            continue
        history.append((now, {layer: at.done for layer, at in progress.items()}))
        since, before = history[0]
        status = run_status(plan, progress, failed, before, now - since)
        yield status
        if status.finished:
            return
        if status.under_way == 0 and _stands_still(history):
            if failures.fresh:
                return
            failures.expire()
        wait(period)


def _stands_still(history: deque[tuple[float, dict[int, int]]]) -> bool:
    """Whether the last samples are alike: a parent is counted as queued a moment after its child is done."""
    return len(history) >= 4 and all(history[-1][1] == history[-back][1] for back in (2, 3, 4))
