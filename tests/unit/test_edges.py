"""Edge files: what is written comes back, and whatever is damaged is a DataError with file and chunk.

a file: one zstd frame [ ChunkEdges { 1: in_chunk, 2: cross_chunk, 3: between_chunk } ]
each kind:              Edges { 1: node_ids1, 2: node_ids2, 3: affinities, 4: areas }
"""

from __future__ import annotations

import itertools
import random
import resource
import struct

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.inputs import packing
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, edges_name, encode_edges
from shared.inputs.packing import MAX_UNPACKED
from shared.inputs.schema import ChunkEdgesMessage
from shared.plan.grid import Chunk

CHUNK = Chunk(2, 4, 5, 6)
FILE = "gs://bucket/edges/edges_4_5_6.proto.zst"
KINDS = ("in_chunk", "cross_chunk", "between_chunk")
COLUMNS = {"node_ids1": 8, "node_ids2": 8, "affinities": 4, "areas": 8}
BIG = 2**64 - 1

ids = st.integers(0, BIG)
rows = st.lists(st.tuples(ids, ids, st.floats(width=32), ids), max_size=6)


def edges_of(rows: list[tuple[int, int, float, int]]) -> EdgeList:
    return EdgeList(
        np.array([row[:2] for row in rows], np.uint64).reshape(-1, 2),
        np.array([row[2] for row in rows], np.float32),
        np.array([row[3] for row in rows], np.uint64),
    )


SAMPLE = ChunkEdges(
    inside=edges_of([(1, 2, 0.5, 10), (2, BIG, 0.25, 11)]),
    between=edges_of([(2**53 + 1, 2**53 + 3, 0.125, BIG)]),
    cross=edges_of([(5, 6, float("inf"), 1), (7, 8, float("inf"), 1)]),
)


def assert_equal(found: ChunkEdges, expected: ChunkEdges) -> None:
    for kind in ("inside", "between", "cross"):
        one, other = getattr(found, kind), getattr(expected, kind)
        for column in ("pairs", "affinities", "areas"):
            assert getattr(one, column).dtype == getattr(other, column).dtype
            np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


def assert_well_formed(edges: ChunkEdges) -> None:
    """Whole columns of equal length and of the right types."""
    for part in (edges.inside, edges.between, edges.cross):
        count = len(part.pairs)
        assert part.pairs.shape == (count, 2) and part.pairs.dtype == np.uint64
        assert part.affinities.shape == (count,) and part.affinities.dtype == np.float32
        assert part.areas.shape == (count,) and part.areas.dtype == np.uint64


def refused(data: bytes) -> DataError:
    """The DataError that decoding must raise; it names file and chunk."""
    with pytest.raises(DataError) as caught:
        decode_edges(data, FILE, CHUNK)
    assert (caught.value.file, caught.value.chunk) == (FILE, CHUNK)
    assert FILE in str(caught.value) and "2/4_5_6" in str(caught.value)
    return caught.value


def refused_or_well_formed(data: bytes) -> None:
    """Damaged bytes give a DataError with file and chunk, or still a well-formed value."""
    try:
        edges = decode_edges(data, FILE, CHUNK)
    except DataError as error:
        assert (error.file, error.chunk) == (FILE, CHUNK)
        return
    assert_well_formed(edges)


def message(**kinds: dict[str, bytes]) -> bytes:
    """A file of the given columns, without any check."""
    return zstandard.compress(ChunkEdgesMessage(**kinds).SerializeToString())


def columns(**lengths: int) -> dict[str, bytes]:
    """Columns of zeros with one row each, or as many bytes as given."""
    return {name: bytes(lengths.get(name, width)) for name, width in COLUMNS.items()}


