"""Hand-offs of versions 1 and 2, as older releases wrote them: read, and DataError for whatever is damaged.

b"CGHO" | version | header length | checksum | header: JSON | nodes | near | far | old | new | ...
                                                              one zstd frame with a checksum each
"""

from __future__ import annotations

import json
import resource
import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.codec import decode_face_map, decode_handoff
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
    refused,
    refused_by_all,
    refused_for_another_chunk,
    refused_or_equal,
    same_map,
    volumes,
)
from tests.volumes import Volume

HEADER = (
    b'{"chunk":[2,1,0,0],"digests":{"0":[2,18446744073709551615]},"max_root":4398046511105,'
    b'"sections":[["nodes","<u8",2,29],["near.0","<u4",2,21],["far.0","<u8",2,29],["old.0","<u8",2,29],'
    b'["new.0","<u4",2,21]],"totals":{"2":{"chunks":1,"nodes":3}}}'
)
GOLDEN_FRAMES = bytes.fromhex(
    # Each frame: magic, descriptor and size, header of a raw block, little-endian values, checksum.
    "28b52ffd 2410 810000 0100000000400002 0200000000400002 2de9e268"  # nodes
    "28b52ffd 2408 410000 00000000 01000000 a9a28e26"  # near.0
    "28b52ffd 2410 810000 0500000000000001 0700000000000001 0cd0f86c"  # far.0
    "28b52ffd 2410 810000 0300000000400001 0400000000400001 aeeb5429"  # old.0
    "28b52ffd 2408 410000 00000000 01000000 a9a28e26"  # new.0
)
GOLDEN = b"CGHO\x02" + bytes.fromhex("f2000000 2bbff418") + HEADER + GOLDEN_FRAMES
HEADER_1 = HEADER.replace(b'"digests":{"0":[2,18446744073709551615]},', b"")
GOLDEN_1 = b"CGHO\x01" + bytes.fromhex("c9000000 a3d7f0cc") + HEADER_1 + GOLDEN_FRAMES
"""The same in version 1, which had no digests."""
HEADER_AT = 13
FRAMES_AT = HEADER_AT + len(HEADER)


def sealed(header: bytes, frames: bytes = GOLDEN_FRAMES) -> bytes:
    """A hand-off with this header, whose length and checksum are right."""
    prefix = b"CGHO\x02" + struct.pack("<I", len(header))
    return prefix + struct.pack("<I", zlib.crc32(prefix + header)) + header + frames


