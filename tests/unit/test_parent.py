"""The build of a chunk above layer 2: small graphs with every id written out, and what holds for any graph.

Grid((8, 1, 1)): five layers; the number at a wall is the cross layer of an edge through it

layer 5  |                               |    5 << 56 | segment
layer 4  |               |               |    4 << 56 | x << 55 | segment
layer 3  |       |       |       |       |    3 << 56 | x << 54 | segment
layer 2  | 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 |    2 << 56 | x << 46 | segment
             2   3   2   4   2   3   2
root segments from 1 (layer 2), 1 + 2^42 (layer 3), 1 + 2^42 + 2^41 (layer 4), 1 + 2^43 (layer 5)
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.active import ActiveEdges
from shared.chunks.emit import Built
from shared.chunks.handoff import FaceMap, HandOff
from shared.chunks.layer2 import build_layer2
from shared.chunks.parent import build_parent
from shared.chunks.totals import add_totals
from shared.errors import DataError, RangeOverflow
from shared.plan.grid import FACES, Chunk, Grid, neighbour, opposite
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from tests.examples import examples
from tests.unit.test_active import decide_all
from tests.unit.test_layer2 import Pair, Rows, active_of, faces_of, plan_of, raw, row, rows_of
from tests.volumes import Volume, random_volume

ROW = plan_of(8)
ROOT = 5 << 56


def sv(x: int, segment: int = 1, y: int = 0) -> int:
    """A supervoxel of layer-2 chunk (x, y, 0)."""
    return 1 << 56 | x << 46 | y << 36 | segment


def node2(x: int, segment: int = 1, y: int = 0) -> int:
    """A node of layer-2 chunk (x, y, 0)."""
    return 2 << 56 | x << 46 | y << 36 | segment


def node3(x: int, segment: int = 1) -> int:
    """A node of layer-3 chunk (x, 0, 0) of the row of eight."""
    return 3 << 56 | x << 54 | segment


def node4(x: int, segment: int = 1) -> int:
    """A node of layer-4 chunk (x, 0, 0) of the row of eight."""
    return 4 << 56 | x << 55 | segment


def active_by_chunk(
    plan: Plan, edges: Iterable[Pair], alone: Iterable[int] = (), one_sided: Iterable[Pair] = ()
) -> dict[Chunk, ActiveEdges]:
    """Active edges sorted into the chunks of both ends; `one_sided` ones only into the first end's."""
    supervoxels: dict[Chunk, set[int]] = defaultdict(set)
    inside: dict[Chunk, list[Pair]] = defaultdict(list)
    outside: dict[Chunk, dict[int, list[Pair]]] = defaultdict(lambda: defaultdict(list))

    def chunk_of(supervoxel: int) -> Chunk:
        return plan.ids.chunk_of(supervoxel)._replace(layer=2)

    def add(near: int, far: int) -> None:
        here, there = chunk_of(near), chunk_of(far)
        supervoxels[here].add(near)
        face = next(face for face in FACES if neighbour(here, face) == there)
        outside[here][face].append((near, far))

    for a, b in edges:
        if chunk_of(a) == chunk_of(b):
            inside[chunk_of(a)].append((a, b))
            supervoxels[chunk_of(a)] |= {a, b}
        else:
            add(a, b)
            add(b, a)
    for a, b in one_sided:
        add(a, b)
        supervoxels[chunk_of(b)].add(b)
    for supervoxel in alone:
        supervoxels[chunk_of(supervoxel)].add(supervoxel)
    return {
        chunk: active_of(sorted(supervoxels[chunk]), inside[chunk], outside[chunk]) for chunk in plan.grid.chunks(2)
    }


def outside_maps(
    built: Mapping[Chunk, Built], children: Mapping[Chunk, HandOff]
) -> dict[tuple[Chunk, int], FaceMap]:
    """The face maps of the chunks around some children, as the worker reads them."""
    maps = {}
    for child, handoff in children.items():
        for face in handoff.faces:
            other = neighbour(child, face)
            if other not in children:
                maps[other, opposite(face)] = built[other].handoff.face_map(opposite(face))
    return maps


