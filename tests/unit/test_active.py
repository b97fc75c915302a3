"""Which edges of a chunk are active: who decides, what is counted, and what is no edge of the chunk.

Grid((3, 2, 1)), seen from above

y=1 | D | E | F |        E is the upper chunk of D (through its face 0) and of B (face 2);
y=0 | A | B | C |        the lower one of F (face 1)
     x=0  1   2
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.active import ActiveEdges, active_edges
from shared.chunks.layer2 import build_layer2
from shared.errors import DataError
from shared.inputs.components import Components, components_name, decode_components, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, edges_name
from shared.plan.grid import Chunk, Grid, neighbour, opposite
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from tests.examples import examples
from tests.volumes import Volume, by_face, edge_list, random_volume

Pair = tuple[int, int]
NOTHING = Components()

GRID = Grid((3, 2, 1))
PLAN = Plan(GRID, IdLayout(GRID.layer_count))
A, B, C, D, E, F = (Chunk(2, x, y, 0) for y in (0, 1) for x in (0, 1, 2))
FILE = "gs://bucket/edges/file"


def sv(chunk: Chunk, segment: int) -> int:
    """A supervoxel of a layer-2 chunk."""
    return PLAN.ids.chunk_id(chunk._replace(layer=1)) + segment


def listing(*parts: list[int]) -> Components:
    """The components of a file with these parts."""
    return decode_components(encode_components([np.array(part, np.uint64) for part in parts]), "file", A)


def decide(
    chunk: Chunk,
    inside: Sequence[Pair] = (),
    between: Sequence[Pair] = (),
    cross: Sequence[Pair] = (),
    own: Components = NOTHING,
    lower: dict[int, Components] | None = None,
) -> ActiveEdges:
    edges = ChunkEdges(edge_list(list(inside)), edge_list(list(between)), edge_list(list(cross), np.inf))
    return active_edges(PLAN, chunk, edges, own, lower or {}, FILE)


def pairs(active: ActiveEdges) -> dict[int, list[list[int]]]:
    """The active edges through each face."""
    return {face: found.tolist() for face, found in by_face(active).items()}


def test_inside_edges() -> None:
    """An in_chunk edge is active iff both ends are listed in the same component of the chunk's file."""
    a, b, c, d, e = (sv(B, n) for n in range(5))
    edges = [(a, b), (b, c), (c, d), (d, e), (a, a)]
    active = decide(B, inside=edges, own=listing([a, b], [c, d]))
    assert active.inside.tolist() == [[a, b], [c, d], [a, a]]
    assert active.supervoxels.tolist() == [a, b, c, d, e]
    assert not len(active.outside)


def test_no_files_at_all() -> None:
    """A chunk without edges has no supervoxels, even if its component file lists some."""
    active = decide(B, own=listing([sv(B, 1), sv(B, 2)]))
    assert len(active.supervoxels) == len(active.inside) == active.disagreements == 0
    assert not len(active.outside) and active.unlisted == 2


@pytest.mark.parametrize("says", [True, False])
@pytest.mark.parametrize("other_says", [True, False])
def test_lower_side_decides(says: bool, other_says: bool) -> None:
    """The lower chunk's file decides a between edge for both; the upper one counts a disagreement.

    | A: a ---|--- b :B |
    """
    a, b = sv(A, 1), sv(B, 1)
    yes, no = listing([a, b]), listing([a], [b])
    lower, upper = (yes if says else no), (yes if other_says else no)
    low = decide(A, between=[(a, b)], own=lower)
    high = decide(B, between=[(b, a)], own=upper, lower={0: lower})
    assert pairs(low) == ({1: [[a, b]]} if says else {})
    assert pairs(high) == ({0: [[b, a]]} if says else {})
    assert low.disagreements == 0
    assert high.disagreements == (says != other_says)
    assert low.supervoxels.tolist() == [a] and high.supervoxels.tolist() == [b]


