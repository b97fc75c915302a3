"""The bytes of a hand-off: golden bytes, round trips, and DataError for whatever is damaged.

b"CGHO" | version | header length | checksum | header | columns: as they are, or a zstd frame each
"""

from __future__ import annotations

import random
import resource
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks import codec
from shared.chunks.codec import decode_face_map, decode_handoff, encode_handoff
from shared.chunks.handoff import Face, HandOff
from shared.errors import DataError
from shared.plan.grid import FACES
from tests.examples import examples
from tests.handoffs import (
    CHUNK,
    FILE,
    SAMPLE,
    assert_equal,
    flipped,
    handoffs_of,
    readers,
    refused,
    refused_by_all,
    refused_for_another_chunk,
    same_map,
    volumes,
)
from tests.volumes import Volume, random_volume

GOLDEN_FIXED = bytes.fromhex(
    "02000000 01000000 00000000 00000000"  # chunk 2/1_0_0
    "0100000000040000 0200000000000000 0100000000000000"  # max_root, nodes, digests are known
    + "0200000000000000" * 12  # edges, and rows of maps, end after the first face
    + "0200000000000000 ffffffffffffffff"  # digest of face 0
    + "00000000000000000000000000000000" * 5  # and of the others
    + "299e2b4a00000000"  # checksum of the columns
    + "0000000000000000" * 5  # no frames
)
GOLDEN_TOTALS = b'{"2":{"chunks":1,"nodes":3}}       '
GOLDEN_COLUMNS = bytes.fromhex(
    "0100000000400002 0200000000400002"  # nodes
    "0500000000000001 0700000000000001"  # far
    "0300000000400001 0400000000400001"  # old
    "00000000 01000000"  # near
    "00000000 01000000"  # new
)
FIELDS = 37
"""Numbers at the header's beginning: four of 32 bits, the others of 64."""


def sealed(header: bytes, columns: bytes = GOLDEN_COLUMNS) -> bytes:
    """A hand-off with this header, whose length and checksum are right."""
    prefix = b"CGHO\x03" + struct.pack("<I", len(header))
    return prefix + struct.pack("<I", zlib.crc32(header, zlib.crc32(prefix + bytes(4)))) + header + columns


GOLDEN = sealed(GOLDEN_FIXED + GOLDEN_TOTALS)
COLUMNS_AT = len(GOLDEN) - len(GOLDEN_COLUMNS)
POSITIONS = np.arange(4, dtype=np.uint32)
FRAMED = HandOff(
    CHUNK,
    np.arange(5_000, dtype=np.uint64),
    {2: Face(POSITIONS, POSITIONS.astype(np.uint64), POSITIONS.astype(np.uint64), POSITIONS)},
    7,
    {2: {"nodes": 5_000}},
    {},
)
"""More than is stored as it is."""


def with_field(number: int, value: int) -> bytes:
    """The sample with one number of its header changed."""
    numbers = [*struct.unpack("<4I33Q", GOLDEN_FIXED)]
    numbers[number] = value
    return sealed(struct.pack("<4I33Q", *numbers) + GOLDEN_TOTALS)


def face_of(**parts: Any) -> dict[int, Face]:
    """The sample's face as number 4, with some columns changed."""
    columns = {name: getattr(SAMPLE.faces[0], name) for name in ("near", "far", "old", "new")}
    return {4: Face(**(columns | parts))}


def test_golden_bytes() -> None:
    """The bytes of a small hand-off, so that a run under way survives an update of the code; ids begin at a
    multiple of 8."""
    assert encode_handoff(SAMPLE) == GOLDEN
    assert COLUMNS_AT % 8 == 0
    assert_equal(decode_handoff(GOLDEN, FILE, CHUNK), SAMPLE)


def test_face_map_of_the_sample() -> None:
    """The map of one face has ids for positions; a face without edges has an empty map."""
    found = decode_face_map(GOLDEN, FILE, CHUNK, 0)
    assert found.old.tolist() == [(1 << 56 | 1 << 46) + 3, (1 << 56 | 1 << 46) + 4]
    assert found.new.tolist() == SAMPLE.nodes.tolist()
    for face in range(1, 6):
        assert len(decode_face_map(GOLDEN, FILE, CHUNK, face).old) == 0


@pytest.mark.parametrize("digests", [None, {}, {5: (1, 2)}, {0: (3, (1 << 64) - 1), 4: (1, 0)}])
def test_digests(digests: dict[int, tuple[int, int]] | None) -> None:
    """Digests come back as they are, known or not, of all faces and of one."""
    handoff = HandOff(CHUNK, SAMPLE.nodes, SAMPLE.faces, 0, {}, digests)
    data = encode_handoff(handoff)
    assert_equal(decode_handoff(data, FILE, CHUNK), handoff)
    for face in FACES:
        assert decode_face_map(data, FILE, CHUNK, face).digest == handoff.digest(face)