def build_all(
    plan: Plan, active: Mapping[Chunk, ActiveEdges], rng: random.Random | None = None, digests: bool = True
) -> dict[Chunk, Built]:
    """Every chunk of a graph; `rng` puts children and maps in another order. Without `digests` hand-offs are as
    version 1 has them."""
    built = {chunk: build_layer2(plan, chunk, active[chunk]) for chunk in plan.grid.chunks(2)}
    if not digests:
        built = {chunk: replace(one, handoff=replace(one.handoff, digests=None)) for chunk, one in built.items()}
    for layer in range(3, plan.grid.layer_count + 1):
        for chunk in plan.grid.chunks(layer):
            children = [(child, built[child].handoff) for child in plan.grid.children(chunk)]
            maps = list(outside_maps(built, dict(children)).items())
            if rng:
                rng.shuffle(children)
                rng.shuffle(maps)
            built[chunk] = build_parent(plan, chunk, dict(children), dict(maps))
    return built


@dataclass
class Graph:
    """A graph built from active edges: its rows without counters, and the counters by chunk id."""

    built: dict[Chunk, Built]
    rows: Rows = field(init=False)
    counters: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        rows = rows_of([cells for built in self.built.values() for cells in built.cells])
        self.counters = {key: rows.pop(key)["1:counter"] for key in list(rows) if key.startswith("i")}
        self.rows = rows

    def tree(self) -> dict[int, list[int]]:
        """The children of every node of layer 2 and above."""
        return {int(key): cells["0:children"] for key, cells in self.rows.items() if "0:children" in cells}


def graph_of(plan: Plan, *edges: Pair, alone: Iterable[int] = ()) -> Graph:
    return Graph(build_all(plan, active_by_chunk(plan, edges, alone)))


def test_edge_of_a_high_cross_layer_skips_layers() -> None:
    """Nodes whose only edge has cross layer 4 have no node at layer 3: their parents stand at layer 4.

    layer 5  |               R               |
    layer 4  |      D4       |      E4       |
    layer 3  |       |       |       |       |
    layer 2  | 0 | 1 | 2 | D2| E2| 5 | 6 | 7 |
                           d === e
    """
    d, e = sv(3), sv(4)
    graph = graph_of(ROW, (d, e))
    root = ROOT | 1 + 2**43
    assert graph.rows == {
        row(d): {"0:parents": node2(3)},
        row(e): {"0:parents": node2(4)},
        row(node2(3)): {"0:children": [d], "0:parents": node4(0), "3:atomic_cross_edges_4": [(d, e)]},
        row(node2(4)): {"0:children": [e], "0:parents": node4(1), "3:atomic_cross_edges_4": [(e, d)]},
        row(node4(0)): {"0:children": [node2(3)], "0:parents": root},
        row(node4(1)): {"0:children": [node2(4)], "0:parents": root},
        row(root): {"0:children": [node4(0), node4(1)]},
    }
    assert graph.counters == {
        "i" + row(2 << 56 | 3 << 46): 1,
        "i" + row(2 << 56 | 4 << 46): 1,
        "i" + row(4 << 56): 1,
        "i" + row(4 << 56 | 1 << 55): 1,
        **{f"i{row(ROOT)}{part}": 1 + 2**43 for part in ["", *(f"_{part}" for part in range(256))]},
    }
    # Layer 3 carries the layer-2 node upward under its own name.
    carried = graph.built[Chunk(3, 1, 0, 0)].handoff
    assert carried.nodes.tolist() == [node2(3)]
    assert faces_of(graph.built[Chunk(3, 1, 0, 0)]) == {1: ([(node2(3), node2(4))], [(node2(3), node2(3))])}
    assert faces_of(graph.built[Chunk(4, 0, 0, 0)]) == {1: ([(node4(0), node2(4))], [(node2(3), node4(0))])}


def test_edge_of_the_lowest_cross_layer() -> None:
    """Two nodes joined at layer 3 that no other edge leaves get their root there, from that job's range.

    layer 5  |               R               |     made by the job of layer 3
    layer 3  |  AB3  |       |       |       |
    layer 2  | A2| B2| 2 | 3 | 4 | 5 | 6 | 7 |
               a = b
    """
    graph = graph_of(ROW, (sv(0), sv(1)))
    root = ROOT | 1 + 2**42
    assert graph.tree() == {
        node2(0): [sv(0)],
        node2(1): [sv(1)],
        node3(0): [node2(0), node2(1)],
        root: [node3(0)],
    }
    assert graph.rows[row(node3(0))]["0:parents"] == root
    assert graph.counters["i" + row(ROOT)] == graph.counters["i" + row(ROOT) + "_255"] == 1 + 2**42
    assert len(graph.built[Chunk(3, 0, 0, 0)].handoff.nodes) == 0
    assert graph.built[Chunk(4, 0, 0, 0)].handoff.max_root == 1 + 2**42


