"""The bytes of a sorted run: rows in the order of their keys, in blocks that can be read one by one.

    b"CGTR" | version u8 | header length u32 LE | crc32 u32 LE | header, JSON | index | blocks

The checksum is over all that stands before it and the header, which says what the run holds, how many more runs
its job wrote (`more`), and length and crc32 of the index: one zstd frame with a column after the other, of each
block its first key, its last key (u64 LE, one column an id), its length (u32) and crc32 (u32). Block k has the rows
from k * 4096 on; the first begins behind the index. A block is one zstd frame: the differences of the first ids, of
pairs the second ids less the first, and objects (u64) or scores (f4), each column by bytes: all first bytes, all
second, and so on.

Invariants: the same rows give the same bytes. Whatever else is read raises a DataError that names the file, before
anything is allocated for what damage claims: every byte is under a checksum, and a column's length follows from
what is known before it is unpacked.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import zstandard

from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.tables.lexical import Keys
from shared.tables.rows import Column, Table

MAGIC, VERSION = b"CGTR", 1
LEVEL = 1
BLOCK = 4096
"""Rows of a block: a chunk's supervoxels are read in blocks, and each costs some 30 kB."""
HEAD = 1 << 17
"""Bytes that have header and index of most runs; more are read where they do not."""
MOST_HEADER = 1 << 12
MOST_BLOCKS = 1 << 20
"""Of a run; 256 times what one has."""

_PREFIX = struct.Struct("<4sBI")
_CHECKSUM = struct.Struct("<I")
_FIELDS = {"table", "rows", "more", "index", "crc"}
_RATIO = 1 << 12
"""Times its own length, and some bytes, that an index or a block has at the most: equal differences shrink."""


@dataclass(frozen=True)
class Encoded:
    """A run that is packed, but for its header."""

    table: Table
    rows: int
    index: bytes
    blocks: tuple[bytes, ...]

    def finished(self, more: int) -> bytes:
        """The bytes of the run, if its job wrote so many more."""
        header = json.dumps(
            {
                "table": self.table.label,
                "rows": self.rows,
                "more": more,
                "index": len(self.index),
                "crc": zlib.crc32(self.index),
            },
            separators=(",", ":"),
        ).encode()
        prefix = _PREFIX.pack(MAGIC, VERSION, len(header))
        checksum = _CHECKSUM.pack(zlib.crc32(prefix + header))
        return b"".join([prefix, checksum, header, self.index, *self.blocks])


def encode(table: Table, keys: Keys, values: Column) -> Encoded:
    """Packs rows (n,) in the order of their keys, each of which is there once."""
    compress = zstandard.ZstdCompressor(level=LEVEL).compress
    rows = len(values)
    starts = np.arange(0, rows, BLOCK)
    ends = np.minimum(starts + BLOCK, rows)
    blocks = [
        compress(_packed(tuple(column[start:end] for column in keys), values[start:end]))
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
    ]
    columns = [
        *(column[starts].astype("<u8") for column in keys),
        *(column[ends - 1].astype("<u8") for column in keys),
        np.array([len(block) for block in blocks], "<u4"),
        np.array([zlib.crc32(block) for block in blocks], "<u4"),
    ]
    return Encoded(table, rows, compress(b"".join(column.tobytes() for column in columns)), tuple(blocks))


def _packed(keys: Keys, values: Column) -> bytes:
    columns: list[Column] = [np.diff(keys[0], prepend=np.uint64(0))]
    if len(keys) == 2:
        columns.append(keys[1] - keys[0])
    columns.append(values)
    return b"".join(
        column.astype(column.dtype.newbyteorder("<")).view(np.uint8).reshape(len(column), -1).T.tobytes()
        for column in columns
    )