def test_each_lower_neighbour_decides_its_own_face() -> None:
    """E asks D for edges to D, B for edges to B, and itself for edges to F."""
    e, d, b, f = sv(E, 1), sv(D, 1), sv(B, 1), sv(F, 1)
    edges = [(e, d), (e, b), (e, f)]
    everything, nothing = listing([e, d, b, f]), listing()
    assert pairs(decide(E, between=edges, own=nothing, lower={0: everything, 2: nothing})) == {0: [[e, d]]}
    assert pairs(decide(E, between=edges, own=nothing, lower={0: nothing, 2: everything})) == {2: [[e, b]]}
    active = decide(E, between=edges, own=everything, lower={0: nothing, 2: nothing})
    assert pairs(active) == {1: [[e, f]]}
    assert active.disagreements == 2


def test_lower_neighbour_without_file() -> None:
    """A lower neighbour that has no component file says no to every edge."""
    active = decide(B, between=[(sv(B, 1), sv(A, 1))], own=listing([sv(B, 1), sv(A, 1)]))
    assert not len(active.outside) and active.disagreements == 1


def test_cross_edges_are_always_active() -> None:
    """The parts of a supervoxel that was cut stay joined, whatever the component files say."""
    e, others = sv(E, 1), {0: sv(D, 1), 1: sv(F, 1), 2: sv(B, 1)}
    active = decide(E, cross=[(e, other) for other in others.values()], own=listing([e]))
    assert pairs(active) == {face: [[e, other]] for face, other in others.items()}
    assert active.disagreements == 0


@pytest.mark.parametrize("kind", ["between", "cross"])
def test_flipped_edges(kind: str) -> None:
    """Old files hold some edges the other way round: the inside end comes first, each edge still once."""
    a, b, c = sv(A, 1), sv(B, 1), sv(C, 1)
    together = listing([a, b, c])
    straight = decide(B, **{kind: [(b, a), (b, c)]}, own=together, lower={0: together})
    flipped = decide(B, **{kind: [(a, b), (c, b)]}, own=together, lower={0: together})
    assert pairs(straight) == pairs(flipped) == {0: [[b, a]], 1: [[b, c]]}
    assert straight.supervoxels.tolist() == flipped.supervoxels.tolist() == [b]


def test_between_and_cross_through_one_face() -> None:
    """Active edges of both kinds leave together through their face."""
    together = listing([sv(A, 1), sv(B, 1)])
    active = decide(A, between=[(sv(A, 1), sv(B, 1))], cross=[(sv(A, 2), sv(B, 2))], own=together)
    assert pairs(active) == {1: [[sv(A, 1), sv(B, 1)], [sv(A, 2), sv(B, 2)]]}
    assert active.supervoxels.tolist() == [sv(A, 1), sv(A, 2)]


def test_supervoxels_of_inactive_edges_stand_alone() -> None:
    """Supervoxels that only inactive edges touch are kept, each as a node of its own.

    | A: a - b   c ---|--- d :B |     all edges inactive: a, b and c become rows, d is of another chunk
    """
    a, b, c, d = sv(A, 1), sv(A, 2), sv(A, 3), sv(B, 1)
    active = decide(A, inside=[(a, b)], between=[(c, d)])
    assert active.supervoxels.tolist() == [a, b, c]
    assert len(active.inside) == 0 and not len(active.outside)
    built = build_layer2(PLAN, A, active)
    assert len(built.handoff.nodes) == 0
    assert built.handoff.totals == {
        2: {"chunks": 1, "nodes": 3, "supervoxels": 3, "final": 3, "disagreements": 0, "unlisted": 0}
    }


def test_unlisted_supervoxels() -> None:
    """Ids of the chunk that its component file lists and no edge has are counted, others' ids are not."""
    own = listing([sv(A, 0), sv(A, 1), sv(A, 2)], [sv(A, 3), sv(B, 3), sv(D, 1)], [sv(C, 4)])
    active = decide(A, inside=[(sv(A, 1), sv(A, 2))], between=[(sv(A, 3), sv(B, 9))], own=own)
    assert active.unlisted == 1
    assert active.supervoxels.tolist() == [sv(A, 1), sv(A, 2), sv(A, 3)]


