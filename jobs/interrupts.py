"""Ctrl-C and its like, so that none is lost: Python may be in a finalizer when a signal comes, and an error
raised there is printed and dropped. So it is remembered too, and whoever waits looks now and then.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_asked = threading.Event()


def install() -> None:
    """A closed terminal or a plain `kill` ends a command like Ctrl-C does: with a KeyboardInterrupt."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def check() -> None:
    """KeyboardInterrupt if one was asked for."""
    if _asked.is_set():
        raise KeyboardInterrupt


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _asked.set()
    raise KeyboardInterrupt
