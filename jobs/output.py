"""What commands print: their own words to standard output, and whatever libraries print to standard error.

Why: cloud-files and its like print to standard output when they like to, and `status --json` is read by
programs. Invariants: while a command runs, nothing but this module writes to the standard output that the
process was given; the other streams and the descriptor are as before when it ends.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console

from shared.errors import StateError


class _Own(io.TextIOBase):
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


_own = _Own()

console = Console(file=cast(TextIO, _own), soft_wrap=True, highlight=False)


@contextlib.contextmanager
def claimed() -> Iterator[None]:
    """Keeps standard output for this module: prints of others, in Python or below it, go to standard error."""
    if _own.claimed is not None:
        yield
        return
    before = sys.stdout
    kept = _descriptor(before)
    own: TextIO = before
    if kept is not None:
        before.flush()
        own = os.fdopen(os.dup(kept), "w", encoding=before.encoding, errors=before.errors, buffering=1)
        os.dup2(2, kept)
    _own.claimed, sys.stdout = own, sys.stderr
    try:
        yield
    finally:
        _own.claimed, sys.stdout = None, before
        if kept is not None:
            with contextlib.suppress(BrokenPipeError):
                own.flush()
            os.dup2(own.fileno(), kept)
            with contextlib.suppress(BrokenPipeError):
                own.close()


def _descriptor(stream: TextIO) -> int | None:
    """The descriptor of a stream that is the process' real standard output; None for one in its place."""
    try:
        return 1 if stream.fileno() == 1 else None
    except (OSError, ValueError):
        return None


def say(text: str) -> None:
    """A line for people; what stands in it is text, whatever it looks like."""
    console.print(text, markup=False)


def put(text: str) -> None:
    """A line as it is, neither wrapped nor styled."""
    _own.write(f"{text}\n")
    _own.flush()


def put_json(value: Any, indent: int | None = None) -> None:
    """One JSON value and nothing else."""
    put(json.dumps(value, indent=indent))


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON value to a file, in place of any other only once it is there as a whole and can be read.

    StateError if it cannot be written; what was there before stays then.
    """
    text = json.dumps(value, indent=2) + "\n"
    # No name that ends in .json: whoever reads all such files of a folder must not meet half of one.
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with open(partial, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if json.loads(partial.read_text(encoding="utf-8")) != json.loads(text):
            raise StateError(f"{path}: what was written reads otherwise; nothing was changed")
        partial.replace(path)
    except (OSError, ValueError) as error:
        raise StateError(f"{path} cannot be written ({error}); nothing was changed") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def put_rows(rows: Sequence[tuple[str, ...]], texts: Sequence[int] = ()) -> None:
    """A table whose first row is its heading; columns are numbers, but for those in `texts`.

    Not by rich, which cuts numbers off where a terminal is narrow, or where there is none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(range(len(row)), row, widths, strict=True)
        padded = (cell.ljust(width) if number in texts else cell.rjust(width) for number, cell, width in cells)
        put("  ".join(padded).rstrip())
