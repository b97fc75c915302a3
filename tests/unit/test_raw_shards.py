"""Shards: entries are found whatever the order of the index, and what is damaged is a DataError that says where.

SO01 | offset, length | payload, crc | payload, crc | key, offset, size | key, offset, size | crc
"""

from __future__ import annotations

import random
import resource
import struct
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobs.example.shards import shard
from shared.errors import DataError, IngestError
from shared.inputs.raw import index as index_module
from shared.inputs.raw import shards as module
from shared.inputs.raw.cache import Cache
from shared.inputs.raw.ranges import Range
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.shards import Shard, Shards
from shared.inputs.raw.source import RawAgglomeration
from shared.plan.grid import Chunk
from tests.examples import examples
from tests.raw_shards import MemoryRanges, random_raw
from tests.unit.test_raw_reading import parts_of, rows_of

CHUNK = Chunk(2, 4, 5, 6)
ONE, TWO = Shard("one.data", 1), Shard("two.data", 2)
ENTRIES = [((7,), b"seven..."), ((5,), b""), ((7,), b"again..."), ((9,), b"nine----nine----")]


def shards_of(*data: bytes | None, cache: int = 1 << 20) -> Shards:
    """Shards with this as `ONE` and, if given, `TWO`."""
    files = {shard.name: each for shard, each in zip((ONE, TWO), data, strict=False) if each is not None}
    return Shards(MemoryRanges(files), Cache(cache))


def wanted(*keys: int) -> np.ndarray[Any, Any]:
    return np.array(keys, np.uint64)


def read(shards: Shards, *keys: int, width: int = 8) -> list[bytes]:
    """The payloads of all entries of `ONE` with these keys."""
    return [bytes(part) for part in shards.payloads(shards.entries({ONE: wanted(*keys)}, CHUNK), width, CHUNK)]


def refused(data: bytes, *keys: int, width: int = 8) -> DataError:
    """The DataError that reading must raise; it names file and chunk."""
    with pytest.raises(DataError) as caught:
        read(shards_of(data), *keys, width=width)
    assert (caught.value.file, caught.value.chunk) == ("mem://raw/one.data", CHUNK)
    return caught.value


def with_index(entries: Sequence[tuple[int, ...]], body: bytes = bytes(100)) -> bytes:
    """A shard with these entries in its index, checksums right, whatever they claim."""
    index = b"".join(struct.pack("<3Q", *entry) for entry in entries)
    index += struct.pack("<I", crc32(index))
    return b"SO01" + struct.pack("<QQ", 20 + len(body), len(index)) + body + index


def head(offset: int, length: int, rest: bytes = bytes(60)) -> bytes:
    return b"SO01" + struct.pack("<QQ", offset, length) + rest


def test_entries_by_key() -> None:
    """All entries of a key are found in the order of the index, each with its number; a key that recurs
    counts each time."""
    shards = shards_of(shard(ENTRIES))
    assert read(shards, 7) == [b"seven...", b"again..."]
    assert read(shards, 9, 5) == [b"", b"nine----nine----"]
    assert read(shards, 8) == []
    found = shards.entries({ONE: wanted(9, 7)}, CHUNK)
    assert [(entry.number, entry.keys) for entry in found] == [(0, (7,)), (2, (7,)), (3, (9,))]
    assert str(found[0]) == "entry 0 (7)"


def test_entries_by_one_of_two_keys() -> None:
    """With two keys, entries are found by either of them."""
    data = shard([((1, 2), b""), ((2, 3), b""), ((3, 1), b""), ((4, 4), b"")])
    found = shards_of(None, data).entries({ONE: wanted(1), TWO: wanted(1)}, CHUNK)
    assert [entry.keys for entry in found] == [(1, 2), (3, 1)]


def test_missing_and_empty() -> None:
    """A shard that is not there has no entries, nor has one with an empty index."""
    assert shards_of().entries({ONE: wanted(1), TWO: wanted(1)}, CHUNK) == []
    assert read(shards_of(shard([])), 1) == []
    assert shards_of().payloads([], 8, CHUNK) == []


