"""The build of a layer-2 chunk: rows and hand-off of small chunks, written out in full.

Grid((2, 1, 1)): layer 2 has the chunks A and B, layer 3 is the root layer

|     A     |     B     |        ids of layers 1 and 2: layer << 56 | x << 46 | segment
|  a1 - a2 ===== b1     |        ids of layer 3:        3 << 56 | segment
|  a3       |  b2 - b3  |        root segments: A's from 1, B's from 1 + 2^42
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.active import ActiveEdges
from shared.chunks.codec import encode_handoff
from shared.chunks.emit import Built
from shared.chunks.layer2 import build_layer2
from shared.errors import RangeOverflow
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.table.cells import Cells
from tests.examples import examples
from tests.harness import decoded
from tests.unit.test_active import decide_all, volumes
from tests.volumes import Volume, by_face

Rows = dict[str, dict[str, Any]]
Pair = tuple[int, int]

A, B = Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0)
A_SV, B_SV = 1 << 56, 1 << 56 | 1 << 46
A_NODE, B_NODE = 2 << 56, 2 << 56 | 1 << 46
ROOT = 3 << 56


def plan_of(*shape: int, schema: int = 2, **ids: int) -> Plan:
    x, y, z = (*shape, 1, 1)[:3]
    grid = Grid((x, y, z))
    return Plan(grid, IdLayout(grid.layer_count, **ids), schema)


PLAN = plan_of(2)


def active_of(
    supervoxels: list[int],
    inside: list[Pair],
    outside: dict[int, list[Pair]],
    disagreements: int = 0,
    unlisted: int = 0,
) -> ActiveEdges:
    """Active edges as arrays."""
    return ActiveEdges(
        np.array(sorted(supervoxels), np.uint64),
        np.array(inside, np.uint64).reshape(-1, 2),
        np.array([pair for pairs in outside.values() for pair in pairs], np.uint64).reshape(-1, 2),
        np.array([face for face, pairs in outside.items() for _ in pairs], np.int64),
        disagreements,
        unlisted,
    )


def rows_of(cells: list[Cells]) -> Rows:
    """Cells as row -> column -> decoded value; no cell may be there twice."""
    rows: Rows = {}
    for part in cells:
        assert len(set(part.keys)) == len(part.keys) == len(part.values)
        for key, value in zip(part.keys, part.values, strict=True):
            row = rows.setdefault(key.decode(), {})
            assert str(part.column) not in row
            row[str(part.column)] = decoded(str(part.column), value)
    return rows


def row(node: int) -> str:
    return f"{node:020d}"


def faces_of(built: Built) -> dict[int, tuple[list[Pair], list[Pair]]]:
    """For each face of the hand-off: (node, far) edges and (old, node) of the map, with ids for positions."""
    nodes = built.handoff.nodes
    return {
        number: (
            list(zip(nodes[face.near].tolist(), face.far.tolist(), strict=True)),
            list(zip(face.old.tolist(), nodes[face.new].tolist(), strict=True)),
        )
        for number, face in built.handoff.faces.items()
    }


def raw(built: Built) -> tuple[list[tuple[str, list[bytes], list[bytes]]], bytes]:
    """All cells and the hand-off as bytes, in order."""
    return [(str(part.column), part.keys, part.values) for part in built.cells], encode_handoff(built.handoff)


def test_chunk_with_all_kinds_of_nodes() -> None:
    """The drawing above: a joined node that waits, and a single one that gets its root at once.

    | A: a1 - a2 ===|== b1 |     node A1 = {a1 a2} waits: an edge leaves it
    |    a3         |      |     node A2 = {a3} is final: root 1 of A's range
    """
    a1, a2, a3, b1 = A_SV + 1, A_SV + 2, A_SV + 3, B_SV + 1
    built = build_layer2(PLAN, A, active_of([a1, a2, a3], [(a1, a2)], {1: [(a2, b1)]}, 4, 5))
    assert rows_of(built.cells) == {
        row(a1): {"0:parents": A_NODE + 1},
        row(a2): {"0:parents": A_NODE + 1},
        row(a3): {"0:parents": A_NODE + 2},
        row(A_NODE + 1): {"0:children": [a1, a2], "3:atomic_cross_edges_2": [(a2, b1)]},
        row(A_NODE + 2): {"0:children": [a3], "0:parents": ROOT + 1},
        row(ROOT + 1): {"0:children": [A_NODE + 2]},
        "i" + row(A_NODE): {"1:counter": 2},
    }
    assert built.handoff.chunk == A
    assert built.handoff.nodes.tolist() == [A_NODE + 1]
    assert faces_of(built) == {1: ([(A_NODE + 1, b1)], [(a2, A_NODE + 1)])}
    assert built.handoff.max_root == 1
    assert built.handoff.totals == {
        2: {"chunks": 1, "nodes": 2, "supervoxels": 3, "final": 1, "disagreements": 4, "unlisted": 5}
    }


def test_roots_of_the_other_chunk() -> None:
    """B's roots come from B's own range, in order of their nodes.

    | B: b1   b2 - b3   b4 |     nodes {b1} {b2 b3} {b4}, all final
    """
    b1, b2, b3, b4 = (B_SV + n for n in (1, 2, 3, 4))
    built = build_layer2(PLAN, B, active_of([b1, b2, b3, b4], [(b3, b2)], {}))
    first = ROOT + 1 + 2**42
    assert rows_of(built.cells) == {
        row(b1): {"0:parents": B_NODE + 1},
        row(b2): {"0:parents": B_NODE + 2},
        row(b3): {"0:parents": B_NODE + 2},
        row(b4): {"0:parents": B_NODE + 3},
        row(B_NODE + 1): {"0:children": [b1], "0:parents": first},
        row(B_NODE + 2): {"0:children": [b2, b3], "0:parents": first + 1},
        row(B_NODE + 3): {"0:children": [b4], "0:parents": first + 2},
        row(first): {"0:children": [B_NODE + 1]},
        row(first + 1): {"0:children": [B_NODE + 2]},
        row(first + 2): {"0:children": [B_NODE + 3]},
        "i" + row(B_NODE): {"1:counter": 3},
    }
    assert built.handoff.max_root == 1 + 2**42 + 2
    assert not built.handoff.faces and not len(built.handoff.nodes)


def test_numbers_go_by_the_smallest_supervoxel() -> None:
    """Nodes are numbered by their smallest supervoxel, however the edges run.

    | a1 - a6   a2 - a5   a3 - a4 |     1: {a1 a6}   2: {a2 a5}   3: {a3 a4}
    """
    a = [A_SV + n for n in range(7)]
    built = build_layer2(PLAN, A, active_of(a[1:], [(a[4], a[3]), (a[6], a[1]), (a[5], a[2])], {}))
    rows = rows_of(built.cells)
    assert [rows[row(A_NODE + n)]["0:children"] for n in (1, 2, 3)] == [[a[1], a[6]], [a[2], a[5]], [a[3], a[4]]]


def test_edges_of_several_cross_layers() -> None:
    """Edges are stored by cross layer, sorted by supervoxel; the hand-off keeps them by face.

    Grid((8, 2, 1)):  | . | . | . | C | N | . | . | .      C = chunk 3: upper x face has cross layer 4,
                                2   |4|                    lower x face 2; N' above it in y: 2
    """
    plan = plan_of(8, 2)
    chunk = Chunk(2, 3, 0, 0)
    sv = {x: 1 << 56 | x << 46 for x in range(8)}
    above = 1 << 56 | 3 << 46 | 1 << 36
    c1, c2 = sv[3] + 1, sv[3] + 2
    outside = {
        1: [(c2, sv[4] + 1), (c1, sv[4] + 9), (c1, sv[4] + 1)],
        0: [(c2, sv[2] + 7)],
        3: [(c1, above + 1)],
    }
    built = build_layer2(plan, chunk, active_of([c1, c2], [(c1, c2)], outside))
    node = 2 << 56 | 3 << 46 | 1
    assert rows_of(built.cells)[row(node)] == {
        "0:children": [c1, c2],
        "3:atomic_cross_edges_2": [(c1, above + 1), (c2, sv[2] + 7)],
        "3:atomic_cross_edges_4": [(c1, sv[4] + 1), (c1, sv[4] + 9), (c2, sv[4] + 1)],
    }
    assert faces_of(built) == {
        0: ([(node, sv[2] + 7)], [(c2, node)]),
        1: ([(node, sv[4] + 1), (node, sv[4] + 9)], [(c1, node), (c2, node)]),
        3: ([(node, above + 1)], [(c1, node)]),
    }


def test_edge_listed_twice() -> None:
    """An edge that a file lists twice, or once as between and once as cross, is one edge."""
    a1, b1 = A_SV + 1, B_SV + 1
    once = build_layer2(PLAN, A, active_of([a1], [], {1: [(a1, b1)]}))
    twice = build_layer2(PLAN, A, active_of([a1], [(a1, a1)], {1: [(a1, b1), (a1, b1)]}))
    assert raw(once) == raw(twice)


def test_single_chunk_makes_roots() -> None:
    """In a volume of one chunk the nodes of layer 2 are the roots, and all 257 counters are written."""
    plan = plan_of(1)
    a1, a2, a3 = A_SV + 1, A_SV + 2, A_SV + 3
    built = build_layer2(plan, A, active_of([a1, a2, a3], [(a1, a3)], {}))
    rows = rows_of(built.cells)
    counters = {key: rows.pop(key) for key in list(rows) if key.startswith("i")}
    assert rows == {
        row(a1): {"0:parents": A_NODE + 1},
        row(a2): {"0:parents": A_NODE + 2},
        row(a3): {"0:parents": A_NODE + 1},
        row(A_NODE + 1): {"0:children": [a1, a3]},
        row(A_NODE + 2): {"0:children": [a2]},
    }
    assert set(counters) == {"i" + row(A_NODE), *(f"i{row(A_NODE)}_{part}" for part in range(256))}
    assert all(value == {"1:counter": 2} for value in counters.values())
    assert built.handoff.max_root == 2
    assert built.handoff.totals[2]["final"] == 2


@pytest.mark.parametrize("plan", [PLAN, plan_of(1)], ids=["chunk", "root"])
def test_empty_chunk(plan: Plan) -> None:
    """A chunk without supervoxels writes no node; only the root chunk's counters are always there."""
    built = build_layer2(plan, A, active_of([], [], {}))
    rows = rows_of(built.cells)
    assert all(value == {"1:counter": 0} for value in rows.values())
    assert len(rows) == (257 if plan.grid.layer_count == 2 else 0)
    assert built.handoff.max_root == 0 and not built.handoff.faces