class Head(NamedTuple):
    """What the first bytes of a run say: its rows, its job's other runs, and where its index is."""

    rows: int
    more: int
    start: int
    length: int
    crc: int

    @property
    def blocks(self) -> int:
        """How many blocks it has."""
        return -(-self.rows // BLOCK)


class Run:
    """One run: which block has which keys, and what is in a block's bytes.

    `first` and `last` are the keys at the ends of each block, `starts` (blocks + 1,) where they are in the file.
    """

    def __init__(self, table: Table, file: str, chunk: Chunk, head: Head, index: bytes) -> None:
        self._table, self._file, self._chunk, self._rows = table, file, chunk, head.rows
        widths = [8] * (2 * table.keys) + [4, 4]
        self._check(len(index) == head.length and zlib.crc32(index) == head.crc, "its index is damaged (checksum)")
        data = self._unpacked(index, sum(widths) * head.blocks, "its index")
        columns, at = [], 0
        for width in widths:
            columns.append(np.frombuffer(data, f"<u{width}", head.blocks, at))
            at += width * head.blocks
        self.first: Keys = tuple(columns[: table.keys])
        self.last: Keys = tuple(columns[table.keys : 2 * table.keys])
        self._crcs = columns[-1]
        lengths = np.concatenate([[head.start + head.length], columns[-2].astype(np.int64)])
        self.starts: npt.NDArray[np.int64] = np.cumsum(lengths)

    @property
    def weight(self) -> int:
        """Bytes that this takes in memory, about."""
        return 500 + self.starts.nbytes + len(self._crcs) * (16 * self._table.keys + 8)

    def block(self, number: int, data: bytes) -> tuple[Keys, Column]:
        """The rows of a block: keys in order, and a value for each."""
        what = f"its block {number}"
        self._check(zlib.crc32(data) == int(self._crcs[number]), f"{what} is damaged or cut off (checksum)")
        count = min(BLOCK, self._rows - BLOCK * number)
        table = self._table
        content = self._unpacked(data, count * (8 * table.keys + table.dtype.itemsize), what)
        dtypes = [np.dtype("<u8")] * table.keys + [table.dtype]
        columns, at = [], 0
        for dtype in dtypes:
            part = np.frombuffer(content, np.uint8, count * dtype.itemsize, at)
            columns.append(np.ascontiguousarray(part.reshape(dtype.itemsize, count).T).view(dtype).ravel())
            at += count * dtype.itemsize
        first: Ids = np.cumsum(columns[0], dtype=np.uint64)
        keys = (first,) if table.keys == 1 else (first, columns[1] + first)
        ends = [(column[0], column[-1]) for column in keys]
        good = ends == [(low[number], high[number]) for low, high in zip(self.first, self.last, strict=True)]
        self._check(good, f"{what} has other keys than its index says")
        return keys, columns[-1]

    def _unpacked(self, data: bytes, size: int, what: str) -> bytes:
        try:
            fits = zstandard.frame_content_size(data) == size <= len(data) * _RATIO + HEAD
            self._check(fits, f"{what} is not as long as it should be")
            content: bytes = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise _damaged(self._file, self._chunk, f"{what} is damaged ({error})") from error
        self._check(len(content) == size, f"{what} is not as long as it should be")
        return content

    def _check(self, good: bool, reason: str) -> None:
        if not good:
            raise _damaged(self._file, self._chunk, reason)


def read_head(table: Table, file: str, chunk: Chunk, data: bytes) -> Head:
    """What the first bytes of a run (`HEAD` of them, or all there are) say; DataError if it is none."""

    def check(good: bool, reason: str) -> None:
        if not good:
            raise _damaged(file, chunk, reason)

    start = _PREFIX.size + _CHECKSUM.size
    check(len(data) >= start, "it is cut off")
    magic, version, length = _PREFIX.unpack_from(data)
    check(magic == MAGIC and version == VERSION, f"not a sorted run of version {VERSION}, which this release knows")
    check(length <= MOST_HEADER and len(data) >= start + length, "it is cut off, or its header is damaged")
    text = data[start : start + length]
    (checksum,) = _CHECKSUM.unpack_from(data, _PREFIX.size)
    check(zlib.crc32(data[: _PREFIX.size] + text) == checksum, "its header is damaged (checksum)")
    try:
        header: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(file, chunk, f"its header is damaged ({error})") from error
    check(isinstance(header, dict) and set(header) == _FIELDS, "its header is another one")
    check(header["table"] == table.label, f"it is one of {header['table']!r:.40}, not of {table.label}")
    counts = [header[name] for name in ("rows", "more", "index", "crc")]
    good = all(type(count) is int and 0 <= count < 1 << 62 for count in counts)
    check(good and counts[0] <= MOST_BLOCKS * BLOCK, f"its header is damaged: {counts!r:.100}")
    rows, more, index, crc = counts
    widest = 1000 + (16 * table.keys + 8) * -(-rows // BLOCK) * 2
    check(index <= widest and more <= MOST_BLOCKS, f"its header is damaged: {counts!r:.100}")
    return Head(rows, more, start + length, index, crc)


def numbered(runs: Iterator[Encoded]) -> Iterator[tuple[int, bytes]]:
    """The files of one job's runs: those numbered from 1 on, and, last, number 0, which says how many they are."""
    last: Encoded | None = None
    count = 0
    for run in runs:
        if last is not None:
            count += 1
            yield count, last.finished(0)
        last = run
    if last is not None:
        yield 0, last.finished(count)


def _damaged(file: str, chunk: Chunk, reason: str) -> DataError:
    return DataError(file, chunk, f"sorted table: {reason}")