def unsized(content: bytes) -> bytes:
    """A zstd frame that does not tell the size of its content, as streaming writers make them."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


def frame(claim: int, content: bytes, single_segment: bool = False) -> bytes:
    """A zstd frame put together by hand: it claims `claim` bytes and holds `content` in one raw block."""
    descriptor = b"\xe0" if single_segment else b"\xc0\x58"
    block = (len(content) << 3 | 1).to_bytes(3, "little") + content
    return b"\x28\xb5\x2f\xfd" + descriptor + struct.pack("<Q", claim) + block


def test_name() -> None:
    """The file's name holds the chunk's coordinates."""
    assert edges_name(CHUNK) == "edges_4_5_6.proto.zst"


def test_missing_file() -> None:
    """A missing file means no edges."""
    edges = decode_edges(None, FILE, CHUNK)
    assert_well_formed(edges)
    assert not len(edges.inside.pairs) and not len(edges.between.pairs) and not len(edges.cross.pairs)


def test_golden_bytes() -> None:
    """A message put together by hand: in_chunk is field 1, cross_chunk 2, between_chunk 3."""

    def one_edge(first: int, second: int, affinity: float, area: int) -> bytes:
        return (
            b"\x0a\x08" + struct.pack("<Q", first) + b"\x12\x08" + struct.pack("<Q", second)
            + b"\x1a\x04" + struct.pack("<f", affinity) + b"\x22\x08" + struct.pack("<Q", area)
        )  # fmt: skip

    parts = [one_edge(1, BIG, 0.5, 7), one_edge(3, 4, float("inf"), 8), one_edge(5, 6, 0.25, 9)]
    content = b"".join(bytes([number << 3 | 2, len(part)]) + part for number, part in enumerate(parts, start=1))
    expected = ChunkEdges(
        inside=edges_of([(1, BIG, 0.5, 7)]),
        cross=edges_of([(3, 4, float("inf"), 8)]),
        between=edges_of([(5, 6, 0.25, 9)]),
    )
    assert_equal(decode_edges(zstandard.compress(content), FILE, CHUNK), expected)
    assert zstandard.decompress(encode_edges(expected)) == content


@given(rows, rows, rows, st.integers(1, 19))
def test_round_trip(
    inside: list[tuple[int, int, float, int]],
    between: list[tuple[int, int, float, int]],
    cross: list[tuple[int, int, float, int]],
    level: int,
) -> None:
    """Edges of any ids, affinities and areas come back exactly, whatever the zstd level."""
    edges = ChunkEdges(edges_of(inside), edges_of(between), edges_of(cross))
    assert_equal(decode_edges(encode_edges(edges, level), FILE, CHUNK), edges)


def test_frame_without_content_size() -> None:
    """A frame that does not tell its size is read as well."""
    content = zstandard.decompress(encode_edges(SAMPLE))
    assert_equal(decode_edges(unsized(content), FILE, CHUNK), SAMPLE)


def test_truncated_anywhere() -> None:
    """A file cut off at any byte is refused."""
    data = encode_edges(SAMPLE)
    for length in range(1, len(data)):
        refused(data[:length])


def test_truncated_anywhere_without_content_size() -> None:
    """A file whose frame does not tell its size is refused too when it is cut off at any byte."""
    data = unsized(zstandard.decompress(encode_edges(SAMPLE)))
    for length in range(1, len(data)):
        refused(data[:length])


@pytest.mark.parametrize("more", [b"\x00", b"junk"], ids=["zero", "junk"])
def test_bytes_after_a_frame_without_content_size(more: bytes) -> None:
    """Bytes after a frame that does not tell its size are refused too."""
    assert "bytes follow" in refused(unsized(zstandard.decompress(encode_edges(SAMPLE))) + more).reason


@pytest.mark.parametrize("more", [b"\x00", b"junk"], ids=["zero", "junk"])
def test_bytes_after_the_frame(more: bytes) -> None:
    """Bytes after the frame that are no frame are refused."""
    assert "bytes follow" in refused(encode_edges(SAMPLE) + more).reason


@pytest.mark.parametrize("cut", [1, 60, 200])
def test_several_frames(cut: int) -> None:
    """A message in several frames is read as a whole, as zstd's format has it."""
    content = zstandard.decompress(encode_edges(SAMPLE))
    data = (
        zstandard.compress(content[:cut]) + unsized(content[cut : cut + 9]) + zstandard.compress(content[cut + 9 :])
    )
    assert_equal(decode_edges(data, FILE, CHUNK), SAMPLE)
    for length in range(1, len(data)):
        refused_or_well_formed(data[:length])