def test_too_many_roots() -> None:
    """A chunk with more final nodes than its range of roots has is a RangeOverflow that names it."""
    plan = plan_of(2, layer_id_bits=47, spatial_bits=1)
    room = plan.roots.size(2)
    base = plan.ids.chunk_id(Chunk(1, 0, 0, 0))
    supervoxels = [base + n for n in range(room + 1)]
    assert build_layer2(plan, A, active_of(supervoxels[:-1], [], {})).handoff.max_root == room
    with pytest.raises(RangeOverflow, match="chunk 2/0_0_0 makes"):
        build_layer2(plan, A, active_of(supervoxels, [], {}))


def test_too_many_nodes() -> None:
    """A chunk with more nodes than an id has segments for is a RangeOverflow that names it."""
    plan = plan_of(2, spatial_bits=17)
    assert plan.ids.segment_bits(2) == 5
    base = plan.ids.chunk_id(Chunk(1, 0, 0, 0))
    supervoxels = [base + n for n in range(32)]
    build_layer2(plan, A, active_of(supervoxels[:31], [], {}))
    with pytest.raises(RangeOverflow, match="chunk 2/0_0_0 needs segment 32"):
        build_layer2(plan, A, active_of(supervoxels, [], {}))


@given(volumes, st.integers(0, 2**32 - 1))
@examples(30)
def test_order_of_edges_does_not_matter(volume: Volume, seed: int) -> None:
    """For random volumes: building twice, or from permuted edges, gives the same cells and hand-off bytes."""
    rng = np.random.default_rng(seed)
    for chunk, active in decide_all(volume).items():
        order = rng.permutation(len(active.faces))
        permuted = replace(
            active,
            inside=rng.permutation(active.inside, axis=0)[:, :: rng.choice([-1, 1])],
            outside=active.outside[order],
            faces=active.faces[order],
        )
        first = raw(build_layer2(volume.plan, chunk, active))
        assert first == raw(build_layer2(volume.plan, chunk, active))
        assert first == raw(build_layer2(volume.plan, chunk, permuted))


@given(volumes)
@examples(30)
def test_every_supervoxel_has_its_node(volume: Volume) -> None:
    """For random volumes: children and parents cells name each other, and what leaves is handed off."""
    for chunk, active in decide_all(volume).items():
        built = build_layer2(volume.plan, chunk, active)
        rows = rows_of(built.cells)
        parents = {child: cells["0:parents"] for child, cells in rows.items() if "0:parents" in cells}
        lists = {row(child): int(key) for key, cells in rows.items() for child in cells.get("0:children", [])}
        assert parents == lists
        assert {row(supervoxel) for supervoxel in active.supervoxels.tolist()} <= set(parents)
        for face, pairs in by_face(active).items():
            edges, lifted = faces_of(built)[face]
            assert set(lifted) == {(near, parents[row(near)]) for near in pairs[:, 0].tolist()}
            assert set(edges) == {(parents[row(near)], far) for near, far in pairs.tolist()}