@pytest.mark.parametrize("in_front", [False, True])
def test_index_anywhere(in_front: bool) -> None:
    """The index may stand before the payloads, and bytes that nobody claims are not looked at."""
    payload = b"payload."
    payload += struct.pack("<I", crc32(payload))
    at = 20 + 28 + 5 if in_front else 25
    index = struct.pack("<3Q", 7, at, len(payload))
    index += struct.pack("<I", crc32(index))
    body = index + b"?????" + payload if in_front else b"?????" + payload + index
    data = head(20 if in_front else 25 + len(payload), len(index), body + b"more")
    assert read(shards_of(data), 7) == [b"payload."]


def test_payloads_in_any_order() -> None:
    """Payloads come in the order of the index, wherever they lie; those close together are read with one request,
    whatever is between them."""
    parts = [struct.pack("<Q", at) for at in range(4)]
    stored = [part + struct.pack("<I", crc32(part)) for part in parts]
    far = bytes(module.GAP + 1)
    body = stored[3] + b"?" * 7 + stored[1] + far + stored[0] + stored[2]
    places = [20 + body.index(part) for part in stored]
    reader = MemoryRanges({ONE.name: with_index([(7, place, 12) for place in places], body)})
    shards = Shards(reader, Cache())
    found = shards.entries({ONE: wanted(7)}, CHUNK)
    reader.asked.clear()
    assert [bytes(part) for part in shards.payloads(found, 8, CHUNK)] == parts
    assert reader.asked == [Range(ONE.name, 20, 31), Range(ONE.name, places[0], 24)]


@given(
    st.lists(st.tuples(st.integers(0, 40), st.binary(max_size=3)), max_size=60),
    st.lists(st.integers(0, 42), min_size=1, max_size=5, unique=True),
    st.booleans(),
    st.sampled_from([0, 150, 700, 1 << 20]),
    st.integers(1, 5),
    st.integers(1, 3),
)
@examples(100)
def test_large_indexes(
    entries: list[tuple[int, bytes]], keys: list[int], in_order: bool, cache: int, block: int, piece: int
) -> None:
    """An index of many blocks and pieces gives what one in a single block gives, sorted or not, and the cache
    stays within its bound."""
    if in_order:
        entries = sorted(entries)
    expected = [part for key, part in entries if key in keys]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "BLOCK", block)
        patch.setattr(module, "BLOCK", block)
        patch.setattr(index_module, "PIECE", piece)
        kept = Cache(cache)
        reader = MemoryRanges({ONE.name: shard([((key,), part) for key, part in entries])})
        shards = Shards(reader, kept)
        for _ in range(2):
            found = shards.entries({ONE: wanted(*keys)}, CHUNK)
            assert [bytes(part) for part in shards.payloads(found, 1, CHUNK)] == expected
            assert [entries[entry.number][0] for entry in found] == [key for key, _ in entries if key in keys]
            assert kept.bytes <= cache
        if in_order and cache == 1 << 20:
            reader.asked.clear()
            shards.entries({ONE: wanted(*keys)}, CHUNK)
            assert not reader.asked


def test_truncated_anywhere() -> None:
    """A shard cut off at any byte is refused, the empty file included."""
    data = shard(ENTRIES)
    for length in range(len(data)):
        refused(data[:length], 7)


def test_every_bit_flipped() -> None:
    """Whatever bit of a shard is flipped, reading all of it is refused."""
    data = shard(ENTRIES)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refused(bytes(damaged), 7, 5, 9)


def test_other_payloads_stay_readable() -> None:
    """A damaged payload is the fault of those who need it; other chunks do not look at it."""
    data = bytearray(shard(ENTRIES))
    data[20] ^= 1
    refused(bytes(data), 7)
    assert read(shards_of(bytes(data)), 9) == [b"nine----nine----"]


def test_the_reason_names_the_entry() -> None:
    """A damaged payload is named with its entry, its key and both checksums."""
    data = bytearray(shard(ENTRIES))
    data[20 + 12 + 4 + 3] ^= 1
    assert "entry 2 (7) has the checksum 0x" in refused(bytes(data), 7).reason