def test_two_messages_in_one_file() -> None:
    """The same frame again counts once; another message behind the first is refused, packed or plain, since the
    lists of the last one alone would count."""
    assert_equal(decode_edges(encode_edges(SAMPLE) * 2, FILE, CHUNK), SAMPLE)
    other = ChunkEdges(inside=edges_of([(8, 9, 0.5, 1)]))
    plain = [zstandard.decompress(encode_edges(part)) for part in (SAMPLE, other)]
    for data in (encode_edges(SAMPLE) + encode_edges(other), b"".join(plain)):
        assert "more than once" in refused(data).reason


def test_what_is_not_used_may_be_absent() -> None:
    """A file without affinities, without areas or without either is read, as is an empty one and one with fields
    that nobody knows."""
    for absent in (("affinities",), ("areas",), ("affinities", "areas")):
        part = columns(**dict.fromkeys(absent, 0))
        assert len(decode_edges(message(in_chunk=part), FILE, CHUNK).inside.pairs) == 1
    assert_well_formed(decode_edges(b"", FILE, CHUNK))
    more = zstandard.decompress(encode_edges(SAMPLE)) + b"\x7a\x03abc"
    assert_equal(decode_edges(zstandard.compress(more), FILE, CHUNK), SAMPLE)
    assert "none of its fields" in refused(zstandard.compress(b"\x7a\x03abc")).reason


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("content_size", [False, True])
def test_every_bit_flipped(checksum: bool, content_size: bool) -> None:
    """Any flipped bit is refused or leaves well-formed columns; no other exception comes out."""
    content = zstandard.decompress(encode_edges(SAMPLE))
    compressor = zstandard.ZstdCompressor(write_checksum=checksum, write_content_size=content_size)
    data = compressor.compress(content)
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refused_or_well_formed(bytes(damaged))


