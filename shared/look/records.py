"""Completion records that were read for a page: those that cannot change any more are read once.

Invariants: each record that is read is counted; memory is bounded; one thread reads, and any may ask for what was
read. A record that is full and published never changes, so it is kept for good; the others are read again when they
are older than the caller wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.plan.grid import Chunk
from shared.run.facts import Seen
from shared.run.ports import Completion
from shared.run.record import RunRecord

MOST = 60_000
"""Records that are remembered, those that were read first are forgotten first: some 100 MB with all facts."""


@dataclass(frozen=True)
class Kept:
    """A record as it was read (an empty one where there was none), when, and whether it can change."""

    seen: Seen
    at: float
    final: bool


class Records:
    """The records of one run, as they were read last."""

    def __init__(self, record: RunRecord, completion: Completion, clock: Callable[[], float]) -> None:
        self._record, self._completion, self._clock = record, completion, clock
        self._kept: dict[Chunk, Kept] = {}

    def get(self, waiting: Chunk) -> Seen | None:
        """A record as it was read last; None if it was not."""
        found = self._kept.get(waiting)
        return None if found is None else found.seen

    def oldest(self, waiting: Iterable[Chunk]) -> float | None:
        """When the one of these that was read longest ago, and may have changed, was read."""
        found = [kept.at for chunk in waiting if (kept := self._kept.get(chunk)) is not None and not kept.final]
        return min(found, default=None)

    def changing(self, waiting: Iterable[Chunk]) -> list[Chunk]:
        """Those that may have changed, or were never read: these first, then the oldest."""
        found = [chunk for chunk in dict.fromkeys(waiting) if not self._is_final(chunk)]
        return sorted(found, key=self._read_at)

    def wanted(self, waiting: Iterable[Chunk], seconds: float) -> list[Chunk]:
        """Those that were never read, or may have changed and were read so many seconds ago."""
        before = self._clock() - seconds
        return [chunk for chunk in self.changing(waiting) if self._read_at(chunk) <= before]

    def read(self, waiting: list[Chunk]) -> int:
        """Reads records; how many. Raises what the completion raises, and then nothing has changed."""
        found, now = self._completion.look(waiting) if waiting else {}, self._clock()
        for chunk in waiting:
            seen = found.get(chunk, Seen())
            self._kept[chunk] = Kept(seen, now, self._cannot_change(chunk, seen))
        for chunk in list(self._kept)[: max(0, len(self._kept) - MOST)]:
            del self._kept[chunk]
        return len(waiting)

    def _read_at(self, chunk: Chunk) -> float:
        found = self._kept.get(chunk)
        return float("-inf") if found is None else found.at

    def _is_final(self, chunk: Chunk) -> bool:
        found = self._kept.get(chunk)
        return found is not None and found.final

    def _cannot_change(self, chunk: Chunk, seen: Seen) -> bool:
        # What was published had all that it waits for done, and nothing undoes that.
        if seen.published or chunk == self._record.plan.end:
            return bool(seen.done)
        by_hand = not self._record.auto_queue_parents
        return by_hand and seen.done == (1 << len(self._record.plan.bits(chunk))) - 1