def with_header(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The sample with something changed in its header."""
    header = json.loads(HEADER)
    changed = change(header)
    return sealed(json.dumps(header if changed is None else changed).encode())


def written(handoff: HandOff) -> bytes:
    """The bytes that the release of version 2 made."""
    columns = {"nodes": handoff.nodes}
    for number, face in sorted(handoff.faces.items()):
        columns |= {f"{name}.{number}": getattr(face, name) for name in ("near", "far", "old", "new")}
    compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
    frames = {name: compress(column.tobytes()) for name, column in columns.items()}
    header = {
        "chunk": list(handoff.chunk),
        "digests": handoff.digests,
        "max_root": handoff.max_root,
        "sections": [[name, part.dtype.str, len(part), len(frames[name])] for name, part in columns.items()],
        "totals": handoff.totals,
    }
    return sealed(json.dumps(header, separators=(",", ":")).encode(), b"".join(frames.values()))


def test_golden_bytes() -> None:
    """The bytes of a small hand-off of version 2, so that a run under way survives an update of the code."""
    assert written(SAMPLE) == GOLDEN
    assert_equal(decode_handoff(GOLDEN, FILE, CHUNK), SAMPLE)


def test_version_1_is_read() -> None:
    """The hand-offs of a run that an older release began are read; their digests are not known."""
    assert_equal(decode_handoff(GOLDEN_1, FILE, CHUNK), replace(SAMPLE, digests=None))
    assert decode_face_map(GOLDEN_1, FILE, CHUNK, 0).digest is None
    assert decode_face_map(GOLDEN_1, FILE, CHUNK, 1).digest is None
    with pytest.raises(DataError, match="its keys are"):
        decode_handoff(
            b"CGHO\x01" + GOLDEN[5:9] + checksum(b"CGHO\x01" + GOLDEN[5:9] + HEADER) + GOLDEN[13:], FILE, CHUNK
        )


def checksum(data: bytes) -> bytes:
    """The checksum of a header and what stands before it."""
    return struct.pack("<I", zlib.crc32(data))


@pytest.mark.parametrize(
    "digests",
    [[], {"6": [1, 2]}, {"0": 5}, {"0": [1]}, {"0": [1, 2, 3]}, {"0": [1.5, 2]}, {"0": [-1, 2]}, {"x": []}],
)
def test_damaged_digests(digests: object) -> None:
    """Digests that are none are refused with the file."""
    assert "header is damaged" in refused(with_header(lambda header: header.update(digests=digests))).reason


def test_face_map_of_the_sample() -> None:
    """The map of one face has ids for positions; a face without edges has an empty map."""
    found = decode_face_map(GOLDEN, FILE, CHUNK, 0)
    assert found.old.tolist() == [(1 << 56 | 1 << 46) + 3, (1 << 56 | 1 << 46) + 4]
    assert found.new.tolist() == SAMPLE.nodes.tolist()
    for face in range(1, 6):
        assert len(decode_face_map(GOLDEN, FILE, CHUNK, face).old) == 0


@given(volumes)
@examples(10)
def test_what_an_older_release_wrote(volume: Volume) -> None:
    """The hand-offs of random volumes in the older form are the same, map by map."""
    for chunk, name, data in handoffs_of(volume):
        expected = decode_handoff(data, name, chunk)
        older = written(expected)
        assert_equal(decode_handoff(older, name, chunk), expected)
        for face in FACES:
            assert same_map(decode_face_map(older, name, chunk, face), expected.face_map(face))


def test_truncated_anywhere() -> None:
    """A hand-off cut off at any byte is refused by every reader."""
    for length in range(len(GOLDEN)):
        refused_by_all(GOLDEN[:length])


def test_more_bytes() -> None:
    """Bytes after the last frame are refused."""
    assert "its header speaks of" in refused(GOLDEN + b"\x00").reason


def test_every_bit_of_the_frames() -> None:
    """Any bit flipped behind the header is refused, or changes nothing: the frames have checksums."""
    for bit in range(8 * FRAMES_AT, 8 * len(GOLDEN)):
        refused_or_equal(flipped(GOLDEN, bit))


def test_every_bit_of_the_header() -> None:
    """Any bit flipped in the header or before it is refused by every reader: it has a checksum."""
    for bit in range(8 * FRAMES_AT):
        refused_by_all(flipped(GOLDEN, bit))


@pytest.mark.parametrize("other", ["other", "near.1", "far.0", "old.6", "", None, 5])
@pytest.mark.parametrize("name", ["near.0", "far.0", "old.0", "new.0", "nodes"])
def test_renamed_column(name: str, other: object) -> None:
    """A column that is missing beside its sisters is refused by every reader."""
    if name != other:
        data = with_header(lambda header: header["sections"][_section(name)].__setitem__(0, other))
        refused_by_all(data)


@pytest.mark.parametrize("columns", [("near",), ("old", "new"), ("near", "far"), ("near", "far", "old", "new")])
def test_empty_face(columns: tuple[str, ...]) -> None:
    """A face without edges, or without a map for them, is none, and refused with its number."""
    parts = {name: getattr(SAMPLE.faces[0], name) for name in ("near", "far", "old", "new")}
    parts |= {name: parts[name][:0] for name in columns}
    assert "face 3" in refused(written(HandOff(CHUNK, SAMPLE.nodes, {3: Face(**parts)}, 0, {}))).reason


def test_column_twice() -> None:
    """A column that stands twice is refused, whichever of the two is right."""
    assert "its columns are" in refused(sealed(HEADER.replace(b'["far.0"', b'["nodes"'))).reason


def test_another_chunk() -> None:
    """The hand-off of another chunk is refused, with both chunks."""
    refused_for_another_chunk(GOLDEN)


@pytest.mark.parametrize("data", [b"", b"CGHO", b"\x80\x04]." * 10, b"CGHO\x03" + GOLDEN[5:], b"XXXX" + GOLDEN[4:]])
def test_no_handoff(data: bytes) -> None:
    """Another kind of file and another version are refused."""
    refused(data)


@given(st.binary(max_size=200))
def test_random_bytes(data: bytes) -> None:
    """Random bytes are refused, with and without the right beginning."""
    refused(data)
    refused(sealed(data))
    refused(sealed(data, b""))


def _section(name: str) -> int:
    return [section[0] for section in json.loads(HEADER)["sections"]].index(name)


@pytest.mark.parametrize("count", [3, 1, 0, -1, 1 << 20, 1 << 40, 1 << 70])
@pytest.mark.parametrize("name", ["nodes", "near.0", "new.0"])
def test_wrong_count(name: str, count: int) -> None:
    """A header that claims another length of a column is refused before memory is taken for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(with_header(lambda header: header["sections"][_section(name)].__setitem__(2, count)))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize("size", [0, 28, 30, -1, -29, 1 << 40, 1 << 70])
def test_wrong_size(size: int) -> None:
    """A header that claims another size of a frame is refused."""
    refused(with_header(lambda header: header["sections"][0].__setitem__(3, size)))


@pytest.mark.parametrize("dtype", ["<u4", "<i8", ">u8", "<f8", "|O", "<u8x", 5, None])
def test_wrong_type(dtype: object) -> None:
    """A header that gives a column another type is refused."""
    refused(with_header(lambda header: header["sections"][0].__setitem__(1, dtype)))


def test_claim_in_the_frame() -> None:
    """A frame that claims terabytes, as its header does too, is refused before memory is taken for it."""
    huge = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 8 << 37) + b"\x01\x00\x00"
    header = json.loads(HEADER) | {"sections": [["nodes", "<u8", 1 << 37, len(huge)]]}
    data = sealed(json.dumps(header).encode(), huge)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize(
    "sections",
    [None, 5, "nodes", [5], ["nodes"], [[]], [["nodes", "<u8", 2]], [[1, 2, 3, 4, 5]], [["a", "b", "c", "d"]]],
)
def test_bad_sections(sections: object) -> None:
    """A list of sections that is none is refused."""
    refused(with_header(lambda header: header.__setitem__("sections", sections)))


