"""The exit codes of every program here: one tiny vocabulary, documented in the README."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a program's end means."""

    OK = 0
    """Everything asked for was done."""
    FAULTY = 1
    """`verify` found a violation in the table."""
    REFUSED = 2
    """Nothing was done: the configuration, the arguments or the state of things do not allow it."""
    FAILED_CHUNKS = 3
    """The run cannot go on: chunks are in the dead letters, and what is left waits for them."""
    STOPPED = 4
    """Workers ended without progress, again and again; their logs say why."""
    FILES = 74
    """A file, folder or pipe of this machine cannot be read or written; what is done stays done."""
    TRY_AGAIN = 75
    """It did not work, for a reason that may pass; the same command may work later."""
    BUG = 70
    """An error that nobody foresaw; the traceback is printed."""
    INTERRUPTED = 130
    """Ctrl-C. The run can be resumed."""