def test_empty_handoff() -> None:
    """A chunk that nothing leaves has a hand-off with its totals and no node."""
    empty = HandOff(CHUNK, np.zeros(0, np.uint64), {}, 0, {}, {})
    assert_equal(decode_handoff(encode_handoff(empty), FILE, CHUNK), empty)
    assert len(decode_face_map(encode_handoff(empty), FILE, CHUNK, 3).old) == 0


@given(volumes)
@examples(25)
def test_round_trip(volume: Volume) -> None:
    """The hand-offs of random volumes decode to what encodes to the same bytes, map by map the same."""
    for chunk, name, data in handoffs_of(volume):
        found = decode_handoff(data, name, chunk)
        assert encode_handoff(found) == data
        assert found.chunk == chunk
        for face in FACES:
            assert same_map(decode_face_map(data, name, chunk, face), found.face_map(face))


@given(
    st.lists(st.integers(0, 2**64 - 1), unique=True, min_size=1, max_size=50),
    st.sets(st.sampled_from(FACES)),
    st.randoms(use_true_random=False),
    st.integers(0, 2**63),
    st.booleans(),
)
def test_any_ids(nodes: list[int], faces: set[int], rng: random.Random, max_root: int, framed: bool) -> None:
    """Hand-offs with any 64-bit ids come back exactly, in frames and as they are."""

    def draw(kind: type, top: int, count: int) -> np.ndarray[Any, Any]:
        return np.array([rng.randrange(top) for _ in range(count)], kind)

    def face() -> Face:
        edges, lifted = rng.randint(1, 9), rng.randint(1, 9)
        return Face(
            draw(np.uint32, len(nodes), edges),
            draw(np.uint64, 2**64, edges),
            draw(np.uint64, 2**64, lifted),
            draw(np.uint32, len(nodes), lifted),
        )

    handoff = HandOff(
        CHUNK, np.array(sorted(nodes), np.uint64), {n: face() for n in faces}, max_root, {5: {"nodes": 2**60}}
    )
    with pytest.MonkeyPatch.context() as patch:
        if framed:
            patch.setattr(codec, "PLAIN", 0)
        data = encode_handoff(handoff)
        assert_equal(decode_handoff(data, FILE, CHUNK), handoff)
        for number in FACES:
            assert same_map(decode_face_map(data, FILE, CHUNK, number), handoff.face_map(number))


def test_large_ones_are_packed() -> None:
    """Where columns take more than 32 KiB each is a frame; one that is damaged is refused."""
    data = encode_handoff(FRAMED)
    assert len(data) < 5_000 * 8
    assert_equal(decode_handoff(data, FILE, CHUNK), FRAMED)
    assert same_map(decode_face_map(data, FILE, CHUNK, 2), FRAMED.face_map(2))
    start = data.index(b"\x28\xb5\x2f\xfd")
    for bit in range(8 * start, 8 * len(data), 7):
        try:
            found = decode_handoff(flipped(data, bit), FILE, CHUNK)
        except DataError as error:
            assert error.file == FILE
            continue
        assert_equal(found, FRAMED)


@pytest.mark.parametrize("nodes", [[2, 1], [1, 1]])
def test_nodes_out_of_order(nodes: list[int]) -> None:
    """Nodes that are unsorted or stand twice are refused, though every checksum fits."""
    position, node = np.zeros(1, np.uint32), np.zeros(1, np.uint64)
    face = Face(position, node, node, position)
    assert (
        "in order" in refused(encode_handoff(HandOff(CHUNK, np.array(nodes, np.uint64), {0: face}, 0, {}))).reason
    )


def test_truncated_anywhere() -> None:
    """A hand-off cut off at any byte is refused by every reader."""
    for length in range(len(GOLDEN)):
        refused_by_all(GOLDEN[:length])


def test_more_bytes() -> None:
    """Bytes after the last column are refused."""
    assert "its header speaks of" in refused(GOLDEN + b"\x00").reason


def test_every_bit() -> None:
    """Any bit flipped anywhere is refused by every reader: header and columns have a checksum."""
    for bit in range(8 * len(GOLDEN)):
        refused_by_all(flipped(GOLDEN, bit))


