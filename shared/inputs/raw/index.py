"""The index of a shard: which entries it has, and where.

    bytes 0-3    version SO01
    bytes 4-11   offset of the index      uint64, little-endian
    bytes 12-19  its length               uint64, with the four bytes of its checksum
    payloads     each followed by its crc32
    index        an entry: its keys (one chunk id, or two), offset, size (with the payload's crc32)
                 in uint64; then the crc32 of all of them

An index can be large: the one over a whole volume has an entry for every chunk. So it is read in
pieces, and what stays is a line for each block of 1,024 entries: the smallest and the largest key in it,
and its checksum. The block that holds a key is then read by itself, and must still be what it was.

Invariants: nothing is taken from an index before the checksum of all of it was right; no order of the
entries is relied on, only used. Damage raises Damaged, with a reason.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

VERSION = b"SO01"
HEAD = 20
"""Bytes before the first payload."""
CRC = 4
"""Bytes of a checksum."""
BLOCK = 1024
"""Entries that are remembered, and read again, together."""
PIECE = 64
"""Blocks that are read at once for the first time."""
MOST_BYTES = 1 << 30
"""Bytes of an index: 33 million entries at the least."""
FURTHEST = (1 << 63) - 1
"""Bytes that an object can have at the most."""
UNFINISHED = (1 << 64) - 1
"""Offset and length of an index that was never written."""

Block = npt.NDArray[np.uint64]
"""Entries (n, keys + 2) uint64: keys, offset, size."""


class Damaged(Exception):
    """Bytes are not what the format says; the text is the reason."""


def read_head(data: bytes) -> tuple[int, int]:
    """Offset and length of the index, from the first bytes of a shard."""
    if len(data) < HEAD:
        raise Damaged(f"a shard begins with {HEAD} bytes, and this one has {len(data)}")
    version, offset, length = struct.unpack("<4sQQ", data)
    if version != VERSION:
        raise Damaged(f"a shard begins with {VERSION!r}, and this one with {version!r}")
    if (offset, length) == (UNFINISHED, UNFINISHED):
        raise Damaged("it was never finished: its index was not written; make this shard again")
    return offset, length


@dataclass(frozen=True)
class Index:
    """What is remembered of an index: for each block its smallest and largest key and its checksum."""

    offset: int
    keys: int
    count: int
    low: Ids
    high: Ids
    crcs: list[int]

    @property
    def size(self) -> int:
        """Bytes that this takes in memory, about."""
        return 500 + 60 * len(self.crcs)

    def holding(self, wanted: Ids) -> list[int]:
        """Numbers of the blocks that may have an entry with one of the keys `wanted`."""
        if len(self.crcs) < 2:
            return list(range(len(self.crcs)))
        there = (self.low[:, None] <= wanted) & (wanted <= self.high[:, None])
        numbers: list[int] = np.flatnonzero(there.any(axis=1)).tolist()
        return numbers

    def place(self, number: int) -> tuple[int, int]:
        """Where a block is in the shard: offset and length."""
        width = 8 * (self.keys + 2)
        first = number * BLOCK
        return self.offset + width * first, width * min(BLOCK, self.count - first)

    def block(self, number: int, data: bytes) -> Block:
        """A block that was read again."""
        if crc32(data) != self.crcs[number]:
            raise Damaged(f"block {number} of the index is not what it was: the shard has changed")
        return np.frombuffer(data, "<u8").reshape(-1, self.keys + 2)


class IndexReader:
    """Puts an index together from its pieces: ask for `wanted`, `take` those bytes, until it is `done`."""

    def __init__(self, offset: int, length: int, keys: int) -> None:
        self._width = 8 * (keys + 2)
        self._offset, self._keys = offset, keys
        self._bytes = length - CRC
        if length < CRC or self._bytes % self._width:
            raise Damaged(
                f"an index of {length} bytes is no whole number of entries of {self._width} and a checksum of {CRC}"
            )
        if length > MOST_BYTES:
            raise Damaged(f"an index of {length} bytes is claimed, more than the {MOST_BYTES} that one may have")
        if offset + length > FURTHEST:
            raise Damaged(f"an index is claimed at {offset}, where no file has any bytes")
        self._at = self._crc = 0
        self._blocks: list[Block] = []
        self._bounds: list[tuple[Ids, Ids]] = []
        self._crcs: list[int] = []
        self.done = False

    @property
    def wanted(self) -> tuple[int, int]:
        """Offset in the shard and length of the next piece; the last one ends with the checksum."""
        left = self._bytes - self._at
        piece = self._width * BLOCK * PIECE
        return self._offset + self._at, piece if left > piece else left + CRC

    def take(self, data: bytes) -> None:
        """Adds the piece that was wanted."""
        if len(data) < self.wanted[1]:
            raise Damaged(
                f"the shard ends within its index: {self._bytes + CRC} bytes at {self._offset} are claimed, "
                f"{self._at + len(data)} are there"
            )
        body = memoryview(data)[: self._bytes - self._at]
        self._at += len(body)
        self._crc = crc32(body, self._crc)
        step = self._width * BLOCK
        self._crcs += [crc32(body[at : at + step]) for at in range(0, len(body), step)]
        entries = np.frombuffer(body, "<u8").reshape(-1, self._keys + 2)
        if len(entries):
            starts, keys = range(0, len(entries), BLOCK), entries[:, : self._keys]
            low, high = (find.reduceat(keys, starts, axis=0) for find in (np.minimum, np.maximum))
            self._bounds.append((low.min(axis=1), high.max(axis=1)))
            # Copies, so that what is kept of a piece is not all of it.
            self._blocks += [entries[at : at + BLOCK].copy() for at in starts] if len(self._crcs) <= PIECE else []
        if self._at == self._bytes:
            self._check(int.from_bytes(data[len(body) :], "little"))

    def _check(self, crc: int) -> None:
        if crc != self._crc:
            raise Damaged(f"the checksum of the index is {crc:#010x}, and its entries have {self._crc:#010x}")
        self.done = True

    @property
    def index(self) -> Index:
        """What to remember, once it is done."""
        none = np.zeros(0, np.uint64)
        low, high = (
            np.concatenate([none, *bounds]) for bounds in zip(*self._bounds or [(none, none)], strict=True)
        )
        return Index(self._offset, self._keys, self._bytes // self._width, low, high, self._crcs)

    @property
    def blocks(self) -> list[Block]:
        """All blocks of an index that came in one piece, the first ones of a larger one."""
        return self._blocks
