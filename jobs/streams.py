"""The standard streams of a program: which are there, and who may write to them.

Why apart from jobs/output.py: libraries print while they are imported too, so this comes before them and
needs nothing but Python itself. Invariants: all three descriptors are open, so no file or socket gets the
number of one of them; while output is claimed, nothing but `own` writes to the standard output that the
process was given, and the streams are as before when the claim ends; what cannot be written in a
terminal's encoding is written with escapes, and is no error.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO


class Own(io.TextIOBase):
    """The standard output that the process was given, wherever `sys.stdout` leads meanwhile."""

    claimed: TextIO | None = None

    @property
    def _stream(self) -> TextIO:
        return self.claimed or sys.stdout

    def write(self, text: str) -> int:
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # rich asks the stream for it
        return self._stream.encoding


own = Own()


def complete() -> None:
    """Opens those of the three streams that the process was started without; what they get is dropped."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is taken, and those below are open by now.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, encoding="utf-8", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def claimed() -> Iterator[None]:
    """Keeps standard output for `own`: prints of others, in Python or below it, go to standard error."""
    if own.claimed is not None:
        yield
        return
    before = sys.stdout
    kept = _descriptor(before)
    stream: TextIO = before
    if kept is not None:
        before.flush()
        stream = os.fdopen(os.dup(kept), "w", encoding=before.encoding, errors=before.errors, buffering=1)
        os.dup2(2, kept)
    own.claimed, sys.stdout = stream, sys.stderr
    try:
        yield
    finally:
        own.claimed, sys.stdout = None, before
        if kept is not None:
            with contextlib.suppress(OSError):  # of foreign prints, which are for standard error
                before.flush()
            with contextlib.suppress(OSError):  # whoever wrote it has met the error
                stream.flush()
            os.dup2(stream.fileno(), kept)
            with contextlib.suppress(OSError):
                stream.close()


def abandon() -> None:
    """Gives the streams up for good: what libraries still print, or have in buffers of their own, goes to
    standard error; what could not be written before is not tried again, as Python would, to exit with 120."""
    for stream, descriptor, elsewhere in ((sys.stdout, 1, 2), (sys.stderr, 2, None)):
        try:
            stream.flush()
        except (OSError, ValueError):
            elsewhere = os.open(os.devnull, os.O_WRONLY)
        if elsewhere is not None:
            os.dup2(elsewhere, descriptor)
            with contextlib.suppress(OSError, ValueError):
                stream.flush()


def flush() -> None:
    """Writes what is still in buffers, those of libraries in C too."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if ctypes := sys.modules.get("ctypes"):  # numpy has it; without, nothing was loaded that has such buffers
        with contextlib.suppress(OSError):
            ctypes.CDLL(None).fflush(None)


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor of a stream that is the process' real standard output; None for one in its place."""
    try:
        return 1 if stream.fileno() == 1 else None
    except (OSError, ValueError):
        return None