def test_many_bits() -> None:
    """Several bits flipped in the columns of a larger hand-off are refused."""
    rng = random.Random(2)
    data_of = {chunk: (name, data) for chunk, name, data in handoffs_of(random_volume(5, (4, 2, 1), 6))}
    for _ in range(400):
        chunk = rng.choice(sorted(data_of))
        name, data = data_of[chunk]
        damaged = data
        for bit in rng.sample(range(8 * len(data)), rng.randint(1, 4)):
            damaged = flipped(damaged, bit)
        with pytest.raises(DataError, match=name):
            decode_handoff(damaged, name, chunk)


@pytest.mark.parametrize("value", [0, 1, 3, 5, 1 << 20, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("number", range(4, FIELDS))
def test_any_number_of_the_header(number: int, value: int) -> None:
    """A header that says another number and has the right checksum is refused, or only says what it may: another
    highest root or digest, or what stays the same. No memory is taken for what it claims."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for read in readers():
        try:
            found = read(with_field(number, value))
        except DataError as error:
            assert error.file == FILE
            continue
        if isinstance(found, HandOff) and value != [*struct.unpack("<4I33Q", GOLDEN_FIXED)][number]:
            assert number in (4, 6, *range(19, 31)) or number >= 32, number
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_claim_in_the_frame() -> None:
    """A frame that claims terabytes, as its header does too, is refused before memory is taken for it."""
    huge = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 8 << 37) + b"\x01\x00\x00"
    numbers = [*CHUNK, 0, 1 << 37, 0, *[0] * 24, 0, len(huge), 0, 0, 0, 0]
    data = sealed(struct.pack("<4I33Q", *numbers) + b"{}", huge)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "frame 0 is damaged" in refused(data).reason
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize("columns", [("near", "far"), ("old", "new")])
def test_empty_face(columns: tuple[str, ...]) -> None:
    """A face without edges, or without a map for them, is none, and refused with its number."""
    faces = face_of(**{name: getattr(SAMPLE.faces[0], name)[:0] for name in columns})
    assert "face 4 has" in refused(encode_handoff(HandOff(CHUNK, SAMPLE.nodes, faces, 0, {}))).reason


@pytest.mark.parametrize("column", ["near", "far", "old", "new"])
def test_unequal_columns(column: str) -> None:
    """Columns of a face that belong together and differ in length are refused by every reader."""
    faces = face_of(**{column: getattr(SAMPLE.faces[0], column)[:1]})
    for read in readers():
        with pytest.raises(DataError, match="its header speaks of"):
            read(encode_handoff(HandOff(CHUNK, SAMPLE.nodes, faces, 0, {})))


@pytest.mark.parametrize("column", ["near", "new"])
def test_position_that_is_not_there(column: str) -> None:
    """A face that points behind the last node is refused by both readers, with the face."""
    data = encode_handoff(HandOff(CHUNK, SAMPLE.nodes, face_of(**{column: np.array([0, 2], np.uint32)}), 0, {}))
    assert "face 4 names" in refused(data).reason
    if column == "new":
        with pytest.raises(DataError, match="face 4 names"):
            decode_face_map(data, FILE, CHUNK, 4)


def test_another_chunk() -> None:
    """The hand-off of another chunk is refused, with both chunks."""
    refused_for_another_chunk(GOLDEN)


@pytest.mark.parametrize("data", [b"", b"CGHO", b"\x80\x04]." * 10, b"CGHO\x04" + GOLDEN[5:], b"XXXX" + GOLDEN[4:]])
def test_no_handoff(data: bytes) -> None:
    """Another kind of file and another version are refused."""
    refused(data)


@given(st.binary(max_size=400))
def test_random_bytes(data: bytes) -> None:
    """Random bytes are refused, with and without the right beginning."""
    refused(data)
    refused(sealed(data))
    refused(sealed(data, b""))
    refused(sealed(GOLDEN_FIXED + b"[" + data))


@pytest.mark.parametrize(
    "totals",
    [
        *("", "null", "[]", "5", '"text"', "[" * 100_000, "{", '{"x":{}}', '{"2":5}', '{"2":[1]}', '{"2":"nodes"}'),
        *('{"2":{"nodes":"many"}}', '{"2":{"nodes":0.5}}', '{"2":{"nodes":-1}}', '{"2":{"nodes":false}}'),
        *(
            '{"-2":{}}',
            '{"02":{}}',
            '{"":{}}',
            '{"\u0662":{}}',
            '[["2",{}]]',
            '{"2":{"nodes":18446744073709551616}}',
        ),
    ],
)
def test_bad_totals(totals: str) -> None:
    """Totals that are none are refused with a DataError that names the file."""
    assert "its header is damaged" in refused(sealed(GOLDEN_FIXED + totals.encode())).reason
