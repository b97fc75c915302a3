"""What a piece of code takes, without a clock, which says as much of the machine: calls, and memory at the peak."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Effort:
    """Calls of functions, of Python and of C, and steps of generators; the most memory held at a time, in bytes."""

    calls: int = 0
    peak: int = 0

    def count(self, _frame: FrameType, event: str, _argument: object) -> None:
        """Takes note of what the interpreter tells a profiler."""
        self.calls += event in ("call", "c_call")


@contextmanager
def measured() -> Iterator[Effort]:
    """Measures what is done inside, in this thread."""
    effort, before = Effort(), sys.getprofile()
    tracemalloc.start()
    sys.setprofile(effort.count)
    try:
        yield effort
    finally:
        sys.setprofile(before)
        effort.peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
