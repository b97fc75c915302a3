"""What commands print: their own words to standard output, and whatever libraries print to standard error.

Why: cloud-files and its like print to standard output when they like to, and `status --json` is read by
programs. Invariants: while a command runs, nothing but this module writes to the standard output that the
process was given (jobs/streams.py keeps it).
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from rich.console import Console

from jobs.streams import own
from shared.errors import StateError


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leaves the error to whoever runs the command; rich would end the process with 1, a violation's code."""
        raise


console = _Console(file=cast(TextIO, own), soft_wrap=True, highlight=False)


def say(text: str) -> None:
    """A line for people; what stands in it is text, whatever it looks like."""
    console.print(text, markup=False)


def put(text: str) -> None:
    """A line as it is, neither wrapped nor styled."""
    own.write(f"{text}\n")
    own.flush()


def put_json(value: Any, indent: int | None = None) -> None:
    """One JSON value and nothing else."""
    put(json.dumps(value, indent=indent))


def write_json(path: Path, value: Any) -> None:
    """Writes one JSON value to a file, in place of any other only once it is there as a whole and can be read.

    StateError if it cannot be written; what was there before stays then.
    """
    write_whole(path, json.dumps(value, indent=2) + "\n")


def write_whole(path: Path, text: str) -> None:
    """Writes a text to a file, in place of any other only once it is there as a whole and can be read.

    StateError if it cannot be written; what was there before stays then.
    """
    # No name that ends in .json: whoever reads all such files of a folder must not meet half of one.
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        data = text.encode()
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if partial.read_bytes() != data:
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
