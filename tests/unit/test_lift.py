"""Lifting far ends: each end of an edge becomes the node that the chunk behind the face handed off.

Grid((4, 1, 1)), the layer-3 chunk P = 3/0_0_0 over A and B; C is outside

| A   B | C   D |      A -> B   lifted by B's own hand-off (inner)
    P                  B -> C   lifted by C's map of the face, if there is one (not inner)
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.handoff import Face, FaceMap, HandOff
from shared.chunks.lift import Lifted, lift_edges
from shared.errors import DataError
from shared.plan.grid import Chunk, Grid

A, B, C = (Chunk(2, x, 0, 0) for x in range(3))
GRID = Grid((4, 1, 1))
Pairs = list[tuple[int, int]]


def face(edges: Pairs, lifted: Pairs) -> Face:
    """A face with (position, far) edges and the (old, position) map."""
    edges, lifted = sorted(edges), sorted(lifted)
    return Face(
        np.array([near for near, _ in edges], np.uint32),
        np.array([far for _, far in edges], np.uint64),
        np.array([old for old, _ in lifted], np.uint64),
        np.array([new for _, new in lifted], np.uint32),
    )


def handoff(chunk: Chunk, nodes: list[int], faces: dict[int, Face]) -> HandOff:
    return HandOff(chunk, np.array(nodes, np.uint64), faces, 0, {})


def face_map(pairs: Pairs) -> FaceMap:
    return FaceMap(np.array([old for old, _ in pairs], np.uint64), np.array([new for _, new in pairs], np.uint64))


def lift(children: list[HandOff], outside: dict[tuple[Chunk, int], FaceMap] | None) -> list[Lifted]:
    waiting = np.sort(np.concatenate([child.nodes for child in children]))
    return lift_edges(GRID, {child.chunk: child for child in children}, outside, waiting)[0]


def joined(children: list[HandOff]) -> list[list[int]]:
    """The pairs of positions that edges between the children join."""
    waiting = np.sort(np.concatenate([child.nodes for child in children]))
    found: list[list[int]] = lift_edges(GRID, {child.chunk: child for child in children}, None, waiting)[1].tolist()
    return found


CHILDREN = [
    # A's node 20 (position 1) knows B's supervoxel 300; B knows A's supervoxel 200.
    handoff(A, [10, 20], {1: face([(0, 301), (1, 300)], [(100, 0), (200, 1)])}),
    handoff(B, [15, 30], {0: face([(1, 200), (0, 100)], [(300, 1), (301, 0)]), 1: face([(1, 900)], [(310, 1)])}),
]


def by_hand(parts: list[Lifted]) -> list[tuple[int, int, list[int], list[int], bool, bool]]:
    return [
        (part.face, part.layer, part.near.tolist(), part.far.tolist(), part.inner, part.lifted) for part in parts
    ]


def test_inner_and_outer_edges() -> None:
    """Positions count all waiting nodes, far ends are nodes of the children's layer, layers those of the faces."""
    outside = {(C, 0): face_map([(800, 70), (900, 71)])}
    # waiting: 10, 15, 20, 30
    assert by_hand(lift(CHILDREN, outside)) == [
        (0, 2, [1, 3], [10, 20], True, True),
        (1, 2, [0, 2], [15, 30], True, True),
        (1, 3, [3], [71], False, True),
    ]


def test_without_maps_from_outside() -> None:
    """Without maps the edges that leave stay as they are, and say so."""
    assert by_hand(lift(CHILDREN, None))[2] == (1, 3, [3], [900], False, False)


def test_joined_pairs() -> None:
    """Edges between children join their nodes, lower side first, whichever child comes first."""
    assert joined(CHILDREN) == joined(CHILDREN[::-1]) == [[0, 1], [2, 3]]


def test_no_edges() -> None:
    """Children without faces have no edges, and nothing is joined."""
    children = [handoff(A, [], {}), handoff(B, [], {})]
    assert lift(children, {}) == [] and joined(children) == []


@pytest.mark.parametrize("known", [[], [100], [299, 302], [1000], [298]])
def test_unknown_far_end(known: list[int]) -> None:
    """A far end that the other chunk does not know is a DataError that names both chunks, node and far end."""
    children = [
        handoff(A, [10], {1: face([(0, 300)], [(100, 0)])}),
        handoff(B, [15], {0: face([(0, 100)], [(old, 0) for old in known])}),
    ]
    with pytest.raises(DataError) as caught:
        lift(children, {})
    assert caught.value.chunk == A
    assert caught.value.file == f"edge files of {A} and {B}"
    assert "from node 10 leads to 300" in caught.value.reason


