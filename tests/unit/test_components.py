"""Component files: what is written comes back, and whatever is damaged is a DataError with file and chunk.

[ 3, a, b, c,  2, d, e,  1, f ]     three components: {a b c} {d e} {f}
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.inputs.components import Components, components_name, decode_components, encode_components
from shared.inputs.schema import ComponentsMessage
from shared.plan.grid import Chunk

CHUNK = Chunk(2, 4, 5, 6)
FILE = "gs://bucket/components/components_4_5_6.proto"
BIG = 2**64 - 1

ids = st.integers(0, BIG) | st.integers(0, 30)


@st.composite
def partitions(draw: st.DrawFn) -> list[list[int]]:
    """Disjoint components, empty ones among them."""
    listed = draw(st.lists(ids, unique=True, max_size=20))
    parts: list[list[int]] = [[] for _ in range(draw(st.integers(1, 5)))]
    for supervoxel in listed:
        parts[draw(st.integers(0, len(parts) - 1))].append(supervoxel)
    return parts


def decode(data: bytes | None) -> Components:
    return decode_components(data, FILE, CHUNK)


def flat(*numbers: int) -> bytes:
    """A file with this flat list, without any check."""
    return bytes(ComponentsMessage(components=numbers).SerializeToString())


def arrays(parts: list[list[int]]) -> list[np.ndarray[Any, Any]]:
    return [np.array(part, np.uint64) for part in parts]


def refused(data: bytes) -> DataError:
    """The DataError that decoding must raise; it names file and chunk."""
    with pytest.raises(DataError) as caught:
        decode(data)
    assert (caught.value.file, caught.value.chunk) == (FILE, CHUNK)
    assert FILE in str(caught.value) and "2/4_5_6" in str(caught.value)
    return caught.value


def refused_or_well_formed(data: bytes) -> None:
    """Damaged bytes give a DataError with file and chunk, or still a well-formed value."""
    try:
        found = decode(data)
    except DataError as error:
        assert (error.file, error.chunk) == (FILE, CHUNK)
        return
    assert found.ids.dtype == np.uint64 and found.labels.dtype == np.int64
    assert found.ids.shape == found.labels.shape and found.ids.ndim == 1
    assert (found.ids[1:] > found.ids[:-1]).all()
    assert (found.labels >= 0).all()


def test_name() -> None:
    """The file's name holds the chunk's coordinates."""
    assert components_name(CHUNK) == "components_4_5_6.proto"


@pytest.mark.parametrize("data", [None, b"", flat(0), flat(0, 0)])
def test_no_components(data: bytes | None) -> None:
    """A missing file, an empty one and one of empty components list nothing."""
    found = decode(data)
    asked = np.array([[0, 1], [BIG, 0]], np.uint64)
    assert len(found.ids) == len(found.labels) == 0
    assert found.labels_of(asked).tolist() == [[-1, -1], [-1, -1]]
    assert found.same(asked).tolist() == [False, False]


def test_golden_bytes() -> None:
    """A message put together by hand: field 1, packed varints."""
    data = bytes([0x0A, 7, 2, 3, 0x80 | 44, 2, 2, 9, 4])
    found = decode(data)
    assert found.ids.tolist() == [3, 4, 9, 300]
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert encode_components(arrays([[3, 300], [9, 4]])) == data


def test_unpacked() -> None:
    """The older form of the same list, a tag for each number, is read alike."""
    assert decode(bytes([8, 2, 8, 3, 8, 5])).ids.tolist() == [3, 5]


@given(partitions())
def test_round_trip(parts: list[list[int]]) -> None:
    """Ids come back sorted, each with the number of its component in the file."""
    found = decode(encode_components(arrays(parts)))
    expected = sorted((supervoxel, number) for number, part in enumerate(parts) for supervoxel in part)
    assert list(zip(found.ids.tolist(), found.labels.tolist(), strict=True)) == expected
    assert found.ids.dtype == np.uint64


@given(partitions(), st.lists(st.tuples(ids, ids), max_size=20))
def test_same_component(parts: list[list[int]], pairs: list[tuple[int, int]]) -> None:
    """Two supervoxels belong together iff one component lists both; unlisted ones never do."""
    found = decode(encode_components(arrays(parts)))
    listed = [supervoxel for part in parts for supervoxel in part]
    pairs = pairs + [(a, b) for a in listed[:6] for b in listed[:6]]
    expected = [any(a in part and b in part for part in parts) for a, b in pairs]
    assert found.same(np.array(pairs, np.uint64).reshape(-1, 2)).tolist() == expected


@given(partitions(), st.lists(ids, max_size=20))
def test_labels(parts: list[list[int]], asked: list[int]) -> None:
    """The label of an id is the number of its component, -1 for an id that is not listed."""
    found = decode(encode_components(arrays(parts)))
    number = {supervoxel: at for at, part in enumerate(parts) for supervoxel in part}
    asked = asked + list(number)
    assert found.labels_of(np.array(asked, np.uint64)).tolist() == [number.get(one, -1) for one in asked]


def test_listed_twice_in_one_component() -> None:
    """An id that its component lists twice counts once."""
    found = decode(flat(4, 7, 8, 7, 7, 1, 9))
    assert found.ids.tolist() == [7, 8, 9]
    assert found.labels.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    "numbers", [(2, 7, 8, 2, 8, 9), (1, 8, 0, 1, 8), (1, BIG, 2, 5, BIG), (3, 8, 8, 8, 1, 8)], ids=repr
)
def test_in_two_components(numbers: tuple[int, ...]) -> None:
    """An id in two components is refused and named, as the order of reading would decide."""
    shared = BIG if BIG in numbers else 8
    assert f"supervoxel {shared} is in two components" in refused(flat(*numbers)).reason


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [((1,), 1), ((3, 1, 2), 1), ((1, 5, 4, 6, 7), 2), ((2**63, 1), 2**63 - 1), ((1, 5, BIG), BIG)],
    ids=repr,
)
def test_count_over_the_end(numbers: tuple[int, ...], missing: int) -> None:
    """A count that runs over the end of the list is refused, however large it is."""
    assert f"{missing} more than the file has" in refused(flat(*numbers)).reason


def test_truncated_anywhere() -> None:
    """A file cut off at any byte is refused; only the empty file is a message, one without components."""
    data = encode_components(arrays([[1, 300, BIG], [2, 2**53 + 1], [7]]))
    for length in range(1, len(data)):
        refused(data[:length])


def test_every_bit_flipped() -> None:
    """Any flipped bit is refused or leaves a well-formed value; no other exception comes out."""
    data = encode_components(arrays([[1, 300, BIG], [2, 2**53 + 1], [7]]))
    for bit in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[bit // 8] ^= 1 << bit % 8
        refused_or_well_formed(bytes(damaged))


def test_damaged_larger_file() -> None:
    """Several bits flipped at once are refused or leave a well-formed value."""
    rng = random.Random(1)
    data = encode_components(arrays([[rng.getrandbits(64) for _ in range(20)] for _ in range(10)]))
    for _ in range(500):
        damaged = bytearray(data)
        for _ in range(rng.randint(1, 5)):
            damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        refused_or_well_formed(bytes(damaged))


@given(st.binary(max_size=100))
def test_random_bytes(data: bytes) -> None:
    """Random bytes are refused or a well-formed value."""
    refused_or_well_formed(data)


@given(st.lists(st.integers(0, 6) | ids, max_size=30))
def test_random_numbers(numbers: list[int]) -> None:
    """A list of random numbers is refused or a well-formed value."""
    refused_or_well_formed(flat(*numbers))