def test_segment_zero() -> None:
    """Segment 0 of a chunk is a supervoxel like any other."""
    together = listing([sv(A, 0), sv(A, 1), sv(B, 0)])
    active = decide(A, inside=[(sv(A, 0), sv(A, 1))], between=[(sv(A, 0), sv(B, 0))], own=together)
    assert active.supervoxels.tolist() == [sv(A, 0), sv(A, 1)]
    assert pairs(active) == {1: [[sv(A, 0), sv(B, 0)]]}


def of_layer(chunk: Chunk, layer: int) -> int:
    """Segment 1 in a chunk of the given coordinates, but with another layer in its id."""
    shift = 64 - PLAN.ids.layer_id_bits
    return sv(chunk, 1) & (1 << shift) - 1 | layer << shift


@pytest.mark.parametrize("kind", ["between_chunk", "cross_chunk"])
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize(
    ("chunk", "edge", "reason"),
    [
        pytest.param(B, (sv(B, 1), 0), "no supervoxel of a chunk that touches", id="id 0"),
        pytest.param(B, (sv(B, 1), of_layer(A, 0)), "no supervoxel of a chunk that touches", id="layer 0"),
        pytest.param(B, (sv(B, 1), of_layer(A, 2)), "no supervoxel of a chunk that touches", id="layer 2"),
        pytest.param(B, (sv(B, 1), of_layer(B, 2)), "no supervoxel of a chunk that touches", id="own layer 2"),
        pytest.param(B, (sv(B, 1), of_layer(A, 255)), "no supervoxel of a chunk that touches", id="layer 255"),
        pytest.param(B, (sv(B, 1), 2**64 - 1), "no supervoxel of a chunk that touches", id="all ones"),
        pytest.param(A, (sv(A, 1), sv(E, 1)), "no supervoxel of a chunk that touches", id="over a corner"),
        pytest.param(A, (sv(A, 1), sv(C, 1)), "no supervoxel of a chunk that touches", id="two chunks away"),
        pytest.param(
            C, (sv(C, 1), sv(Chunk(2, 3, 0, 0), 1)), "beyond the volume, whose grid has 3 x 2 x 1", id="x = 3"
        ),
        pytest.param(F, (sv(F, 1), sv(Chunk(2, 2, 2, 0), 1)), "beyond the volume", id="y = 2"),
        pytest.param(B, (sv(B, 1), sv(Chunk(2, 1, 0, 1), 1)), "beyond the volume", id="z = 1"),
        pytest.param(B, (sv(B, 1), sv(B, 2)), "both ends are in the chunk", id="both inside"),
        pytest.param(B, (sv(B, 1), sv(B, 1)), "both ends are in the chunk", id="one supervoxel"),
        pytest.param(B, (sv(A, 1), sv(C, 1)), "no end is in the chunk", id="both outside"),
        pytest.param(B, (0, 0), "no end is in the chunk", id="zeros"),
    ],
)
def test_edge_that_is_none_of_the_chunk(
    kind: str, flipped: bool, chunk: Chunk, edge: tuple[int, int], reason: str
) -> None:
    """An edge that does not lead from the chunk to a face neighbour in the grid is a DataError that
    names file, chunk, kind and both ends."""
    good = (sv(chunk, 7), sv(next(iter(GRID.neighbours(chunk).values())), 7))
    edge = edge[::-1] if flipped else edge
    with pytest.raises(DataError, match=reason) as caught:
        edges: dict[str, Any] = {kind.removesuffix("_chunk"): [good, edge]}
        decide(chunk, **edges)
    assert (caught.value.file, caught.value.chunk) == (FILE, chunk)
    assert f"{kind} edge" in caught.value.reason
    assert all(str(end) in caught.value.reason for end in edge)


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("other", [sv(B, 1), 0, of_layer(A, 2), of_layer(A, 0), sv(Chunk(2, 0, 2, 0), 1)], ids=hex)
def test_inside_edge_that_leaves(other: int, flipped: bool) -> None:
    """An in_chunk edge with an end elsewhere is a DataError that names the end."""
    edge = (other, sv(A, 1)) if flipped else (sv(A, 1), other)
    with pytest.raises(DataError, match=f"in_chunk edge .*supervoxel {other} is not in the chunk") as caught:
        decide(A, inside=[(sv(A, 1), sv(A, 2)), edge])
    assert (caught.value.file, caught.value.chunk) == (FILE, A)


