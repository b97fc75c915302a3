"""How many records a page may read: so many in any hour, whatever is looked at and however long.

A bucket that holds `burst` reads and fills up at the rate of the rest. Invariants: in any hour no more than
`an_hour` are spent, as long as nothing is spent that there is no room for.
"""

from __future__ import annotations

from collections.abc import Callable

AN_HOUR = 50_000
"""Reads of Firestore an hour that a page may make: 3 cents, by list prices."""

BURST = 10_000
"""Of them, those that may be made at once: a few views after each other."""


class Budget:
    """Counts reads against a bucket; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float], an_hour: int = AN_HOUR, burst: int = BURST) -> None:
        self._clock = clock
        self._burst, self._rate = float(burst), (an_hour - burst) / 3600
        self._left, self._at = self._burst, clock()
        self.an_hour = an_hour
        self.spent = 0
        """Reads so far."""

    @property
    def left(self) -> float:
        """Reads that may be made now."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left

    def has(self, reads: int) -> bool:
        """Whether there is room for so many; none is ever too many for a full bucket, but waits for one."""
        return self.left >= min(reads, self._burst)

    def spend(self, reads: int) -> None:
        """Notes reads that were made."""
        self._left = self.left - reads
        self.spent += reads


class Pace:
    """When a thing is looked at again: the more it reads, the less often, and never faster than `least` seconds."""

    def __init__(self, budget: Budget, clock: Callable[[], float], least: float, a_second: float) -> None:
        self._budget, self._clock = budget, clock
        self._least, self._rate = least, a_second
        self._next = float("-inf")
        self.at: float | None = None
        """When it was looked at last."""

    def due(self, reads: int) -> bool:
        """Whether it is time, and so many reads are to be had."""
        return self._clock() >= self._next and self._budget.has(reads)

    def looked(self, reads: int) -> None:
        """Notes a look that took so many reads."""
        self._budget.spend(reads)
        self.at = self._clock()
        self._next = self.at + max(self._least, reads / self._rate)

    def soon(self) -> None:
        """Has it be looked at as soon as there are reads for it."""
        self._next = float("-inf")

    @property
    def left(self) -> float:
        """Seconds until it is time again."""
        return max(0.0, self._next - self._clock())
