"""The bytes of a cut: golden bytes, round trips, and DataError for whatever is damaged.

b"CGCT" | version | header length | checksum | header: JSON | original | objects | voxels | pairs | areas | …
                                                              one zstd frame with a checksum each
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.inputs.segmentation.cut import Cut, Plane
from shared.inputs.segmentation.cut_file import decode_cut, encode_cut
from shared.plan.grid import FACES, Chunk
from shared.voxels.contacts import Contacts
from tests.effort import measured
from tests.examples import examples

Column = npt.NDArray[Any]

FILE = "gs://bucket/scratch/graph/run/layer1/1_0_0.handoff"
CHUNK = Chunk(1, 1, 0, 0)
SAMPLE = Cut(
    CHUNK,
    np.array([7, (1 << 64) - 1, 9], np.uint64),
    np.array([1, 0, 1 << 63], np.uint64),
    np.array([3, 1, 2], np.uint64),
    Contacts(np.array([[1, 2], [1, 3]], np.uint32), np.array([48, 8], np.uint64), np.array([0.5, 1], np.float32)),
    {
        1: Plane(np.array([[1, 0], [2, 3]], np.uint32)),
        2: Plane(np.array([[1, 1, 0]], np.uint32), np.array([[0.25, 0.5, 1]], np.float32)),
    },
)
BYTES = encode_cut(SAMPLE)
PREFIX = 13
HEADER_END = PREFIX + struct.unpack_from("<I", BYTES, 5)[0]


def same(found: Cut, wanted: Cut) -> bool:
    """Whether two cuts are equal in every value and type."""
    return found.chunk == wanted.chunk and encode_cut(found) == encode_cut(wanted)


def refused(data: bytes) -> DataError:
    """The DataError that reading must raise; it names the file and the chunk."""
    with pytest.raises(DataError) as caught:
        decode_cut(data, FILE, CHUNK)
    assert (caught.value.file, caught.value.chunk) == (FILE, CHUNK)
    return caught.value


def sealed(header: object, frames: bytes | None = None) -> bytes:
    """A cut with this header, whose length and checksum are right."""
    text = json.dumps(header).encode()
    body = BYTES[HEADER_END:] if frames is None else frames
    return b"CGCT\x01" + struct.pack("<II", len(text), zlib.crc32(text)) + text + body


def header() -> dict[str, Any]:
    """That of the sample."""
    found: dict[str, Any] = json.loads(BYTES[PREFIX:HEADER_END])
    return found


def columns() -> dict[str, Column]:
    """Those of the sample, by name."""
    found, at = {}, HEADER_END
    types = {"original": "<u8", "objects": "<u8", "voxels": "<u8", "areas": "<u8", "affinities": "<f4"}
    for name, shape, size in header()["sections"]:
        kind = types.get(name) or ("<f4" if name.startswith("affinities") else "<u4")
        data = zstandard.ZstdDecompressor().decompress(BYTES[at : at + size])
        found[name] = np.frombuffer(data, kind).reshape(shape)
        at += size
    return found


def forged(changes: Mapping[str, Column | None]) -> bytes:
    """The sample with other columns, every checksum right."""
    compress = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
    kept = {name: column for name, column in {**columns(), **changes}.items() if column is not None}
    frames = {name: compress(np.ascontiguousarray(column).tobytes()) for name, column in kept.items()}
    sections = [[name, list(kept[name].shape), len(frame)] for name, frame in frames.items()]
    return sealed({"chunk": list(CHUNK), "sections": sections}, b"".join(frames.values()))


@st.composite
def cuts(draw: st.DrawFn) -> Cut:
    """Any cut, of few pieces."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(0, 9))
    ids, more, sizes = (
        rng.integers(0, 1 << 64, (3, count), dtype=np.uint64, endpoint=False)
        if count
        else np.zeros((3, 0), np.uint64)
    )
    every = [(a, b) for a in range(1, count + 1) for b in range(a + 1, count + 1)]
    pairs = np.array([pair for pair in every if rng.random() < 0.5], np.uint32).reshape(-1, 2)
    known = draw(st.booleans())
    inside = Contacts(
        pairs,
        rng.integers(0, 1 << 64, len(pairs), dtype=np.uint64),
        rng.random(len(pairs)).astype(np.float32) if known else None,
    )

    def plane(face: int) -> Plane:
        shape = tuple(rng.integers(1, 5, 2))
        affinities = rng.random(shape).astype(np.float32) if known and face % 2 == 0 else None
        return Plane(rng.integers(0, count + 1, shape).astype(np.uint32), affinities)

    faces = draw(st.sets(st.sampled_from(FACES)))
    return Cut(Chunk(1, *map(int, rng.integers(0, 9, 3))), ids, more, sizes, inside, {n: plane(n) for n in faces})


@given(cuts())
def test_round_trip(cut: Cut) -> None:
    """Any cut comes back exactly, and the same cut gives the same bytes."""
    data = encode_cut(cut)
    found = decode_cut(data, FILE, cut.chunk)
    assert encode_cut(found) == data == encode_cut(cut)
    assert found.original.tolist() == cut.original.tolist() and set(found.planes) == set(cut.planes)
    for face, plane in cut.planes.items():
        assert np.array_equal(found.planes[face].numbers, plane.numbers)


