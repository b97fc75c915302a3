"""Runs that one worker leaves alone for a while, since something that they alone name does not do its part.

Why: an attempt may read and build for seconds before it meets that its table is gone; with a million messages
of such a run no other would be worked on. So one message is tried now and then, and the others are given back
unlooked at. Invariants: what is new about a run is told once, again when it is another error, and again after
`TELL_SECONDS`, so neither logs nor records grow with the number of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

FIRST_SECONDS = 10.0
"""How long a run is left alone at first; then twice as long each time."""

LONGEST_SECONDS = 60.0
TELL_SECONDS = 600.0

RunName = tuple[str, str]
"""A graph, and the id of its run: another run of the graph is tried at once."""


@dataclass
class _Left:
    reason: Mapping[str, str]
    told: float
    until: float = float("-inf")
    pause: float = FIRST_SECONDS


@dataclass
class Aside:
    """The runs that are left alone; `clock` gives seconds."""

    clock: Callable[[], float]
    _left: dict[RunName, _Left] = field(default_factory=dict)

    def why(self, name: RunName) -> Mapping[str, str] | None:
        """Why a run is left alone now; None if it is to be tried."""
        left = self._left.get(name)
        return left.reason if left is not None and self.clock() < left.until else None

    def leave(self, name: RunName, reason: Mapping[str, str]) -> bool:
        """Leaves a run alone for a while, longer each time; whether the reason is news."""
        news = self.news(name, reason)
        left = self._left[name]
        left.until = self.clock() + left.pause
        left.pause = min(2 * left.pause, LONGEST_SECONDS)
        return news

    def news(self, name: RunName, reason: Mapping[str, str]) -> bool:
        """Whether this was not told of a run before, or not for long; from now on it was."""
        left, now = self._left.get(name), self.clock()
        if left is None:
            self._left[name] = _Left(reason, now)
            return True
        known, left.reason = left.reason, reason
        if known.get("error") == reason.get("error") and now - left.told < TELL_SECONDS:
            return False
        left.told = now
        return True

    def forget(self, name: RunName) -> None:
        """A run is worked on again."""
        self._left.pop(name, None)