def test_damaged_larger_file() -> None:
    """Several bits flipped at once in a compressed file are refused or leave well-formed columns."""
    rng = random.Random(1)
    many = edges_of([(n // 7, 3 * n, 0.5, n) for n in range(500)])
    data = encode_edges(ChunkEdges(many, many, many))
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 5)):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        refused_or_well_formed(bytes(damaged))


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    """Random bytes are refused or, where they are a message by chance, give well-formed columns."""
    refused_or_well_formed(data)


@given(st.binary(max_size=200), st.booleans())
def test_random_content(content: bytes, sized: bool) -> None:
    """A whole frame of random bytes is refused or gives well-formed columns."""
    refused_or_well_formed(zstandard.compress(content) if sized else unsized(content))


@pytest.mark.parametrize(("kind", "column"), list(itertools.product(KINDS, COLUMNS)))
def test_unequal_lengths(kind: str, column: str) -> None:
    """A column that is longer or shorter than the others is refused, with the kind of edge."""
    for rows_there in (2,) if column in ("affinities", "areas") else (0, 2):
        part = columns(**{column: rows_there * COLUMNS[column]})
        assert kind in refused(message(**{kind: part})).reason


@pytest.mark.parametrize(("kind", "column"), list(itertools.product(KINDS, COLUMNS)))
def test_broken_column(kind: str, column: str) -> None:
    """A column that is not a whole number of values is refused, with kind and column."""
    for extra in (-1, 1):
        part = columns(**{column: COLUMNS[column] + extra})
        assert f"{kind}.{column}" in refused(message(**{kind: part})).reason


@pytest.mark.parametrize("claim", [MAX_UNPACKED + 1, 1 << 40, (1 << 64) - 3])
@pytest.mark.parametrize("single_segment", [False, True])
def test_huge_claim(claim: int, single_segment: bool) -> None:
    """A frame that claims more than the limit is refused for it."""
    assert f"claims {claim} bytes" in refused(frame(claim, b"x", single_segment)).reason


@pytest.mark.parametrize("claim", [MAX_UNPACKED, 3 << 30, 1 << 30])
@pytest.mark.parametrize("single_segment", [False, True])
def test_large_claim_allocates_nothing(claim: int, single_segment: bool) -> None:
    """A frame of a few bytes that claims gigabytes is refused before memory is taken for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(frame(claim, b"x", single_segment))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_more_content_than_claimed() -> None:
    """A frame that holds more than it claims is refused, so a small claim is no way around the limit."""
    content = zstandard.decompress(encode_edges(SAMPLE))
    assert_equal(decode_edges(frame(len(content), content), FILE, CHUNK), SAMPLE)
    for claim in (0, 1, len(content) - 1):
        refused(frame(claim, content))


def test_less_content_than_claimed() -> None:
    """A frame that holds less than it claims is refused."""
    content = zstandard.decompress(encode_edges(SAMPLE))
    for claim in (len(content) + 1, 1 << 20):
        refused(frame(claim, content))
    refused(frame(len(content), b""))


def test_no_content_where_much_is_claimed() -> None:
    """A frame that claims a megabyte and holds nothing is refused, and not read as a file without edges."""
    assert f"claims {1 << 20} bytes and holds 0" in refused(frame(1 << 20, b"")).reason


@pytest.mark.parametrize("payload", [b"", b"abcd", encode_edges(SAMPLE)], ids=["empty", "text", "frame"])
def test_skippable_frame(payload: bytes) -> None:
    """A frame that readers of zstd skip may stand before and behind edges; alone it is refused, and not read as
    no edges."""
    skippable = b"\x5a\x2a\x4d\x18" + struct.pack("<I", len(payload)) + payload
    assert "skipped" in refused(skippable).reason
    assert_equal(decode_edges(skippable + encode_edges(SAMPLE) + skippable, FILE, CHUNK), SAMPLE)
    refused(skippable + encode_edges(SAMPLE) + skippable[:-1])


@pytest.mark.parametrize("claim", [None, 0, 64 << 20])
def test_bomb(monkeypatch: pytest.MonkeyPatch, claim: int | None) -> None:
    """A frame of a few bytes that holds gigabytes is given up at the limit, whatever it claims.

    Its blocks of 4 bytes stand for 2^17 bytes each.
    """
    monkeypatch.setattr(packing, "MAX_UNPACKED", 64 << 20)
    head = b"\x00\x58" if claim is None else b"\xc0\x58" + struct.pack("<Q", claim)
    block = (1 << 17 << 3 | 2).to_bytes(3, "little") + b"\x00"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(b"\x28\xb5\x2f\xfd" + head + block * (4 << 30 >> 17))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 160 << 10  # KiB


def test_many_pieces() -> None:
    """A file that is decompressed in several pieces comes back whole, and is refused when it is cut off."""
    rng = np.random.default_rng(0)
    count = 20_000
    pairs = rng.integers(0, BIG, (count, 2), np.uint64)
    edges = ChunkEdges(EdgeList(pairs, rng.random(count, np.float32), pairs[:, 0]))
    content = zstandard.decompress(encode_edges(edges))
    for data in (encode_edges(edges), unsized(content)):
        assert len(data) > 3 * (MAX_UNPACKED >> 15)
        assert_equal(decode_edges(data, FILE, CHUNK), edges)
        for length in (MAX_UNPACKED >> 15, len(data) // 2, len(data) - 1):
            assert "cut off" in refused(data[:length]).reason


def test_limit_without_content_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that does not tell its size is given up once it exceeds the limit."""
    monkeypatch.setattr(packing, "MAX_UNPACKED", 3 << 20)
    assert "holds more than" in refused(unsized(bytes(4 << 20))).reason
