"""Lines of a chunk in the logs of local workers: files of a folder, however large, packed or damaged they are.

    *.log        a worker that runs, or ended
    *.log.1 …    what somebody's rotation made of one; .gz is unpacked

Invariants: a file is read once, a line at a time; what is no JSON, too long, or not there any more by the time
that it is opened, costs its own line or file, and is told of where it has to do with the chunk.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from shared.logbook.line import Logbook, Wanted, newest

LONGEST = 1 << 20
"""Bytes of a line; one of ours has 10 kB with its traceback."""


def in_folder(folder: Path, wanted: Wanted) -> Logbook:
    """The lines of a chunk in the logs of a folder."""
    remarks: list[str] = []
    if not folder.is_dir():
        remarks.append(
            f"there is no folder {folder}: no worker ran here for this graph, or its logs were taken away"
        )
    broken = [0]

    def every() -> Iterator[Mapping[str, Any]]:
        for path in sorted(folder.glob("*.log*")):
            try:
                with _opened(path) as file:
                    yield from in_file(file, wanted, broken)
            except FileNotFoundError:
                continue  # rotated away since it was listed
            except (OSError, EOFError, zlib.error) as error:
                remarks.append(f"{path} cannot be read to its end ({error})")

    lines, left_out = newest(every())
    if broken[0]:
        remarks.append(
            f"{broken[0]:,} lines that name the chunk are no JSON objects, or longer than {LONGEST:,} bytes"
        )
    return Logbook(lines, left_out, tuple(remarks))


def _opened(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.suffix == ".gz" else open(path, "rb")


def in_file(file: IO[bytes], wanted: Wanted, broken: list[int]) -> Iterator[Mapping[str, Any]]:
    """The lines of a chunk in one file; `broken[0]` grows by those that name it and cannot be understood."""
    name = str(wanted.chunk).encode()
    while part := file.readline(LONGEST):
        if len(part) == LONGEST and not part.endswith(b"\n"):
            broken[0] += name in part
            while (rest := file.readline(LONGEST)) and not rest.endswith(b"\n"):
                pass
            continue
        if name not in part:
            continue
        try:
            fields = json.loads(part)
        except (ValueError, RecursionError):
            fields = None
        if not isinstance(fields, dict):
            broken[0] += 1
        elif wanted.has(fields):
            yield fields