def test_single_node_gets_its_parent_where_its_edge_is() -> None:
    """A node whose only edge has cross layer 3 gets a parent of its own at layer 3, and is joined at layer 4.

    layer 4  |      BC4      |
    layer 3  |   B3  |   C3  |
    layer 2  | 0 | B2| C2| 3 |
                   b = c
    """
    graph = graph_of(ROW, (sv(1), sv(2)))
    assert graph.tree() == {
        node2(1): [sv(1)],
        node2(2): [sv(2)],
        node3(0): [node2(1)],
        node3(1): [node2(2)],
        node4(0): [node3(0), node3(1)],
        ROOT | 1 + 2**42 + 2**41: [node4(0)],
    }


MIXED = [
    (sv(1), sv(2)),  # b - c1   cross layer 3
    (sv(2), sv(3)),  # c1 - d1  cross layer 2
    (sv(3, 2), sv(4)),  # d2 - e   cross layer 4
]


@pytest.mark.parametrize("schema", [2, 3])
def test_carried_beside_joined(schema: int) -> None:
    """In one chunk a node is carried upward while others are joined; numbers go by the smallest child.

    layer 5  |                  R5                   |   roots: R4 (made by layer 4), R5, R2 (over D2 3)
    layer 4  |  D4 = 1, BC4 = 2  |        E4         |   D4's child is of layer 2, so it comes first
    layer 3  |   B3    |   CD3   |         |         |   (d2 is carried through here)
    layer 2  |    | B2 | C2 | D2 | E2 |    |    |    |   D2: 1 {d1}  2 {d2}  3 {d3}
                    b == c1==d1
                              d2 === e
                              d3
    """
    plan = plan_of(8, schema=schema)
    graph = graph_of(plan, *MIXED, alone=[sv(3, 3)])
    roots = {2: ROOT | 1 + 3 * 2**39, 4: ROOT | 1 + 2**42 + 2**41, 5: ROOT | 1 + 2**43}
    assert graph.tree() == {
        node2(1): [sv(1)],
        node2(2): [sv(2)],
        node2(3, 1): [sv(3, 1)],
        node2(3, 2): [sv(3, 2)],
        node2(3, 3): [sv(3, 3)],
        node2(4): [sv(4)],
        roots[2]: [node2(3, 3)],
        node3(0): [node2(1)],
        node3(1): [node2(2), node2(3, 1)],
        node4(0, 1): [node2(3, 2)],
        node4(0, 2): [node3(0), node3(1)],
        roots[4]: [node4(0, 2)],
        node4(1): [node2(4)],
        roots[5]: [node4(0, 1), node4(1)],
    }
    assert graph.built[Chunk(3, 1, 0, 0)].handoff.nodes.tolist() == [node2(3, 2), node3(1)]
    assert graph.built[Chunk(4, 0, 0, 0)].handoff.nodes.tolist() == [node4(0, 1)]
    assert graph.counters["i" + row(4 << 56)] == 2
    assert graph.counters["i" + row(ROOT)] == 1 + 2**43

    edges = {
        (key, column): value
        for key, cells in graph.rows.items()
        for column, value in cells.items()
        if column.startswith("4:")
    }
    lifted = [
        (node2(1), node2(2), 3),
        (node2(2), node2(3), 2),
        (node2(3, 2), node2(4), 4),
        (node3(0), node3(1), 3),
        (node4(0), node4(1), 4),
    ]
    expected = {(row(a), f"4:cross_edges_{m}"): [(a, b)] for a, b, m in lifted}
    expected |= {(row(b), f"4:cross_edges_{m}"): [(b, a)] for a, b, m in lifted}
    assert edges == (expected if schema == 3 else {})