def test_never_finished() -> None:
    """A shard whose header was never filled in is said to be unfinished."""
    assert "never finished" in refused(head(2**64 - 1, 2**64 - 1), 7).reason


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "has 0"),
        (b"SO02" + shard(ENTRIES)[4:], "SO02"),
        (b"version https://git-lfs.github.com/spec/v1\n", "b'vers'"),
        (head(20, 0), "whole number"),
        (head(20, 3), "whole number"),
        (head(20, 24), "whole number"),
        (head(20, 29), "whole number"),
        (head(20, 52 + 24 * 2), "ends within"),
        (head(80, 28), "ends within"),
        (head(10**15, 28), "ends within"),
        (head(2**63, 28), "no file"),
        (head(2**64 - 2, 28), "no file"),
        (head(20, 4 + 24 * (2**62 // 24)), "may have"),
        (head(20, 2**64 - 1), "whole number"),
        (head(20, 28), "checksum of the index"),
    ],
    ids=range(15),
)
def test_forged_heads(data: bytes, words: str) -> None:
    """Whatever a header claims is refused for what it is, with the numbers."""
    assert words in refused(data, 7).reason


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([(7, 20, 0)], "whole number"),
        ([(7, 20, 3)], "whole number"),
        ([(7, 20, 11)], "whole number"),
        ([(7, 20, 2**64 - 4)], "no file"),
        ([(7, 2**64 - 1, 12)], "no file"),
        ([(7, 10**12, 12)], "0 are there"),
        ([(7, 20, 4 + 8 * 2**30)], "may have"),
        ([(7, 20, 4 + 8 * 2**26)], "are there"),
        ([(7, 20, 12)], "checksum"),
        ([(7, 20, 12), (7, 20, 12)], "lies over the payload of entry"),
        ([(7, 30, 20), (7, 20, 12)], "entry 0 (7) lies over the payload of entry 1 (7)"),
        ([(7, 0, 20)], "checksum"),
    ],
    ids=range(12),
)
def test_forged_entries(entries: list[tuple[int, int, int]], words: str) -> None:
    """Whatever an index with a right checksum claims of its payloads is refused, with the entry."""
    reason = refused(with_index(entries), 7).reason
    assert words in reason and reason.startswith("entry ")
    assert read(shards_of(with_index(entries)), 8) == []


def test_claims_take_no_memory() -> None:
    """Claims of gigabytes, for an index, for one payload or for many that share bytes, take no memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(head(20, 4 + 24 * (2**28 // 24)), 7)
    refused(with_index([(7, 20, 4 + 8 * 2**28)]), 7)
    body = bytes(1 << 20)
    refused(with_index([(7, 20, 4 + 8 * 2**16)] * 4000, body), 7)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_too_much_for_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Payloads that come to more than one chunk may have are refused before any is read."""
    monkeypatch.setattr(module, "MOST_BYTES", 30)
    reader = MemoryRanges({ONE.name: shard([((7,), bytes(16)), ((7,), bytes(8))])})
    shards = Shards(reader, Cache())
    found = shards.entries({ONE: wanted(7)}, CHUNK)
    reader.asked.clear()
    with pytest.raises(DataError, match=r"entry 0 \(7\) has 20 of 32 bytes") as caught:
        shards.payloads(found, 8, CHUNK)
    assert not reader.asked and caught.value.chunk == CHUNK


def test_a_wrong_checksum_of_a_large_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index in many pieces is refused too for one flipped bit in any of them, and when it is cut off."""
    monkeypatch.setattr(index_module, "BLOCK", 2)
    monkeypatch.setattr(module, "BLOCK", 2)
    monkeypatch.setattr(index_module, "PIECE", 1)
    data = shard([((key,), b"") for key in range(9)])
    start = len(data) - 9 * 24 - 4
    for at in range(start, len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 16
        assert "checksum of the index" in refused(bytes(damaged), 7).reason
        assert "ends within" in refused(data[:at], 7).reason


def test_a_block_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of an index that is read again and is not what it was is refused: old and new do not mix."""
    monkeypatch.setattr(index_module, "BLOCK", 2)
    monkeypatch.setattr(module, "BLOCK", 2)
    reader = MemoryRanges({ONE.name: shard([((key,), b"") for key in range(9)])})
    shards = Shards(reader, Cache(1100))
    shards.entries({ONE: wanted(0)}, CHUNK)
    reader.files[ONE.name] = shard([((key + 1,), b"") for key in range(9)])
    with pytest.raises(DataError, match="the shard has changed"):
        for key in range(9):
            shards.entries({ONE: wanted(key)}, CHUNK)


