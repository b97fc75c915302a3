"""Ranges of root segments: disjoint, inside the limit, and out of the way of the servers' own ids.

0    1                                         limit = 2^(bits - 9)              2^bits
+----+------+------+-----+---------+-----------+---------------------------------+
     | 2/0_0_0 | 2/0_0_1 | ...     | 3/0_0_0 ..| free: servers continue with     |
     one range for each chunk's job            | (highest + 1) * 256 + c         |
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import RangeOverflow
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.roots import MIN_BITS, RootRanges

MAX_CHUNKS = 10**7


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int, int]:
    """A layer-2 grid of up to 10^7 chunks, of any proportions that ids have room for."""
    first = draw(st.integers(1, 1 << 16))
    second = draw(st.integers(1, min(1 << 16, MAX_CHUNKS // first)))
    third = draw(st.integers(1, min(1 << 16, MAX_CHUNKS // (first * second))))
    x, y, z = draw(st.permutations([first, second, third]))
    return x, y, z


def roots_of(shape: tuple[int, int, int], layer_id_bits: int = 8, spatial_bits: int = 10) -> RootRanges:
    grid = Grid(shape)
    return RootRanges(grid, IdLayout(grid.layer_count, spatial_bits, layer_id_bits))


@st.composite
def jobs(draw: st.DrawFn) -> tuple[RootRanges, Chunk]:
    """The ranges of a grid, and any chunk of it."""
    roots = roots_of(draw(shapes()))
    layer = draw(st.sampled_from(roots.grid.layers))
    return roots, roots.grid.chunk_at(layer, draw(st.integers(0, roots.grid.chunk_total(layer) - 1)))


@given(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 4)), st.sampled_from([8, 30, 40]))
def test_every_chunk_has_a_range_of_its_own(shape: tuple[int, int, int], layer_id_bits: int) -> None:
    """All ranges of a small grid follow each other without an overlap, from 1 to below the limit."""
    roots = roots_of(shape, layer_id_bits, spatial_bits=1)
    after = 1
    for layer in roots.grid.layers:
        for chunk in roots.grid.chunks(layer):
            assert roots.first(chunk) == after
            assert roots.size(layer) >= 1
            after += roots.size(layer)
    assert after <= roots.limit


@given(shapes())
def test_layers_follow_each_other(shape: tuple[int, int, int]) -> None:
    """For grids up to 10^7 chunks: a layer's ranges end where the next begin, the last below the limit."""
    roots = roots_of(shape)
    grid = roots.grid
    after = 1
    for layer in grid.layers:
        last = grid.chunk_at(layer, grid.chunk_total(layer) - 1)
        assert roots.first(Chunk(layer, 0, 0, 0)) == after
        after = roots.first(last) + roots.size(layer)
    assert after <= roots.limit


@given(jobs(), st.data())
def test_any_two_jobs_are_apart(job: tuple[RootRanges, Chunk], data: st.DataObject) -> None:
    """For grids up to 10^7 chunks: the ranges of any two different chunks do not overlap."""
    roots, one = job
    layer = data.draw(st.sampled_from(roots.grid.layers))
    other = roots.grid.chunk_at(layer, data.draw(st.integers(0, roots.grid.chunk_total(layer) - 1)))
    low, high = sorted((roots.first(chunk), roots.size(chunk.layer)) for chunk in (one, other))
    assert one == other or low[0] + low[1] <= high[0]


@given(shapes())
def test_room_for_real_volumes(shape: tuple[int, int, int]) -> None:
    """Up to 10^7 chunks of any proportions leave each chunk the room that a plan asks for."""
    roots = roots_of(shape)
    assert roots.bits >= MIN_BITS or roots.grid.layer_count == 2
    sizes = [roots.size(layer) for layer in roots.grid.layers]
    assert sizes == sorted(sizes)


@given(jobs(), st.integers(0, 255))
def test_server_never_meets_our_roots(job: tuple[RootRanges, Chunk], part: int) -> None:
    """Whatever root of ours is the highest: the server's next id is above all of ours, and an id of
    the root chunk."""
    roots, chunk = job
    ids, root = roots.ids, roots.grid.root
    highest = roots.first(chunk) + roots.size(chunk.layer) - 1
    for counter in (1, highest + 1, roots.limit):
        segment = counter * 256 + part
        assert segment > counter - 1
        assert segment < 1 << ids.segment_bits(root.layer)
        assert ids.chunk_of(ids.chunk_id(root) + segment) == root
    assert highest < roots.limit


def test_half_of_the_segments_stay_free() -> None:
    """With our roots at the limit, servers still have half of all segment numbers before them."""
    roots = roots_of((250, 200, 200))
    last = roots.limit - 1
    assert ((last + 1) * 256 + 255).bit_length() <= roots.ids.segment_bits(roots.grid.layer_count)
    assert (1 << roots.ids.segment_bits(roots.grid.layer_count)) - (last + 1) * 256 >= 1 << 52