def test_chain_around_a_corner() -> None:
    """Chunks that touch at a corner only are joined by the chain through a third one.

    Grid((2, 2, 1)):   y=1 |   | E |
                       y=0 | A=== B |     a - b and b - e, but no edge from a to e
    """
    a, b, e = sv(0), sv(1), sv(1, y=1)
    plan = plan_of(2, 2)
    graph = graph_of(plan, (a, b), (b, e))
    nodes = [node2(0), node2(1), node2(1, y=1)]
    roots = {node: children for node, children in graph.tree().items() if node >> 56 == 3}
    assert list(roots.values()) == [nodes]
    assert graph.rows[row(node2(1))]["3:atomic_cross_edges_2"] == [(b, a), (b, e)]


def test_parts_that_meet_outside() -> None:
    """Two nodes of one chunk that are connected only outside of it stay two there, and meet higher up.

    Grid((4, 2, 1)):  y=1 |   | c === z |   |       layer 3: | P | Q |; P has the nodes of a and of c,
                      y=0 |   | a === x |   |                Q one node of x and z; x - z joins all
                                    |                        at layer 4
    """
    a, c, x, z = sv(1), sv(1, y=1), sv(2), sv(2, y=1)
    plan = plan_of(4, 2)
    graph = graph_of(plan, (a, x), (c, z), (x, z))
    p, q = 3 << 56, 3 << 56 | 1 << 55
    assert graph.tree() == {
        node2(1): [a],
        node2(1, y=1): [c],
        node2(2): [x],
        node2(2, y=1): [z],
        p | 1: [node2(1)],
        p | 2: [node2(1, y=1)],
        q | 1: [node2(2), node2(2, y=1)],
        int(plan.roots.root_ids(plan.grid.root, 1)[0]): [p | 1, p | 2, q | 1],
    }
    # Two supervoxel edges between the same nodes go up as one.
    assert faces_of(graph.built[Chunk(3, 1, 0, 0)])[0][1] == [(node2(2), q | 1), (node2(2, y=1), q | 1)]
    assert faces_of(graph.built[Chunk(3, 0, 0, 0)])[1][0] == [(p | 1, node2(2)), (p | 2, node2(2, y=1))]


def test_pairs_collapse_as_nodes_merge() -> None:
    """Three edges between the supervoxels of two nodes are one row of the hand-off a layer higher.

    | 1: b1 ====== c1 :2 |     b1 - b2 are one node, and so are c1 - c2 - c3;
    |    b1 ====== c2    |     all three edges go through the wall of cross layer 3
    |    b2 ====== c3    |
    """
    inside = [(sv(1, 1), sv(1, 2)), (sv(2, 1), sv(2, 2)), (sv(2, 2), sv(2, 3))]
    through = [(sv(1, 1), sv(2, 1)), (sv(1, 1), sv(2, 2)), (sv(1, 2), sv(2, 3))]
    graph = graph_of(ROW, *inside, *through)
    assert len(faces_of(graph.built[Chunk(2, 1, 0, 0)])[1][0]) == 3
    assert faces_of(graph.built[Chunk(3, 0, 0, 0)])[1][0] == [(node3(0), node2(2))]
    assert len(graph.rows[row(node2(1))]["3:atomic_cross_edges_3"]) == 3


def test_node_with_several_far_ends() -> None:
    """A node that two nodes behind a face know is once in the map, and has an edge to each of them.

    | 1: b ==== c1 :2 |     wall of cross layer 3; c1 and c2 are two nodes of chunk 2
    |      ==== c2    |
    """
    graph = graph_of(ROW, (sv(1), sv(2, 1)), (sv(1), sv(2, 2)))
    assert faces_of(graph.built[Chunk(3, 0, 0, 0)]) == {
        1: ([(node3(0), node2(2, 1)), (node3(0), node2(2, 2))], [(node2(1), node3(0))])
    }
    assert faces_of(graph.built[Chunk(3, 1, 0, 0)]) == {
        0: (
            [(node3(1, 1), node2(1)), (node3(1, 2), node2(1))],
            [(node2(2, 1), node3(1, 1)), (node2(2, 2), node3(1, 2))],
        )
    }
    assert graph.tree()[node4(0)] == [node3(0), node3(1, 1), node3(1, 2)]