@pytest.mark.parametrize("key", ["chunk", "max_root", "totals", "sections"])
def test_missing_key(key: str) -> None:
    """A header without one of its keys is refused."""

    def drop(header: dict[str, Any]) -> None:
        del header[key]

    refused(with_header(drop))


@pytest.mark.parametrize("header", [None, [], 5, "text", {}, [[]]])
def test_header_of_another_kind(header: object) -> None:
    """A header that is no object is refused."""
    refused(sealed(json.dumps(header).encode()))


def test_deep_header() -> None:
    """A header that nests without end is refused."""
    refused(sealed(b"[" * 100_000))


@pytest.mark.parametrize("max_root", [-1, "x", None, [], {}])
def test_bad_max_root(max_root: object) -> None:
    """A highest root that is no number from 0 is refused."""
    refused(with_header(lambda header: header.__setitem__("max_root", max_root)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("totals", {"x": {}}),
        ("totals", {"2": 5}),
        ("totals", {"2": [1]}),
        ("totals", {"2": "nodes"}),
        ("totals", {"2": {"nodes": "many"}}),
        ("totals", {"2": {"nodes": 0.5}}),
        ("totals", {"2": {"nodes": -1}}),
        ("totals", {"2": {"nodes": False}}),
        ("totals", {"-2": {}}),
        ("totals", {"02": {}}),
        ("totals", {"": {}}),
        ("totals", {"\u0662": {}}),
        ("totals", [["2", {}]]),
        ("max_root", float("inf")),
        ("max_root", 0.5),
        ("max_root", "7"),
        ("max_root", True),
        ("max_root", 1 << 64),
        ("chunk", [2.0, True, 0, 0]),
        ("chunk", [2, 1, 0]),
        ("chunk", "2100"),
        ("chunk", None),
        ("version", 1),
        ("sections", [["nodes", "<u8", 2.0, 29]]),
        ("sections", [["nodes", "<u8", float("inf"), 29]]),
    ],
)
def test_bad_values(key: str, value: object) -> None:
    """Header values of another kind are refused with a DataError that names the file."""
    refused(with_header(lambda header: header.__setitem__(key, value)))


def test_position_that_is_not_there() -> None:
    """A face that points behind the last node is refused by both readers, with the face."""
    face = SAMPLE.faces[0]
    for column in ("near", "new"):
        parts = {name: getattr(face, name) for name in ("near", "far", "old", "new")}
        parts[column] = np.array([0, 2], np.uint32)
        data = written(HandOff(CHUNK, SAMPLE.nodes, {4: Face(**parts)}, 0, {}))
        assert "face 4" in refused(data).reason
        if column == "new":
            with pytest.raises(DataError, match="face 4"):
                decode_face_map(data, FILE, CHUNK, 4)


@pytest.mark.parametrize("column", ["near", "far", "old", "new"])
def test_unequal_columns(column: str) -> None:
    """Columns of a face that belong together and differ in length are refused, with the face."""
    parts = {name: getattr(SAMPLE.faces[0], name) for name in ("near", "far", "old", "new")}
    parts[column] = parts[column][:1]
    data = written(HandOff(CHUNK, SAMPLE.nodes, {2: Face(**parts)}, 0, {}))
    assert "face 2" in refused(data).reason
    if column in ("old", "new"):
        with pytest.raises(DataError, match="face 2"):
            decode_face_map(data, FILE, CHUNK, 2)
