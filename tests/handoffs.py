"""What the tests of a hand-off's bytes share: a small one, what reads its bytes, and damage."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st

from shared.chunks.codec import decode_face_map, decode_handoff
from shared.chunks.handoff import Face, FaceMap, HandOff
from shared.errors import DataError
from shared.plan.grid import FACES, Chunk
from tests.harness import MemoryRun
from tests.volumes import Volume, random_volume

FILE = "gs://bucket/scratch/graph/run/layer2/1_0_0"
CHUNK = Chunk(2, 1, 0, 0)
SAMPLE = HandOff(
    CHUNK,
    np.array([2 << 56 | 1 << 46 | 1, 2 << 56 | 1 << 46 | 2], np.uint64),
    {
        0: Face(
            near=np.array([0, 1], np.uint32),
            far=np.array([(1 << 56) + 5, (1 << 56) + 7], np.uint64),
            old=np.array([(1 << 56 | 1 << 46) + 3, (1 << 56 | 1 << 46) + 4], np.uint64),
            new=np.array([0, 1], np.uint32),
        )
    },
    max_root=4398046511105,
    totals={2: {"chunks": 1, "nodes": 3}},
    digests={0: (2, (1 << 64) - 1)},
)

volumes = st.builds(
    random_volume,
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 2)),
    size=st.integers(1, 4),
)


def assert_equal(found: HandOff, expected: HandOff) -> None:
    assert (found.chunk, found.max_root, found.totals) == (expected.chunk, expected.max_root, expected.totals)
    assert found.digests == expected.digests
    assert found.nodes.dtype == np.uint64 and found.nodes.tolist() == expected.nodes.tolist()
    assert list(found.faces) == sorted(expected.faces)
    for number, face in expected.faces.items():
        for column in ("near", "far", "old", "new"):
            one, other = getattr(found.faces[number], column), getattr(face, column)
            assert one.dtype == other.dtype and one.tolist() == other.tolist()


def same_map(found: FaceMap, expected: FaceMap) -> bool:
    same = found.old.tolist() == expected.old.tolist() and found.new.tolist() == expected.new.tolist()
    return same and found.digest == expected.digest


def readers() -> list[Callable[[bytes], object]]:
    """Everything that reads the bytes of a hand-off."""
    whole = partial(decode_handoff, file=FILE, chunk=CHUNK)
    return [whole, *(partial(decode_face_map, file=FILE, chunk=CHUNK, face=face) for face in FACES)]


def refused(data: bytes) -> DataError:
    """The DataError that reading the whole hand-off must raise; it names the file."""
    with pytest.raises(DataError) as caught:
        decode_handoff(data, FILE, CHUNK)
    assert (caught.value.file, caught.value.chunk) == (FILE, CHUNK)
    return caught.value


def refused_by_all(data: bytes) -> None:
    """Every reader raises a DataError that names the file."""
    for read in readers():
        with pytest.raises(DataError, match=FILE):
            read(data)


def refused_for_another_chunk(data: bytes) -> None:
    """Whoever reads the sample's bytes as those of another chunk is told both chunks."""
    readers: list[Callable[[bytes, str, Chunk], object]] = [decode_handoff, partial(decode_face_map, face=0)]
    for read in readers:
        with pytest.raises(DataError, match=r"chunk 2/2_0_0: .*hand-off of chunk 2/1_0_0"):
            read(data, FILE, Chunk(2, 2, 0, 0))


def refused_or_equal(data: bytes) -> None:
    """Damaged bytes give a DataError that names the file, or still the same hand-off and maps."""
    for number, read in enumerate(readers()):
        try:
            found = read(data)
        except DataError as error:
            assert error.file == FILE
            continue
        if isinstance(found, HandOff):
            assert number == 0
            assert_equal(found, SAMPLE)
        else:
            assert isinstance(found, FaceMap)
            assert same_map(found, SAMPLE.face_map(number - 1))


def flipped(data: bytes, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[bit // 8] ^= 1 << bit % 8
    return bytes(damaged)


def handoffs_of(volume: Volume) -> list[tuple[Chunk, str, bytes]]:
    """Every hand-off that a run over a volume stores: chunk, name and bytes."""
    run = MemoryRun.of(volume).start().work()
    plan = volume.plan
    names = {run.record.handoff_name(chunk): chunk for layer in plan.layers for chunk in plan.grid.chunks(layer)}
    stored = run.scratch.get(list(names))
    return [(chunk, name, data) for name, chunk in names.items() if (data := stored[name]) is not None]