@pytest.mark.parametrize("gone_at", [2, 3])
def test_a_shard_that_goes_while_it_is_read(gone_at: int) -> None:
    """A shard that is gone before its index or payload is read is no missing one: the chunk is tried again."""

    class Vanishing(MemoryRanges):
        def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
            if len(self.asked) == gone_at - 1:
                self.files.clear()
            return super().read(ranges)

    with pytest.raises(IngestError, match="is gone") as caught:
        read(Shards(Vanishing({ONE.name: shard(ENTRIES)}), Cache()), 5)
    assert not isinstance(caught.value, DataError)


def test_cache_forgets_the_least_recently_used() -> None:
    """What was used last stays; what is larger than the bound is never kept; clear says whether it did anything."""
    cache = Cache(10)
    assert not cache.clear()
    cache.put("a", 1, 4)
    cache.put("b", 2, 4)
    assert cache.get("a") == 1
    cache.put("c", 3, 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c"), cache.bytes) == (1, None, 3, 8)
    cache.put("a", 5, 11)
    assert (cache.get("a"), cache.bytes) == (None, 4)
    cache.put("c", 6, 2)
    assert (cache.get("c"), cache.bytes) == (6, 2)
    assert cache.clear() and not cache.bytes and cache.get("c") is None


Value = tuple[object, ...]


def values(source: RawAgglomeration, chunk: Chunk) -> Value:
    """All that a chunk reads."""
    edges = source.edges(chunk)
    listed = source.components(chunk, [chunk])[chunk]
    return (*(rows_of(getattr(edges, kind)) for kind in ("inside", "between", "cross")), parts_of(listed))


def is_empty(data: bytes) -> bool:
    """Whether a shard says, with the checksum that belongs to it, that it has no entry."""
    at, length = struct.unpack_from("<QQ", data, 4)
    return length == 4 and data[at : at + 4] == bytes(4)


def damages(data: bytes, rng: random.Random) -> bytes:
    """One kind of damage or another."""
    kinds: list[Callable[[], bytes]] = [
        lambda: data[: rng.randrange(len(data))],
        lambda: (
            data[: (at := rng.randrange(len(data)))] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
        ),
        lambda: data[: (at := rng.randrange(len(data)))] + rng.randbytes(rng.randrange(1, 40)) + data[at:],
        lambda: data[: (at := rng.randrange(len(data)))] + data[at + rng.randrange(1, 40) :],
        lambda: data[:4] + rng.randbytes(16) + data[20:],
        lambda: rng.randbytes(rng.randrange(200)),
    ]
    return rng.choice(kinds)()


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 4]))
@example(seed=3526, version=2)
def test_damage_of_every_kind(seed: int, version: int) -> None:
    """Damage anywhere in any shard is a DataError with the file and the chunk, or changes nothing. What nobody
    could see is a header that says of a shard that it is empty, where four zeros are the checksum of nothing."""
    rng = random.Random(seed)
    raw = random_raw(seed, (2, 2, 1), version)
    files, form = raw.files(), RecordFormat(version, raw.resolution)
    right = {
        chunk: values(RawAgglomeration(MemoryRanges(files), raw.grid, raw.ids, form), chunk)
        for chunk in raw.grid.chunks(2)
    }
    for _ in range(10):
        name = rng.choice(sorted(files))
        damaged = damages(files[name], rng)
        source = RawAgglomeration(MemoryRanges({**files, name: damaged}), raw.grid, raw.ids, form)
        for chunk, expected in right.items():
            try:
                assert values(source, chunk) == expected or is_empty(damaged)
            except DataError as error:
                assert (error.file, error.chunk) == (f"mem://raw/{name}", chunk)


def test_a_replaced_shard_is_read_as_it_is() -> None:
    """A worker that remembers the index of a damaged shard reads the one that was put in its place."""
    raw = random_raw(3, (1, 1, 1), wild=False)
    files, chunk = raw.files(), Chunk(2, 0, 0, 0)
    name = "chunked_rg/in_chunk_0_0_0_0.data"
    damaged = bytearray(files[name])
    damaged[20] ^= 1
    reader = MemoryRanges({**files, name: bytes(damaged)})
    source = RawAgglomeration(reader, raw.grid, raw.ids, RecordFormat(2, raw.resolution))
    with pytest.raises(DataError):
        source.edges(chunk)
    reader.files[name] = shard([((5,), b"in front"), *((k, r.tobytes()) for k, r in raw.entries[name])])
    right = RawAgglomeration(MemoryRanges(files), raw.grid, raw.ids, RecordFormat(2, raw.resolution))
    assert values(source, chunk) == values(right, chunk)