@pytest.mark.parametrize("swapped", [False, True])
def test_lowest_of_several_cross_layers(swapped: bool) -> None:
    """A single node with edges of cross layers 3 and 4 gets its parent at layer 3, whichever axis has which.

    Grid((4, 8, 1)):   y=4 | . | e | . | . |      n - x has cross layer 3 (wall 1|2 of x),
                      ----------------------      n - e has cross layer 4 (wall 3|4 of y);
                       y=3 | . | n===x | . |      swapped: Grid((8, 4, 1)), and x for y
    """

    def at(x: int, y: int) -> int:
        return sv(y, 1, x) if swapped else sv(x, 1, y)

    plan = plan_of(8, 4) if swapped else plan_of(4, 8)
    n, x, e = at(1, 3), at(2, 3), at(1, 4)
    rows = graph_of(plan, (n, x), (n, e)).rows

    def layers_above(node: int) -> list[int]:
        layers = []
        while "0:parents" in rows[row(node)]:
            node = int(str(rows[row(node)]["0:parents"]))
            layers.append(node >> 56)
        return layers

    assert layers_above(n) == [2, 3, 4, 5]
    assert layers_above(x) == [2, 3, 4, 5]
    assert layers_above(e) == [2, 4, 5]


def test_empty_graph() -> None:
    """A graph without supervoxels has root counters of 0 and no node."""
    graph = graph_of(ROW)
    assert graph.rows == {}
    assert set(graph.counters.values()) == {0} and len(graph.counters) == 257
    assert graph.built[ROW.grid.root].handoff.max_root == 0


def test_totals_add_up() -> None:
    """The last hand-off has the sums of all layers: chunks, nodes and those that became final."""
    totals = graph_of(ROW, *MIXED, alone=[sv(3, 3)]).built[ROW.grid.root].handoff.totals
    assert {layer: (counts["chunks"], counts["nodes"], counts["final"]) for layer, counts in totals.items()} == {
        2: (8, 6, 1),
        3: (4, 2, 0),
        4: (2, 3, 1),
        5: (1, 1, 1),
    }
    assert totals[2]["supervoxels"] == 6


def test_sum_of_totals() -> None:
    """Counts are added by layer and name; a name that only one part has is kept, the parts stay as they are."""
    parts = [{2: {"nodes": 1, "final": 2}}, {2: {"nodes": 5}, 3: {"nodes": 7}}, {}]
    assert add_totals(parts) == {2: {"nodes": 6, "final": 2}, 3: {"nodes": 7}}
    assert parts[0] == {2: {"nodes": 1, "final": 2}}
    assert add_totals([]) == {}


def test_test_run_builds_without_neighbours() -> None:
    """Without maps from outside, as in a test run, a parent is built from its children alone, and has no
    cell for the edges that lead to what nobody builds.

    | 2: c === d :3 | === e     chunk 4 is not built
    """
    plan = plan_of(8, schema=3)
    active = active_by_chunk(plan, [(sv(2), sv(3)), (sv(3), sv(4))])
    children = {
        child: build_layer2(plan, child, active[child]).handoff for child in plan.grid.children(Chunk(3, 1, 0, 0))
    }
    built = build_parent(plan, Chunk(3, 1, 0, 0), children, None)
    rows = rows_of(built.cells)
    assert rows[row(node3(1))] == {"0:children": [node2(2), node2(3)]}
    assert rows[row(node2(3))] == {"0:parents": node3(1), "4:cross_edges_2": [(node2(3), node2(2))]}
    assert built.handoff.nodes.tolist() == [node3(1)]


@pytest.mark.parametrize("x", [0, 1, 3])
@pytest.mark.parametrize("from_upper", [False, True])
@pytest.mark.parametrize("digests", [True, False])
def test_edge_in_one_file_only(x: int, from_upper: bool, digests: bool) -> None:
    """An active edge that only one of its two chunks knows is a DataError that names both.

    Through a wall of cross layer 2 (x = 0), 3 (x = 1) and 4 (x = 3), from either side.
    """
    edge = (sv(x + 1), sv(x)) if from_upper else (sv(x), sv(x + 1))
    knows, other = (Chunk(2, end >> 46 & 1023, 0, 0) for end in edge)
    with pytest.raises(DataError) as caught:
        build_all(ROW, active_by_chunk(ROW, [], one_sided=[edge]), digests=digests)
    assert caught.value.chunk == knows
    assert caught.value.file == f"edge files of {knows} and {other}"
    assert str(edge[1]) in caught.value.reason
    assert ("these have 1 and 0. With" if digests else f"{other} has no such edge") in caught.value.reason


