"""CSV, plain or packed with gzip: a plain one is cut in bytes, at the ends of lines; a packed one is one unit.

The first line is a header if its first field is no number. A line belongs to the part in which it begins.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any

from shared.tables.formats.arrow_columns import batch, check_names
from shared.tables.formats.units import Format, Units
from shared.tables.range_file import PIECE, RangeFile
from shared.tables.rows import Batch, Table, Wrong

GZIP = b"\x1f\x8b"
HEAD = 1 << 16
"""Bytes from which the first lines are known; no line may be longer."""
GROWTH = 3
"""Times as long as packed, about, numbers in a CSV file are."""
_BOM = b"\xef\xbb\xbf"
_DAMAGED = "it begins as if packed with gzip, and is damaged or cut off"


def _units(file: RangeFile, table: Table) -> Units:
    packed = _packed(file)
    head = _head(file, packed)
    lines = [line for line in head.removeprefix(_BOM).splitlines() if line.strip()]
    if not lines:
        return Units(1 if packed else file.length, 0)
    header = _has_header(lines[0])
    check_names(table, _fields(lines[0]) if header else [f"{field:.24}" for field in _fields(lines[0])])
    whole = head[: head.rfind(b"\n") + 1] if len(head) >= HEAD else head
    read = sum(len(part.columns[0]) for part in _read(io.BytesIO(whole), table, header, "the file"))
    unpacked = file.length * GROWTH if packed else file.length
    rows = read if len(head) < HEAD else read * unpacked // max(1, len(whole))
    return Units(1, rows) if packed else Units(file.length, rows)


def _batches(file: RangeFile, table: Table, start: int, stop: int) -> Iterator[Batch]:
    packed = _packed(file)
    header = _has_header(next(iter(_head(file, packed).removeprefix(_BOM).lstrip(b"\r\n").splitlines()), b""))
    if packed:
        try:
            yield from _read(gzip.GzipFile(fileobj=io.BufferedReader(file, PIECE)), table, header, "")
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Wrong(f"{_DAMAGED}: {error}") from error
        return
    begin, end = _line_start(file, start), _line_start(file, stop)
    if begin < end:
        where = f"the lines from byte {begin:,} on" if begin else ""
        yield from _read(_Lines(file, begin, end), table, header and begin == 0, where)


def _packed(file: RangeFile) -> bool:
    return file.part(0, min(2, file.length)) == GZIP


def _head(file: RangeFile, packed: bool) -> bytes:
    if not packed:
        return file.part(0, min(HEAD, file.length))
    data = file.part(0, min(HEAD, file.length))
    try:
        return zlib.decompressobj(wbits=31).decompress(data, HEAD)
    except zlib.error as error:
        raise Wrong(f"{_DAMAGED}: {error}") from error


def _fields(line: bytes) -> list[str]:
    return [field.strip(" \"'") for field in line.decode("utf-8", "replace").split(",")]


def _has_header(line: bytes) -> bool:
    try:
        float(_fields(line)[0] or "x")
    except ValueError:
        return True
    return False


def _line_start(file: RangeFile, at: int) -> int:
    """Where the first line begins that begins at the byte `at` or behind it."""
    if at <= 0 or at >= file.length:
        return max(0, min(at, file.length))
    part = file.part(at - 1, min(HEAD, file.length - at + 1))
    found = part.find(b"\n")
    if found < 0 and len(part) == HEAD:
        raise Wrong(f"no line of it ends in the {HEAD:,} bytes from {at:,} on; it is no table")
    return file.length if found < 0 else at + found


class _Lines(io.RawIOBase):
    """A part of a file as a file."""

    def __init__(self, file: RangeFile, start: int, stop: int) -> None:
        super().__init__()
        self._file, self._at, self._stop = file, start, stop

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._stop - self._at
        data = self._file.part(self._at, left if size is None or size < 0 else min(size, left))
        self._at += len(data)
        return data


def _read(file: Any, table: Table, header: bool, where: str) -> Iterator[Batch]:
    """The rows of lines; Wrong for one that is none, with the number that Arrow's reader gives it."""
    import pyarrow
    from pyarrow import csv

    types = [pyarrow.float64() if name == "score" else pyarrow.uint64() for name in table.columns]
    names = [f"column {at}" for at in range(len(types))]
    try:
        reader = csv.open_csv(
            pyarrow.PythonFile(file, mode="r"),
            csv.ReadOptions(use_threads=False, block_size=PIECE, column_names=names, skip_rows=int(header)),
            convert_options=csv.ConvertOptions(
                column_types=dict(zip(names, types, strict=True)), null_values=[], strings_can_be_null=False
            ),
        )
        first = 0
        for part in reader:
            yield batch(part.columns, first, where)
            first += part.num_rows
    except pyarrow.ArrowInvalid as error:
        if str(error).startswith(("Empty CSV file", "Could not skip initial")):
            return  # no line, or a header alone
        raise Wrong(f"{error} (rows of {where or 'the file'}, which count from 1)") from error


CSV = Format("CSV", _units, _batches)
