"""Node ids: golden values with their bits written out, round trips, and no number that gets lost.

| layer: 8 | x: b | y: b | z: b | segment: the rest |
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RangeOverflow
from shared.plan.grid import Chunk
from shared.plan.ids import IdLayout


def bits(text: str) -> int:
    """An id from its fields in binary; `~` stands for as many zeros as are missing to 64 bits."""
    text = text.replace(" ", "").replace("|", "")
    return int(text.replace("~", "0" * (64 - len(text) + 1)), 2)


GOLDEN = [
    # layout, chunk, segment, the id in binary: layer | x | y | z | segment
    (IdLayout(5), Chunk(1, 3, 2, 1), 5, "00000001 | 0000000011 | 0000000010 | 0000000001 | ~101"),
    (IdLayout(5), Chunk(2, 3, 2, 1), 5, "00000010 | 0000000011 | 0000000010 | 0000000001 | ~101"),
    (IdLayout(5), Chunk(3, 1, 2, 3), 6, "00000011 | 01 | 10 | 11 | ~110"),
    (IdLayout(5), Chunk(4, 1, 0, 1), 1, "00000100 | 1 | 0 | 1 | ~1"),
    (IdLayout(5), Chunk(5, 0, 0, 0), 9, "00000101 | 0 | 0 | 0 | ~1001"),
    (IdLayout(2), Chunk(2, 0, 0, 0), 1, "00000010 | 0000000000 | 0000000000 | 0000000000 | ~1"),
    (IdLayout(2, 1), Chunk(1, 0, 0, 0), 2, "00000001 | 0 | 0 | 0 | ~10"),
    (IdLayout(6, 4), Chunk(1, 15, 0, 9), 1, "00000001 | 1111 | 0000 | 1001 | ~1"),
    (IdLayout(6, 4), Chunk(3, 7, 0, 5), 1, "00000011 | 111 | 000 | 101 | ~1"),
    (IdLayout(6, 4), Chunk(1, 15, 0, 9), 0, "00000001 | 1111 | 0000 | 1001 | ~0"),
]


@st.composite
def nodes(draw: st.DrawFn) -> tuple[IdLayout, Chunk, int]:
    """A layout, a chunk whose coordinates fit it, and a segment."""
    layout = IdLayout(draw(st.integers(2, 18)), draw(st.integers(16, 18)))
    layer = draw(st.integers(1, layout.layer_count))
    coordinate = st.integers(0, (1 << layout.axis_bits(layer)) - 1)
    segment = draw(st.integers(0, (1 << layout.segment_bits(layer)) - 1))
    return layout, Chunk(layer, draw(coordinate), draw(coordinate), draw(coordinate)), segment


@pytest.mark.parametrize(("layout", "chunk", "segment", "text"), GOLDEN)
def test_golden(layout: IdLayout, chunk: Chunk, segment: int, text: str) -> None:
    """Ids are the bits that the layout of the format puts together by hand."""
    assert layout.node_ids(chunk, segment, 1).tolist() == [bits(text)]


def test_golden_decimal() -> None:
    """The same in decimal, as row keys show it."""
    assert IdLayout(5).chunk_id(Chunk(2, 3, 2, 1)) == 2 * 2**56 + 3 * 2**46 + 2 * 2**36 + 2**26
    assert IdLayout(5).chunk_id(Chunk(2, 3, 2, 1)) == 144326431814451200


def test_bits_of_each_layer() -> None:
    """Above layer 2 an axis loses one bit a layer down to 1; layers 1 and 2 have the configured bits."""
    layout = IdLayout(6)
    assert [layout.axis_bits(layer) for layer in range(1, 7)] == [10, 10, 3, 2, 1, 1]
    assert [layout.segment_bits(layer) for layer in range(1, 7)] == [26, 26, 47, 50, 53, 53]


@pytest.mark.parametrize(
    ("layer_count", "spatial_bits", "expected"), [(2, 1, 1), (2, 10, 10), (12, 10, 10), (13, 10, 11), (5, 2, 3)]
)
def test_bits_of_layer_2(layer_count: int, spatial_bits: int, expected: int) -> None:
    """Layer 2 has SPATIAL_BITS an axis, or as many as its grid needs if that is more."""
    layout = IdLayout(layer_count, spatial_bits)
    assert layout.axis_bits(1) == layout.axis_bits(2) == expected


@given(nodes())
def test_round_trip(node: tuple[IdLayout, Chunk, int]) -> None:
    """Layer, coordinates and segment come back from an id as they went in."""
    layout, chunk, segment = node
    ids = layout.node_ids(chunk, segment, 1)
    assert ids.dtype == np.uint64
    assert layout.layers(ids).tolist() == [chunk.layer]
    assert layout.coords(ids, chunk.layer).tolist() == [list(chunk.coords)]
    assert layout.segments(ids, chunk.layer).tolist() == [segment]
    assert layout.chunk_of(int(ids[0])) == chunk
    assert layout.chunk_id(chunk) == int(ids[0]) - segment


@given(nodes(), st.integers(1, 5))
def test_ids_are_exact(node: tuple[IdLayout, Chunk, int], count: int) -> None:
    """Ids far above 2^53 are those that Python's integers give: none is rounded, none comes twice."""
    layout, chunk, segment = node
    segment = min(segment, (1 << layout.segment_bits(chunk.layer)) - count) if chunk.layer > 2 else 0
    if segment + count > 1 << layout.segment_bits(chunk.layer):
        return
    first = layout.chunk_id(chunk) + segment
    assert layout.node_ids(chunk, segment, count).tolist() == list(range(first, first + count))


def test_neighbouring_ids_stay_apart() -> None:
    """Two ids that float64 cannot tell apart stay two in every function."""
    layout = IdLayout(5)
    low, high = layout.node_ids(Chunk(2, 1023, 1023, 1023), (1 << 26) - 2, 2).tolist()
    assert high == low + 1 and float(high) == float(low)
    ids = np.array([low, high], np.uint64)
    assert layout.segments(ids, 2).tolist() == [(1 << 26) - 2, (1 << 26) - 1]
    assert layout.coords(ids, 2).tolist() == [[1023] * 3] * 2


def test_mixed_array() -> None:
    """Layers come from arrays of ids of any layers; the shape is kept."""
    layout = IdLayout(4)
    ids = np.array([[0, layout.chunk_id(Chunk(4, 0, 0, 0))], [2**64 - 1, 1 << 56]], np.uint64)
    assert layout.layers(ids).tolist() == [[0, 4], [255, 1]]


@pytest.mark.parametrize(("layer", "room"), [(2, 1 << 26), (3, 1 << 53)])
def test_overflow(layer: int, room: int) -> None:
    """The last segment that fits can be used; one more is a RangeOverflow that names chunk and bits."""
    layout = IdLayout(4)
    chunk = Chunk(layer, 1, 0, 1)
    assert layout.node_ids(chunk, room - 2, 2)[-1] == layout.chunk_id(chunk) + room - 1
    assert len(layout.node_ids(chunk, room, 0)) == 0
    for first, count in ((room - 1, 2), (room, 1), (0, room + 1), (1, 2**62)):
        with pytest.raises(RangeOverflow, match=rf"chunk {chunk} needs segment {first + count - 1}.*bits"):
            layout.node_ids(chunk, first, count)