@given(cuts(), st.randoms(use_true_random=False))
@examples(60)
def test_any_damage(cut: Cut, rng: random.Random) -> None:
    """Bytes flipped, cut off, added or replaced: a DataError that names the file, or still the same cut."""
    data = encode_cut(cut)
    damaged = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(damaged) + 1)
        kind = rng.randrange(4)
        if kind == 0 and at < len(damaged):
            damaged[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del damaged[at:]
        elif kind == 2:
            damaged[at:at] = rng.randbytes(rng.randint(1, 9))
        else:
            damaged[at : at + rng.randint(1, 30)] = rng.randbytes(rng.randint(0, 30))
    try:
        found = decode_cut(bytes(damaged), FILE, cut.chunk)
    except DataError as error:
        assert error.file == FILE
    else:
        assert same(found, cut)


def test_truncated_anywhere() -> None:
    """A cut that is cut off at any byte is refused."""
    for length in range(len(BYTES)):
        refused(BYTES[:length])


def test_every_bit() -> None:
    """Any bit flipped is refused, or changes nothing; in the header it is always refused."""
    for bit in range(8 * len(BYTES)):
        damaged = bytearray(BYTES)
        damaged[bit // 8] ^= 1 << bit % 8
        if bit < 8 * HEADER_END:
            refused(bytes(damaged))
            continue
        try:
            assert same(decode_cut(bytes(damaged), FILE, CHUNK), SAMPLE)
        except DataError as error:
            assert error.file == FILE


def test_another_chunk() -> None:
    """The cut of another chunk under this one's name is refused."""
    with pytest.raises(DataError, match="it is the cut of chunk 1/1_0_0"):
        decode_cut(BYTES, FILE, Chunk(1, 0, 0, 0))


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"CGHO\x02" + bytes(40), b"CGCT\x02" + BYTES[5:]])
def test_foreign(data: bytes) -> None:
    """What is no cut, a hand-off of a layer above, and a version that is not known are refused."""
    refused(data)


U4, U8 = np.uint32, np.uint64
FORGERIES: dict[str, dict[str, Column | None]] = {
    "a piece more": {"original": np.zeros(4, U8)},
    "no labels": {"original": None},
    "no planes' numbers": {"plane.2": None},
    "labels in two columns": {name: np.ones((3, 1), U8) for name in ("original", "objects", "voxels")},
    "a contact with background": {"pairs": np.array([[0, 2], [1, 3]], U4)},
    "a contact with itself": {"pairs": np.array([[1, 1], [1, 3]], U4)},
    "a contact the other way round": {"pairs": np.array([[2, 1], [1, 3]], U4)},
    "a contact with a piece that is not there": {"pairs": np.array([[1, 4], [1, 3]], U4)},
    "contacts of three": {"pairs": np.array([[1, 2, 3], [1, 2, 3]], U4)},
    "more areas": {"areas": np.ones(3, U8)},
    "more affinities": {"affinities": np.ones(1, np.float32)},
    "a plane of pieces that are not there": {"plane.1": np.array([[1, 9]], U4)},
    "a plane of one axis": {"plane.1": np.ones(4, U4)},
    "affinities of another plane": {"affinities.2": np.ones((3, 1), np.float32)},
    "affinities without a plane": {"affinities.4": np.ones((3, 1), np.float32)},
    "an unknown column": {"plane.6": np.ones((1, 1), U4)},
}


@pytest.mark.parametrize("kind", FORGERIES)
def test_forged(kind: str) -> None:
    """Columns that do not fit each other are refused, though every checksum is right."""
    assert forged({}) != b"" and same(decode_cut(forged({}), FILE, CHUNK), SAMPLE)
    refused(forged(FORGERIES[kind]))


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    found = header()
    new = change(found)
    return sealed(found if new is None else new)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: [],
        lambda found: {"sections": found["sections"]},
        lambda found: found.update(chunk=[1, 1]),
        lambda found: found.update(chunk="1100"),
        lambda found: found.update(sections=5),
        lambda found: found["sections"].append(["original", [3], 5]),
        lambda found: found["sections"].append(found["sections"][0]),
        lambda found: found["sections"][0].__setitem__(1, [-3]),
        lambda found: found["sections"][0].__setitem__(1, [-1, -3]),
        lambda found: found["sections"][0].__setitem__(1, [1 << 70]),
        lambda found: found["sections"][0].__setitem__(1, ["x"]),
        lambda found: found["sections"][0].__setitem__(2, 1 << 70),
        lambda found: found["sections"][0].__setitem__(2, -1),
        lambda found: found["sections"][0].__setitem__(2, float("inf")),
        lambda found: found["sections"][0].__setitem__(0, None),
    ],
)
def test_forged_header(change: Callable[[dict[str, Any]], object]) -> None:
    """A header that is whole and says what cannot be is refused."""
    refused(changed(change))


def test_a_claim_takes_no_memory() -> None:
    """A column that claims gigabytes, in its header and in its frame, is refused before there is room for it."""
    size = 4 << 30
    # A frame of one segment: magic, descriptor with a content size of eight bytes, that size, one empty last block.
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\x01\x00\x00"
    assert zstandard.frame_content_size(frame) == size
    parts = [["original", [size // 8], len(frame)]]
    with measured() as effort:
        refused(sealed({"chunk": list(CHUNK), "sections": parts}, frame))
    assert effort.peak < 1 << 20


def test_planes_of_one_piece_shrink_as_far_as_can_be() -> None:
    """The bound on what a frame may claim leaves room for what is real: large planes of one piece."""
    large = Cut(CHUNK, *(np.ones(1, U8),) * 3, planes={0: Plane(np.ones((2048, 2048), U4))})
    data = encode_cut(large)
    assert len(data) < 5000 and same(decode_cut(data, FILE, CHUNK), large)