def test_other_chunk_without_that_face() -> None:
    """If no edge of the other chunk goes through the face at all, that is found too, inside and outside."""
    with pytest.raises(DataError, match=rf"{A} and {B}"):
        lift([CHILDREN[0], handoff(B, [], {})], {})
    with pytest.raises(DataError, match=rf"{B} and {C}"):
        lift(CHILDREN, {(C, 0): face_map([])})


@pytest.mark.parametrize(("knows", "lacks"), [(A, B), (B, A)])
def test_other_pairs_of_known_ends(knows: Chunk, lacks: Chunk) -> None:
    """Sides that know each other's nodes, but join them in other pairs, are a DataError that names both."""
    edges = {A: [(0, 300), (1, 301)], B: [(0, 100), (1, 101)]}
    edges[knows].append((0, edges[knows][1][1]))
    children = [
        handoff(A, [10, 11], {1: face(edges[A], [(100, 0), (101, 1)])}),
        handoff(B, [30, 31], {0: face(edges[B], [(300, 0), (301, 1)])}),
    ]
    for order in (children, children[::-1]):
        with pytest.raises(DataError) as caught:
            lift(order, {})
        assert caught.value.file == f"edge files of {knows} and {lacks}"
        near, far = (10, 31) if knows == A else (30, 11)
        assert f"from node {near} leads to {far}, but {lacks} has no such edge" in caught.value.reason


@pytest.mark.parametrize(("child", "number"), [(A, 0), (A, 2), (A, 5), (Chunk(2, 3, 0, 0), 1)])
@pytest.mark.parametrize("outside", [None, {}])
def test_edge_out_of_the_volume(
    child: Chunk, number: int, outside: dict[tuple[Chunk, int], FaceMap] | None
) -> None:
    """A hand-off with edges through a face of the volume is none of this run, and a DataError that names it."""
    with pytest.raises(DataError, match=f"hand-off of {child}: .*face {number}, where the volume ends"):
        lift([handoff(child, [10], {number: face([(0, 300)], [(100, 0)])})], outside)


pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), unique=True, min_size=1)


@given(pairs, pairs)
def test_sides_agree_or_not(one: Pairs, other: Pairs) -> None:
    """Both sides are accepted exactly if they join the same nodes."""

    def side(chunk: Chunk, base: int, number: int, edges: Pairs, far: int) -> HandOff:
        lifted = [(base + near, near) for near in sorted({near for near, _ in edges})]
        return handoff(
            chunk, [base + 10 * n for n in range(4)], {number: face([(a, far + b) for a, b in edges], lifted)}
        )

    children = [side(A, 100, 1, one, 200), side(B, 200, 0, [(b, a) for a, b in other], 100)]
    if set(one) == set(other):
        assert len(lift(children, {})) == 2
        assert joined(children) == [[a, 4 + b] for a, b in sorted(one)]
    else:
        with pytest.raises(DataError, match="has no such edge"):
            lift(children, {})


@given(st.dictionaries(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.data())
def test_lifting_is_looking_up(known: dict[int, int], data: st.DataObject) -> None:
    """Lifted far ends are what a dictionary of the same map gives, for any ids."""
    asked = data.draw(st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=20))
    edges = [(0, far) for far in sorted(asked)]
    child = handoff(B, [30], {1: face(edges, [(310, 0)])})
    (part,) = lift([handoff(A, [], {}), child], {(C, 0): face_map(sorted(known.items()))})
    assert part.far.tolist() == [known[far] for _, far in edges]
    assert part.far.dtype == np.uint64


def test_several_sides_at_once() -> None:
    """In a grid of two dimensions four faces lead the same way: each far end is looked up in what the chunk behind
    its own face knows, not in what another knows through a face of the same number."""
    grid = Grid((4, 2, 1))
    low, up, left, right = (Chunk(2, x, y, 0) for x, y in ((0, 0), (0, 1), (1, 0), (1, 1)))

    def four(far: int) -> dict[Chunk, HandOff]:
        return {
            low: handoff(low, [10], {1: face([(0, far)], [(100, 0)])}),
            up: handoff(up, [20], {1: face([(0, 401)], [(200, 0)])}),
            left: handoff(left, [30], {0: face([(0, 100)], [(301, 0)])}),
            right: handoff(right, [40], {0: face([(0, 200)], [(401, 0)])}),
        }

    waiting = np.array([10, 20, 30, 40], np.uint64)
    edges, pairs = lift_edges(grid, four(301), {}, waiting)
    assert by_hand(edges) == [(0, 2, [2, 3], [10, 20], True, True), (1, 2, [0, 1], [30, 40], True, True)]
    assert pairs.tolist() == [[0, 2], [1, 3]]
    with pytest.raises(DataError, match=f"from node 10 leads to 401, but {left} has no such edge"):
        lift_edges(grid, four(401), {}, waiting)
