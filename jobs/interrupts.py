"""Ctrl-C and its like: none is lost, and each is answered within two seconds, wherever the program is.

A signal raises KeyboardInterrupt in whatever the program does, and that is how a command ends in order. But
Python may be in a finalizer, where what is raised is dropped, or wait for a thread that tries a service again
and again, or be in a library that does not come back. So it is remembered too, and a thread that does
nothing else ends the process if it has not ended by itself within `SECONDS`. Invariants: that thread is told by
the kernel (a pipe), not by Python; whoever has something to tell before such an end, as to its worker
processes, does it in `before_end`, which must not wait.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from jobs import entry
from shared.exit_codes import Exit

SECONDS = 1.5
"""How long a command may take to end in order."""

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPTED = "interrupted; what is done stays done"
SHOW_CURSOR = "\x1b[?25h"

_asked = threading.Event()
_guarded = threading.Event()
_leaving = threading.Event()
_last: list[Callable[[], object]] = []
_code = Exit.INTERRUPTED
_told = False


def install() -> None:
    """A closed terminal or a plain `kill` ends a command like Ctrl-C does: with a KeyboardInterrupt. Nothing is
    said of one that came where Python drops it, as it is remembered."""
    for number in SIGNALS:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def guard() -> None:
    """From here on without the command's help, if it does not end by itself. For commands that are installed,
    once it is known that there is room for a thread: without it Python would wait for it for ever."""
    if signal.getsignal(signal.SIGINT) is not _interrupt or _guarded.is_set():
        return
    _guarded.set()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_guard, args=(reading,), name="interrupts", daemon=True).start()


def check() -> None:
    """KeyboardInterrupt if one was asked for."""
    if _asked.is_set():
        raise KeyboardInterrupt


def answer() -> Exit:
    """What a command that was interrupted says, once, and its exit code."""
    global _told
    if _code is Exit.INTERRUPTED and not _told:
        _told = True
        with contextlib.suppress(OSError, ValueError):
            print(INTERRUPTED, file=sys.stderr, flush=True)
    return _code


def end(code: Exit) -> None:
    """Ends the command like an interrupt, with this exit code, from any thread; who calls says why."""
    global _code
    _code = code
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextlib.contextmanager
def before_end(do: Callable[[], object]) -> Iterator[None]:
    """Has something done if the process is ended without its help meanwhile."""
    _last.append(do)
    try:
        yield
    finally:
        _last.remove(do)


def leave(code: Exit) -> NoReturn:
    """Ends the process with this code, whatever signal comes now; no thread is waited for."""
    _leaving.set()
    entry.leave(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    _asked.set()
    if not _leaving.is_set():
        raise KeyboardInterrupt


def _unraisable(dropped: sys.UnraisableHookArgs) -> None:
    if not isinstance(dropped.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(dropped)


def _guard(reading: int) -> None:
    while not set(os.read(reading, 64)) & set(SIGNALS):
        continue
    time.sleep(SECONDS)
    for do in list(_last):
        with contextlib.suppress(Exception):
            do()
    if sys.stdout is not None and sys.stdout.isatty():
        with contextlib.suppress(OSError, ValueError):
            os.write(1, SHOW_CURSOR.encode())
    _cut(answer())


def _cut(code: Exit) -> NoReturn:
    """Ends the process at once; what was printed is not lost."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
