"""The chunk grid: the formulas of the format against brute force, and who waits for whom.

Grid((5, 1, 1)): the last chunk of a layer may have one child only

layer 5  |               0               |
layer 4  |       0       |       1       |
layer 3  |   0   |   1   |   2   |
layer 2  | 0 | 1 | 2 | 3 | 4 |
"""

from __future__ import annotations

import itertools
import random
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.plan.grid import FACES, Chunk, Grid, cross_layer, neighbour, opposite, parent
from tests.examples import examples

shapes = st.tuples(st.integers(1, 9), st.integers(1, 6), st.integers(1, 5))
grids = st.builds(Grid, shapes)
GRIDS = examples(30)


def ancestor(chunk: Chunk, layer: int) -> Chunk:
    """The chunk of `layer` that contains `chunk`, one step at a time."""
    while chunk.layer < layer:
        chunk = parent(chunk)
    return chunk


def every_chunk(grid: Grid) -> list[Chunk]:
    """All chunks of all layers."""
    return [chunk for layer in grid.layers for chunk in grid.chunks(layer)]


def touching(one: Chunk, other: Chunk) -> bool:
    """Whether two chunks of a layer share a face."""
    return sum(abs(a - b) for a, b in zip(one.coords, other.coords, strict=True)) == 1


def test_row_of_five() -> None:
    """The drawing above: layers, shapes and children of a row of five chunks."""
    grid = Grid((5, 1, 1))
    assert grid.layers == range(2, 6)
    assert [grid.layer_shape(layer) for layer in grid.layers] == [(5, 1, 1), (3, 1, 1), (2, 1, 1), (1, 1, 1)]
    assert grid.children(Chunk(3, 1, 0, 0)) == [Chunk(2, 2, 0, 0), Chunk(2, 3, 0, 0)]
    assert grid.children(Chunk(3, 2, 0, 0)) == [Chunk(2, 4, 0, 0)]
    assert grid.children(Chunk(2, 4, 0, 0)) == []
    assert grid.root == Chunk(5, 0, 0, 0)


def test_single_chunk() -> None:
    """A volume of one chunk has two layers, and its layer-2 chunk is the root chunk."""
    grid = Grid((1, 1, 1))
    assert grid.layer_count == 2
    assert list(grid.chunks(2)) == [grid.root] == [Chunk(2, 0, 0, 0)]
    assert grid.dependencies(grid.root) == grid.dependents(grid.root) == []


@given(grids)
@GRIDS
def test_layers_by_halving(grid: Grid) -> None:
    """The root layer is the first one with a single chunk, counted by halving the longest axis."""
    layer, longest = 2, max(grid.shape)
    while longest > 1:
        longest = (longest + 1) // 2
        layer += 1
    assert grid.layer_count == layer
    assert grid.layer_shape(layer) == (1, 1, 1)
    assert layer == 2 or grid.layer_shape(layer - 1) != (1, 1, 1)


@given(st.integers(0, 60), st.integers(-1, 1))
def test_layer_count_at_powers_of_two(power: int, step: int) -> None:
    """Next to powers of two the layer count is exact: no logarithm in floating point."""
    length = max(1, (1 << power) + step)
    layers = Grid((1, length, 1)).layer_count - 2
    assert 1 << layers >= length
    assert layers == 0 or 1 << (layers - 1) < length


@given(grids)
@GRIDS
def test_chunks_of_a_layer_are_parents_of_those_below(grid: Grid) -> None:
    """Each layer has exactly the chunks that contain a layer-2 chunk."""
    for layer in grid.layers:
        above = {ancestor(chunk, layer) for chunk in grid.chunks(2)}
        assert above == set(grid.chunks(layer))
        assert len(above) == grid.chunk_total(layer)


@given(grids)
@GRIDS
def test_numbers_of_chunks(grid: Grid) -> None:
    """Numbers count the chunks of a layer from 0 without a gap, in order of x, then y, then z."""
    for layer in grid.layers:
        chunks = list(grid.chunks(layer))
        assert chunks == sorted(chunks)
        assert [grid.index_of(chunk) for chunk in chunks] == list(range(grid.chunk_total(layer)))
        assert [grid.chunk_at(layer, index) for index in range(len(chunks))] == chunks


@given(grids)
@GRIDS
def test_inside_the_grid(grid: Grid) -> None:
    """A chunk is in the grid iff its layer is built and its coordinates are below the layer's shape."""
    known = set(every_chunk(grid))
    for layer in range(0, grid.layer_count + 2):
        lengths = grid.layer_shape(layer) if layer in grid.layers else (1, 1, 1)
        for coords in itertools.product(*(range(-1, length + 1) for length in lengths)):
            assert (Chunk(layer, *coords) in grid) == (Chunk(layer, *coords) in known)
    assert (2, 0, 0, 0) not in grid


@given(grids)
@GRIDS
def test_children(grid: Grid) -> None:
    """The children of a chunk are the chunks of the layer below whose parent it is."""
    for chunk in every_chunk(grid):
        below = grid.chunks(chunk.layer - 1) if chunk.layer > 2 else ()
        assert grid.children(chunk) == [child for child in below if parent(child) == chunk]


@given(grids)
@GRIDS
def test_neighbours(grid: Grid) -> None:
    """Neighbours share a face, lie inside the grid, and see each other through opposite faces."""
    for chunk in every_chunk(grid):
        found = grid.neighbours(chunk)
        assert sorted(found.values()) == sorted(
            other for other in grid.chunks(chunk.layer) if touching(chunk, other)
        )
        for face, other in found.items():
            assert neighbour(other, opposite(face)) == chunk
            assert (other > chunk) == (face % 2 == 1)


