"""Entries of shards by their keys, and their payloads: indexes are remembered, payloads are not.

Invariants: bytes are used once their checksum was right. A shard that is not there has no entries. What
is damaged is a DataError with file, chunk and, for a payload, its entry. No memory is taken for bytes
that are claimed and not there: entries of a shard that are read together do not overlap, so their
payloads are no longer than the shard.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from zlib import crc32

from shared.errors import DataError, IngestError
from shared.inputs.packing import MAX_UNPACKED
from shared.inputs.raw.cache import Cache
from shared.inputs.raw.index import BLOCK, CRC, FURTHEST, HEAD, Block, Damaged, Index, IndexReader, read_head
from shared.inputs.raw.ranges import Range, RangeReader
from shared.plan.grid import Chunk
from shared.plan.ids import Ids

MOST_BYTES = MAX_UNPACKED
"""Bytes of all payloads that are read for one chunk at once."""

GAP = 1 << 16
"""Bytes between two payloads that are read with them rather than asked for around."""


class Shard(NamedTuple):
    """The name of a shard, and how many chunk ids are the key of an entry in it (1 or 2)."""

    name: str
    keys: int


class Entry(NamedTuple):
    """An entry of a shard's index: its number there, its keys, where its payload is."""

    shard: Shard
    number: int
    keys: tuple[int, ...]
    offset: int
    size: int

    def __str__(self) -> str:
        return f"entry {self.number} ({', '.join(map(str, self.keys))})"