def decide_all(volume: Volume) -> dict[Chunk, ActiveEdges]:
    """The active edges of every chunk, from the files of a random volume."""
    plan = volume.plan
    listings = {
        chunk: decode_components(volume.components.get(components_name(chunk)), "file", chunk)
        for chunk in plan.grid.chunks(2)
    }
    found = {}
    for chunk in plan.grid.chunks(2):
        edges = decode_edges(volume.edges.get(edges_name(chunk)), "file", chunk)
        around = plan.grid.neighbours(chunk)
        lower = {face: listings[other] for face, other in around.items() if face % 2 == 0}
        found[chunk] = active_edges(plan, chunk, edges, listings[chunk], lower, "file")
    return found


volumes = st.builds(
    random_volume,
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 2)),
    disagree=st.sampled_from([0.0, 0.1, 0.5]),
)


@given(volumes)
def test_both_sides_store_the_same(volume: Volume) -> None:
    """For random volumes: what leaves a chunk through a face enters the next one through the opposite face."""
    found = decide_all(volume)
    for chunk, active in found.items():
        for face, there in by_face(active).items():
            back = by_face(found[neighbour(chunk, face)])[opposite(face)]
            assert sorted(there.tolist()) == sorted(back[:, ::-1].tolist())


@given(volumes)
def test_facts_of_random_volumes(volume: Volume) -> None:
    """For random volumes: supervoxels, active edges and disagreements are those that the volume was made of."""
    found = decide_all(volume)
    supervoxels = {node for active in found.values() for node in active.supervoxels.tolist()}
    edges = {frozenset(pair) for active in found.values() for pair in active.inside.tolist()}
    edges |= {frozenset(pair) for active in found.values() for pair in active.outside.tolist()}
    assert supervoxels == volume.supervoxels
    assert edges == {frozenset(pair) for pair in volume.active}
    assert sum(active.disagreements for active in found.values()) == volume.disagreements


@given(volumes, st.randoms(use_true_random=False))
@examples(20)
def test_order_of_edges_does_not_matter(volume: Volume, rng: Random) -> None:
    """Permuted edge lists decide the same supervoxels and the same sets of active edges."""
    plan = volume.plan
    for chunk, name in [(chunk, edges_name(chunk)) for chunk in plan.grid.chunks(2)]:
        edges = decode_edges(volume.edges.get(name), "file", chunk)
        own = decode_components(volume.components.get(components_name(chunk)), "file", chunk)

        def mixed(part: EdgeList) -> EdgeList:
            order = list(range(len(part.pairs)))
            rng.shuffle(order)
            return EdgeList(part.pairs[order], part.affinities[order], part.areas[order])

        again = ChunkEdges(mixed(edges.inside), mixed(edges.between), mixed(edges.cross))
        one, other = (active_edges(plan, chunk, part, own, {}, "file") for part in (edges, again))
        assert one.supervoxels.tolist() == other.supervoxels.tolist()
        assert sorted(one.inside.tolist()) == sorted(other.inside.tolist())
        assert {face: sorted(part.tolist()) for face, part in by_face(one).items()} == {
            face: sorted(part.tolist()) for face, part in by_face(other).items()
        }
        assert (one.disagreements, one.unlisted) == (other.disagreements, other.unlisted)
