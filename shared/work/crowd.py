"""The chunks that one process has at work at the same time, as far as they bear on each other: through its memory.

Why: a worker waits for services most of its time, so a process has several chunks under way. It was given the
memory for so many of the largest; where that was reckoned wrong, no chunk can be blamed. Invariants: an attempt
that met the limit while others were at work is not counted, and from then on the process has one chunk at a time:
what fails then fails by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(eq=False)
class Place:
    """One chunk's place: whether another was ever at work beside it."""

    crowded: bool = False


@dataclass
class Crowd:
    """The chunks at work in this process; `narrow` once there is to be one at a time."""

    narrow: bool = False
    _places: set[Place] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A chunk is at work."""
        mine = Place()
        with self._lock:
            self._places.add(mine)
            if len(self._places) > 1:
                for one in self._places:
                    one.crowded = True
        try:
            yield mine
        finally:
            with self._lock:
                self._places.discard(mine)

    @property
    def alone(self) -> bool:
        """Whether one chunk at the most is at work."""
        return len(self._places) <= 1