class Shards:
    """The shards below one folder."""

    def __init__(self, reader: RangeReader, cache: Cache) -> None:
        self._reader, self._cache = reader, cache

    def file(self, shard: Shard) -> str:
        """The shard's full name."""
        return f"{self._reader.folder}/{shard.name}"

    def entries(self, wanted: Mapping[Shard, Ids], chunk: Chunk) -> list[Entry]:
        """The entries that have one of the keys that are `wanted` of their shard, in the order of the
        mapping and of each index."""
        fresh: dict[tuple[Shard, int], Block] = {}
        indexes = self._indexes(list(wanted), chunk, fresh)
        places = [(shard, at) for shard, index in indexes.items() for at in index.holding(wanted[shard])]
        found: list[Entry] = []
        for (shard, at), block in zip(places, self._blocks(indexes, places, chunk, fresh), strict=True):
            hits = (block[:, : shard.keys, None] == wanted[shard]).nonzero()[0]
            for number in dict.fromkeys(hits.tolist()):
                *key, offset, size = block[number].tolist()
                found.append(Entry(shard, at * BLOCK + number, tuple(key), offset, size))
        return found

    def payloads(self, entries: Sequence[Entry], width: int, chunk: Chunk) -> list[memoryview]:
        """The payload of each entry without its checksum: a whole number of records of `width` bytes."""
        spans: list[Range] = []
        places = [0] * len(entries)
        name, start, end = "", 0, 0
        for at in self._checked(entries, width, chunk):
            shard, _, _, offset, size = entries[at]
            if shard.name == name and offset - end <= GAP:
                spans[-1] = Range(name, start, offset + size - start)
            else:
                name, start = shard.name, offset
                spans.append(Range(name, start, size))
            end = offset + size
            places[at] = len(spans) - 1
        read = self._reader.read(spans) if spans else []
        return [self._payload(entry, spans[at], read[at], chunk) for entry, at in zip(entries, places, strict=True)]

    def _payload(self, entry: Entry, span: Range, data: bytes | None, chunk: Chunk) -> memoryview:
        """A payload in what was read together, its checksum checked and left away."""
        start = entry.offset - span.start
        stored = memoryview(self._there(entry.shard, data))[start : start + entry.size]
        if len(stored) < entry.size:
            reason = f"claims {entry.size} bytes at {entry.offset}, {len(stored)} are there"
            raise self._damaged(entry, chunk, reason)
        payload = stored[:-CRC]
        claimed, found = int.from_bytes(stored[-CRC:], "little"), crc32(payload)
        if claimed != found:
            raise self._damaged(entry, chunk, f"has the checksum {claimed:#010x}, and its bytes have {found:#010x}")
        return payload

    def _indexes(
        self, shards: Sequence[Shard], chunk: Chunk, fresh: dict[tuple[Shard, int], Block]
    ) -> dict[Shard, Index]:
        """The index of each shard that is there; blocks that were read for it go into `fresh`."""
        found: dict[Shard, Index | None] = {shard: self._cache.get(shard) for shard in shards}
        unknown = [shard for shard, index in found.items() if index is None]
        heads = self._reader.read([Range(shard.name, 0, HEAD) for shard in unknown]) if unknown else []
        readers: dict[Shard, IndexReader] = {}
        for shard, head in zip(unknown, heads, strict=True):
            if head is not None:
                try:
                    readers[shard] = IndexReader(*read_head(head), shard.keys)
                except Damaged as error:
                    raise DataError(self.file(shard), chunk, str(error)) from error
        self._read_through(readers, chunk)
        for shard, reader in readers.items():
            found[shard] = index = reader.index
            for number, block in enumerate(reader.blocks):
                fresh[shard, number] = block
                self._cache.put((shard, number), block, block.nbytes + 200)
            self._cache.put(shard, index, index.size)  # last, so that its blocks do not push it out
        return {shard: index for shard, index in found.items() if index is not None}

    def _read_through(self, readers: Mapping[Shard, IndexReader], chunk: Chunk) -> None:
        """Reads indexes to their ends, a piece of each at a time."""
        left = dict(readers)
        while left:
            data = self._reader.read([Range(shard.name, *reader.wanted) for shard, reader in left.items()])
            for (shard, reader), piece in zip(left.items(), data, strict=True):
                try:
                    reader.take(self._there(shard, piece))
                except Damaged as error:
                    raise DataError(self.file(shard), chunk, str(error)) from error
            left = {shard: reader for shard, reader in left.items() if not reader.done}

    def _blocks(
        self,
        indexes: Mapping[Shard, Index],
        places: Sequence[tuple[Shard, int]],
        chunk: Chunk,
        fresh: Mapping[tuple[Shard, int], Block],
    ) -> list[Block]:
        """Blocks of indexes, from `fresh`, from what is remembered, or read again."""
        found = {place: fresh[place] if place in fresh else self._cache.get(place) for place in places}
        gone = [place for place, block in found.items() if block is None]
        data = (
            self._reader.read([Range(shard.name, *indexes[shard].place(at)) for shard, at in gone]) if gone else []
        )
        for (shard, at), piece in zip(gone, data, strict=True):
            try:
                found[shard, at] = block = indexes[shard].block(at, self._there(shard, piece))
            except Damaged as error:
                raise DataError(self.file(shard), chunk, str(error)) from error
            self._cache.put((shard, at), block, block.nbytes + 200)
        return list(found.values())

    def _checked(self, entries: Sequence[Entry], width: int, chunk: Chunk) -> list[int]:
        """Positions of the entries in the order in which their payloads lie, once their places can be right."""
        for entry in entries:
            if entry.size < CRC or (entry.size - CRC) % width:
                reason = f"has {entry.size} bytes, no whole number of records of {width} and a checksum of {CRC}"
                raise self._damaged(entry, chunk, reason)
            if entry.offset + entry.size > FURTHEST:
                raise self._damaged(
                    entry, chunk, f"claims {entry.size} bytes at {entry.offset}, where no file has any"
                )
        total = sum(entry.size for entry in entries)
        if total > MOST_BYTES:
            largest = max(entries, key=lambda entry: entry.size)
            reason = (
                f"has {largest.size} of {total} bytes for this chunk, more than the {MOST_BYTES} that it may have"
            )
            raise self._damaged(largest, chunk, reason)
        in_order = sorted(range(len(entries)), key=lambda at: (entries[at].shard.name, entries[at].offset))
        for before, at in itertools.pairwise(in_order):
            one, other = entries[before], entries[at]
            if one.offset + one.size > other.offset and one.shard.name == other.shard.name:
                raise self._damaged(other, chunk, f"lies over the payload of {one}")
        return in_order

    def _damaged(self, entry: Entry, chunk: Chunk, reason: str) -> DataError:
        return DataError(self.file(entry.shard), chunk, f"{entry} {reason}")

    def _there(self, shard: Shard, data: bytes | None) -> bytes:
        if data is None:
            raise IngestError(f"{self.file(shard)} was there a moment ago and is gone; the chunk is tried again")
        return data