@pytest.mark.parametrize("x", [0, 1, 3])
@pytest.mark.parametrize("from_upper", [False, True])
@pytest.mark.parametrize("swapped", [False, True])
def test_other_edges_between_the_same_nodes(x: int, from_upper: bool, swapped: bool) -> None:
    """Both files have to have the very same edges, though all of them join the same two nodes: one more is
    found, and another one in its place, at the first parent that reads both hand-offs.

    | a1 ===== b1 |
    | |         | |     and a1 - b2 in one file; swapped: a2 - b1 in the other
    | a2 ===== b2 |
    """
    a1, a2, b1, b2 = sv(x, 1), sv(x, 2), sv(x + 1, 1), sv(x + 1, 2)
    both = [(a1, a2), (b1, b2), (a1, b1), (a2, b2)]
    extra = [(b2, a1) if from_upper else (a1, b2)]
    if swapped:
        extra.append((a2, b1) if from_upper else (b1, a2))
    with pytest.raises(DataError) as caught:
        build_all(ROW, active_by_chunk(ROW, both, one_sided=extra))
    low, high = Chunk(2, x, 0, 0), Chunk(2, x + 1, 0, 0)
    assert caught.value.file in (f"edge files of {low} and {high}", f"edge files of {high} and {low}")
    assert ("3 each, but not the same" if swapped else "3") in caught.value.reason
    build_all(ROW, active_by_chunk(ROW, both, one_sided=extra), digests=False)
    build_all(ROW, active_by_chunk(ROW, [*both, *extra]))


@pytest.mark.parametrize(
    ("x", "sides"),
    [
        (0, (Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0))),
        (1, (Chunk(3, 0, 0, 0), Chunk(3, 1, 0, 0))),
        (3, (Chunk(4, 0, 0, 0), Chunk(4, 1, 0, 0))),
    ],
)
@pytest.mark.parametrize("from_upper", [False, True])
def test_edge_in_one_file_only_beside_others(x: int, sides: tuple[Chunk, Chunk], from_upper: bool) -> None:
    """The same is found if both ends have other edges through the same wall, which both files know.

    With hand-offs of version 1 it shows where both sides are children of one chunk, by the nodes that the edge
    would join there.

    | a1 ===== b1 |
    | a2 ===== b2 |     and a1 - b2, which stands in one file only
    """
    both = [(sv(x, 1), sv(x + 1, 1)), (sv(x, 2), sv(x + 1, 2))]
    edge = (sv(x + 1, 2), sv(x, 1)) if from_upper else (sv(x, 1), sv(x + 1, 2))
    knows, lacks = reversed(sides) if from_upper else sides
    with pytest.raises(DataError, match=f"(of|below) {knows} and {lacks}") as caught:
        build_all(ROW, active_by_chunk(ROW, both, one_sided=[edge]), digests=False)
    assert caught.value.chunk == knows and f"{lacks} has no such edge" in caught.value.reason
    build_all(ROW, active_by_chunk(ROW, [*both, edge]))


def test_too_many_roots() -> None:
    """A parent with more final nodes than its range of roots is a RangeOverflow that names it."""
    grid = Grid((3, 1, 1))
    plan = Plan(grid, IdLayout(grid.layer_count, spatial_bits=2, layer_id_bits=46))
    room = plan.roots.size(3)
    low, high = (plan.ids.chunk_id(Chunk(1, x, 0, 0)) for x in (0, 1))
    build_all(plan, active_by_chunk(plan, [(low + n, high + n) for n in range(room)]))
    with pytest.raises(RangeOverflow, match="chunk 3/0_0_0 makes"):
        build_all(plan, active_by_chunk(plan, [(low + n, high + n) for n in range(room + 1)]))


volumes = st.builds(
    random_volume,
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.integers(1, 6), st.integers(1, 3), st.integers(1, 2)).flatmap(st.permutations).map(tuple),
    size=st.integers(1, 4),
    density=st.sampled_from([0.1, 0.3, 0.6]),
    schema=st.sampled_from([2, 3]),
)


