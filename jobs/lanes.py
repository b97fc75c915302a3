"""Several chunks at a time in one process: a thread for each, over one queue.

Why threads: a chunk of some ten milliseconds of CPU waits half a second for services, and a process for each would
take 140 MB to wait in. Invariants: a process with one lane works in its main thread, as if there were none. A lane
that fails ends all, and its error is that of the process. Told to end, no lane begins anything; when the grace is
over, each is interrupted where it is, as a signal interrupts the main thread, and gives its chunk back."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

from shared.errors import ShuttingDown

LOOK_SECONDS = 0.2
INTERRUPTS = 3
"""After so many in vain a lane is left behind: whoever ends the process gives back what it has."""

Work = Callable[[int, Callable[[], bool]], int]
"""Works in lane number n until it is idle or the function says that lanes are to end; the number of chunks done."""


class Told(ShuttingDown):
    """What a lane is interrupted by; made without arguments."""

    def __init__(self) -> None:
        super().__init__("the worker was told to end, and the chunk was not done in time")


def in_lanes(count: int, work: Work, narrow: Callable[[], bool]) -> int:
    """Has `count` lanes work until all have ended; the chunks done. Once `narrow` says so all but the first end.

    Raises the first error of a lane, and ShuttingDown if lanes had to be interrupted, or left behind.
    """
    if count == 1:
        return work(0, lambda: False)
    done, errors, ended, over = [0] * count, list[BaseException](), set[int](), threading.Event()

    def lane(number: int) -> None:
        try:
            done[number] = work(number, lambda: bool(errors) or (number > 0 and narrow()))
        except BaseException as error:
            errors.append(error)
        finally:
            ended.add(number)
            if len(ended) == count:
                over.set()

    lanes = [threading.Thread(target=lane, args=(number,), daemon=True) for number in range(count)]
    interrupted = 0
    # None is joined: CPython takes a thread for ended whose join is interrupted by an exception.
    while not over.is_set():
        # The signal may come at any of these.
        try:
            for thread in lanes:
                if thread.ident is None:
                    thread.start()
            over.wait(LOOK_SECONDS)
        except ShuttingDown:
            interrupted += 1
            if interrupted > INTERRUPTS:
                raise
            for number, thread in enumerate(lanes):
                if number not in ended and thread.ident is not None:
                    _interrupt(thread.ident)
    failed = [error for error in errors if not isinstance(error, ShuttingDown)]
    if failed or errors:
        raise (failed or errors)[0]
    return sum(done)


def _interrupt(ident: int) -> None:
    """Raises `Told` in a thread before its next instruction; one that has ended is no error."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Told))
