"""Bounds on what a piece of code may take: seconds, and memory on top of what the process has."""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType


class TooLong(BaseException):
    """The code under test hangs; no handler for ordinary errors catches this."""


@contextmanager
def bounded(seconds: float, megabytes: int) -> Iterator[None]:
    """Raises TooLong inside after `seconds`, and lets allocations fail above `megabytes` more than now."""

    def alarm(_number: int, _frame: FrameType | None) -> None:
        raise TooLong(f"not done after {seconds} s")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGALRM, alarm)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), hard))
    # Again and again: what is raised inside a finalizer or a callback is only printed.
    begin, (left, interval) = time.monotonic(), signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            # The bound on the whole test, which is kept by the same timer.
            signal.setitimer(signal.ITIMER_REAL, max(0.001, left - (time.monotonic() - begin)), interval)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