def check_handoff(plan: Plan, handoff: HandOff) -> None:
    """What a hand-off's docstring promises of itself alone."""
    nodes = handoff.nodes.tolist()
    assert nodes == sorted(set(nodes))
    layers = [node >> 56 for node in nodes]
    assert all(2 <= layer <= handoff.chunk.layer for layer in layers)
    for node in nodes:
        at = plan.ids.chunk_of(node)
        shift = handoff.chunk.layer - at.layer
        assert tuple(coord >> shift for coord in at.coords) == handoff.chunk.coords
    leaving: set[int] = set()
    for face in handoff.faces.values():
        edges = list(zip(face.near.tolist(), face.far.tolist(), strict=True))
        lifted = list(zip(face.old.tolist(), face.new.tolist(), strict=True))
        assert edges and edges == sorted(set(edges))
        assert lifted == sorted(set(lifted))
        assert len({old for old, _ in lifted}) == len(lifted)
        assert {near for near, _ in edges} == {new for _, new in lifted}
        leaving |= {near for near, _ in edges}
    assert leaving == set(range(len(nodes)))


@given(volumes)
def test_handoffs_keep_their_promises(volume: Volume) -> None:
    """For random volumes: nodes and rows of faces are sorted and unique, every waiting node has an edge,
    and each side's maps lift the other side's far ends to the same pairs of nodes."""
    plan = volume.plan
    built = build_all(plan, decide_all(volume))
    for chunk, one in built.items():
        check_handoff(plan, one.handoff)
        for number, face in one.handoff.faces.items():
            other = built[neighbour(chunk, number)].handoff
            back = other.faces[opposite(number)]
            assert sorted(set(face.far.tolist())) == back.old.tolist()
            here, there = one.handoff.face_map(number), other.face_map(opposite(number))
            lift_here = dict(zip(here.old.tolist(), here.new.tolist(), strict=True))
            lift_there = dict(zip(there.old.tolist(), there.new.tolist(), strict=True))
            outward = zip(one.handoff.nodes[face.near].tolist(), face.far.tolist(), strict=True)
            inward = zip(other.nodes[back.near].tolist(), back.far.tolist(), strict=True)
            assert {(near, lift_there[far]) for near, far in outward} == {
                (lift_here[far], near) for near, far in inward
            }
    assert len(built[plan.grid.root].handoff.nodes) == 0 and not built[plan.grid.root].handoff.faces


@given(volumes, st.integers(0, 2**32 - 1))
@examples(25)
def test_order_does_not_matter(volume: Volume, seed: int) -> None:
    """For random volumes: building twice, with edges, children and maps in another order, gives the same
    cells and hand-off bytes in every layer."""
    rng = np.random.default_rng(seed)
    active = decide_all(volume)
    permuted = {}
    for chunk, found in active.items():
        order = rng.permutation(len(found.faces))
        permuted[chunk] = replace(
            found,
            inside=rng.permutation(found.inside, axis=0),
            outside=found.outside[order],
            faces=found.faces[order],
        )
    first = build_all(volume.plan, active)
    again = build_all(volume.plan, permuted, random.Random(seed))
    assert {chunk: raw(built) for chunk, built in first.items()} == {
        chunk: raw(built) for chunk, built in again.items()
    }


@given(volumes)
@examples(25)
def test_ids_and_counters(volume: Volume) -> None:
    """For random volumes: every chunk's ids are 1 .. counter without a gap, roots lie in the ranges of
    their jobs, and the root counters have the highest one."""
    plan = volume.plan
    graph = Graph(build_all(plan, decide_all(volume)))
    root_layer = plan.grid.layer_count
    by_chunk: dict[Chunk, list[int]] = defaultdict(list)
    for node in graph.tree():
        by_chunk[plan.ids.chunk_of(node)].append(node & (1 << plan.ids.segment_bits(node >> 56)) - 1)
    roots = by_chunk.pop(plan.grid.root, [])
    for chunk, segments in by_chunk.items():
        assert sorted(segments) == list(range(1, len(segments) + 1))
        assert graph.counters.pop("i" + row(plan.ids.chunk_id(chunk))) == len(segments)
    assert set(graph.counters.values()) == {max(roots, default=0)} and len(graph.counters) == 257
    ranges = [
        range(plan.roots.first(chunk), plan.roots.first(chunk) + plan.roots.size(chunk.layer))
        for chunk in graph.built
    ]
    assert all(any(segment in one for one in ranges) for segment in roots)
    assert all(plan.ids.chunk_of(root_layer << 56 | segment) == plan.grid.root for segment in roots)