def test_row_of_two_by_hand() -> None:
    """Two chunks and their parent share 2^44 numbers: 2^42 each.

    | 2/0_0_0: from 1 | 2/1_0_0: from 1 + 2^42 | 3/0_0_0: from 1 + 2^43 |
    """
    roots = roots_of((2, 1, 1))
    assert roots.limit == 1 << 44 and roots.bits == 42
    firsts = [roots.first(chunk) for chunk in (Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0), Chunk(3, 0, 0, 0))]
    assert firsts == [1, 1 + 2**42, 1 + 2**43]
    assert roots.root_ids(Chunk(2, 1, 0, 0), 2).tolist() == [3 * 2**56 + 2**42 + 1, 3 * 2**56 + 2**42 + 2]


def test_higher_layers_have_more() -> None:
    """In a cube the range of a chunk grows 4 times a layer, as the surface of what it contains."""
    roots = roots_of((8, 8, 8))
    assert [roots.size(layer) // roots.size(2) for layer in roots.grid.layers] == [1, 4, 16, 64]


@given(st.tuples(st.integers(2, 5), st.integers(1, 4), st.integers(1, 3)), st.data())
def test_overflow_is_loud(shape: tuple[int, int, int], data: st.DataObject) -> None:
    """A job can fill its range to the last number; one more is a RangeOverflow that names chunk and size."""
    roots = roots_of(shape, layer_id_bits=38)
    layer = data.draw(st.sampled_from(roots.grid.layers))
    chunk = roots.grid.chunk_at(layer, data.draw(st.integers(0, roots.grid.chunk_total(layer) - 1)))
    size = roots.size(layer)
    filled = roots.root_ids(chunk, size)
    assert roots.ids.segments(filled, roots.grid.layer_count).tolist() == list(
        range(roots.first(chunk), roots.first(chunk) + size)
    )
    for count in (size + 1, size * 1000, 2**63):
        with pytest.raises(RangeOverflow, match=rf"chunk {chunk} makes {count} roots.* has {size};"):
            roots.root_ids(chunk, count)


def test_no_room_shows() -> None:
    """A layout that cannot give every chunk one root says so by negative bits, for the plan to refuse."""
    assert roots_of((10, 10, 10), layer_id_bits=44).bits < 0


def test_single_chunk() -> None:
    """In a volume of one chunk the layer-2 nodes are the roots, with most of the numbers below the limit."""
    roots = roots_of((1, 1, 1))
    chunk = Chunk(2, 0, 0, 0)
    assert roots.first(chunk) == 1
    assert roots.root_ids(chunk, 3).tolist() == [2 * 2**56 + n for n in (1, 2, 3)]
    assert roots.limit == 1 << 17 and roots.size(2) == (1 << 17) - 1
    filled = roots.root_ids(chunk, roots.size(2))
    assert (int(filled[0]), int(filled[-1])) == (2 * 2**56 + 1, 2 * 2**56 + roots.limit - 1)
    with pytest.raises(RangeOverflow, match=r"makes 131072 roots.* has 131071; .*SPATIAL_BITS"):
        roots.root_ids(chunk, 1 << 17)


@pytest.mark.parametrize(("spatial_bits", "room"), [(15, 3), (16, 0), (17, 0), (18, 0)])
def test_few_bits_in_a_single_chunk(spatial_bits: int, room: int) -> None:
    """With too few bits for roots, one too many is a RangeOverflow that tells the numbers; none is fine."""
    roots = roots_of((1, 1, 1), spatial_bits=spatial_bits)
    chunk = Chunk(2, 0, 0, 0)
    assert roots.size(2) == room and roots.limit == room + 1
    assert len(roots.root_ids(chunk, 0)) == 0 and len(roots.root_ids(chunk, room)) == room
    with pytest.raises(RangeOverflow, match=f"chunk {chunk} makes {room + 1} roots.* has {room};"):
        roots.root_ids(chunk, room + 1)


@pytest.mark.parametrize("layer_id_bits", [48, 54, 58, 62])
def test_no_room_is_loud(layer_id_bits: int) -> None:
    """A grid of many chunks without a number for each has none for any, and says so for each chunk."""
    roots = roots_of((3, 3, 3), layer_id_bits=layer_id_bits, spatial_bits=1)
    for layer in roots.grid.layers:
        chunk = Chunk(layer, 0, 0, 0)
        assert roots.size(layer) == 0 and roots.first(chunk) == 1
        with pytest.raises(RangeOverflow, match=f"chunk {chunk} makes 1 roots.* has 0;"):
            roots.root_ids(chunk, 1)