@given(grids)
@GRIDS
def test_dependencies(grid: Grid) -> None:
    """A chunk waits for its children, then for the outside chunks that touch one of them."""
    for chunk in every_chunk(grid):
        below = list(grid.chunks(chunk.layer - 1)) if chunk.layer > 2 else []
        children = [child for child in below if parent(child) == chunk]
        outside = [other for other in below if parent(other) != chunk and any(touching(other, c) for c in children)]
        assert grid.dependencies(chunk) == children + outside
        assert len(children) <= 8 and len(outside) <= 24


@given(grids)
@GRIDS
def test_dependents_are_the_inverse(grid: Grid) -> None:
    """A chunk's dependents are those that depend on it: its parent first, at most 3 more, none twice."""
    waiting: dict[Chunk, list[Chunk]] = {chunk: [] for chunk in every_chunk(grid)}
    for chunk in waiting:
        for dependency in grid.dependencies(chunk):
            waiting[dependency].append(chunk)
    for chunk, expected in waiting.items():
        found = grid.dependents(chunk)
        assert sorted(found) == sorted(expected)
        assert len(found) <= 4
        assert found[:1] == ([] if chunk == grid.root else [parent(chunk)])


def test_most_dependencies() -> None:
    """A chunk in the middle waits for all 8 + 24 others; a chunk in the corner of four for 4 dependents.

    One layer of children, seen from above; P's own are c, those that P waits for besides are o:

        .  .  o  o  .  .
        .  .  o  o  .  .         (below and above: 4 more o each)
        o  o  c  c  o  o    ->   only the o next to a c count
        o  o  c  c  o  o
        .  .  o  o  .  .
        .  .  o  o  .  .
    """
    grid = Grid((6, 6, 6))
    found = grid.dependencies(Chunk(3, 1, 1, 1))
    assert len(found) == len(set(found)) == 32
    assert Chunk(2, 1, 2, 2) in found and Chunk(2, 0, 2, 2) not in found and Chunk(2, 1, 1, 2) not in found
    assert grid.dependents(Chunk(2, 2, 2, 2)) == [
        Chunk(3, 1, 1, 1),
        Chunk(3, 0, 1, 1),
        Chunk(3, 1, 0, 1),
        Chunk(3, 1, 1, 0),
    ]


def test_cross_layers_of_a_row() -> None:
    """The planes of a row of eight chunks.

    | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |
        2   3   2   4   2   3   2
    """
    row = [Chunk(2, x, 0, 0) for x in range(8)]
    assert [cross_layer(chunk, 1) for chunk in row[:-1]] == [2, 3, 2, 4, 2, 3, 2]
    assert [cross_layer(chunk, 0) for chunk in row[1:]] == [2, 3, 2, 4, 2, 3, 2]


@pytest.mark.parametrize("layer", [2, 3, 9])
def test_cross_layer_ends_at_the_volume(layer: int) -> None:
    """A lower face of the volume has no cross layer, and asking for it ends; so it does for an upper face."""
    for axis in range(3):
        coords = [4, 4, 4]
        coords[axis] = 0
        with pytest.raises(ValueError, match=f"face {2 * axis} of chunk {layer}/"):
            cross_layer(Chunk(layer, *coords), 2 * axis)
        coords[axis] = 7
        assert cross_layer(Chunk(layer, *coords), 2 * axis + 1) >= layer


@given(grids)
@GRIDS
def test_cross_layer_is_the_highest_that_parts_both_sides(grid: Grid) -> None:
    """The cross layer is the highest layer at which the two sides lie in different chunks."""
    for chunk in every_chunk(grid):
        for face, other in grid.neighbours(chunk).items():
            apart = [
                layer
                for layer in range(chunk.layer, grid.layer_count + 1)
                if ancestor(chunk, layer) != ancestor(other, layer)
            ]
            assert cross_layer(chunk, face) == max(apart) == cross_layer(other, opposite(face))
            assert max(apart) < grid.layer_count


def test_faces_pair_up() -> None:
    """Lower and upper faces alternate, two an axis."""
    here = Chunk(4, 5, 6, 7)
    steps = [tuple(b - a for a, b in zip(here.coords, neighbour(here, face).coords, strict=True)) for face in FACES]
    assert steps == [(-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1)]
    assert [opposite(face) for face in FACES] == [1, 0, 3, 2, 5, 4]


def test_ten_million_chunks_cost_nothing() -> None:
    """Questions to a grid of 10^7 chunks allocate next to nothing: no list of chunks is kept."""
    rng = random.Random(0)
    tracemalloc.start()
    try:
        grid = Grid((250, 200, 200))
        assert grid.chunk_total(2) == 10**7
        for _ in range(50):
            index = rng.randrange(10**7)
            chunk = grid.chunk_at(2, index)
            assert chunk in grid and grid.index_of(chunk) == index
            assert chunk in grid.dependencies(grid.dependents(chunk)[-1])
        assert next(grid.chunks(2)) == Chunk(2, 0, 0, 0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100_000


def test_chunk_as_people_read_it() -> None:
    """A chunk prints as layer and coordinates, the way that commands take it."""
    assert str(Chunk(3, 10, 0, 2)) == "3/10_0_2"
