"""The edges through faces, on their way up: far ends become nodes of the same layer, and family 4 is compared.

A verdict names far ends as they were one layer lower, and the chunk behind the face, child or outside neighbour,
has the map from there to its own nodes. So both ends of every edge are nodes of the children's layer where the
parent is verified, and what leaves it collapses as nodes merge. Invariants: every row of every family 4 cell is
compared exactly once, and so is every row that should be there: those of layer l - 1 with the chunk of layer l.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.chunks.digest import NONE
from shared.chunks.handoff import Face, FaceMap, Positions
from shared.chunks.labels import Flags, Index, unique_rows
from shared.plan.grid import Chunk, cross_layer, opposite
from shared.plan.ids import NO_IDS, Ids
from shared.plan.plan import Plan
from shared.verify.claims import find
from shared.verify.findings import Findings
from shared.verify.rows import LiftedRows
from shared.verify.verdict import Verdict

FaceMaps = Mapping[tuple[Chunk, int], FaceMap]
"""By (chunk outside, its face): the maps of the outside neighbours of the children."""


@dataclass(frozen=True)
class Edges:
    """Edges of the children of a chunk, side by side: `near` positions among the waiting nodes, `far` nodes of the
    children's layer or below, the cross layer, the face of the child, and whether another child is behind it."""

    near: Positions
    far: Ids
    layers: npt.NDArray[np.uint8]
    faces: npt.NDArray[np.uint8]
    inner: Flags


def lifted(
    plan: Plan, children: Mapping[Chunk, Verdict], outside: FaceMaps | None, waiting: Ids, findings: Findings
) -> Edges:
    """All edges of the children; complains of those that only one side has. With `outside` None the chunk is
    verified alone, as in a test run: edges through its outer faces lead nowhere."""
    near, far, layers, faces, inner = [], [], [], [], []
    for child, verdict in children.items():
        positions = np.searchsorted(waiting, verdict.frontier.nodes).astype(np.uint32)
        for number, other in plan.grid.neighbours(child).items():
            face = verdict.faces.get(number, Face())
            back = opposite(number)
            if other in children:
                there = children[other].face_map(back)
            elif outside is None:
                continue
            else:
                there = outside[other, back]
            at = positions[face.near]
            _compare(verdict, number, other, there, waiting[at], findings)
            place, known = find(there.old, face.far)
            findings.pairs(
                waiting[at[~known]], face.far[~known], f"has an edge to {{}}, of which chunk {other} knows nothing"
            )
            near.append(at[known])
            far.append(there.new[place[known]])
            count = len(near[-1])
            layers.append(np.full(count, cross_layer(child, number) if count else 0, np.uint8))
            faces.append(np.full(count, number, np.uint8))
            inner.append(np.full(count, other in children))
    none = np.zeros(0, np.uint8)
    return Edges(
        np.concatenate([none.astype(np.uint32), *near]),
        np.concatenate([NO_IDS, *far]),
        np.concatenate([none, *layers]),
        np.concatenate([none, *faces]),
        np.concatenate([none.astype(bool), *inner]),
    )


def _compare(verdict: Verdict, number: int, other: Chunk, there: FaceMap, near: Ids, findings: Findings) -> None:
    """Complains unless a chunk of layer 2 and the one behind a face have the same active edges between them."""
    here = verdict.digests.get(number, NONE)
    if verdict.chunk.layer == 2 and here != there.digest and len(near):
        told = there.digest[0] if there.digest else 0
        findings.each(
            near[:1],
            f"is one of those with active edges from chunk {verdict.chunk} to {other}, which has not the same "
            f"({here[0]:,} and {told:,})",
        )


def compare_lifted(
    plan: Plan, layer: int, waiting: Ids, edges: Edges, found: Iterable[LiftedRows], findings: Findings
) -> None:
    """Compares family 4 of the nodes of `layer`, some at a time as it was read, with what the edges give."""
    own = plan.ids.layers(waiting) == layer
    left = set(np.unique(edges.layers).tolist())
    for rows in found:
        _compare_some(own, waiting, edges, rows, findings)
        left.discard(rows.cross)
    for cross in sorted(left):
        _compare_some(own, waiting, edges, LiftedRows(cross, 0, 1 << 64, NO_IDS, NO_IDS), findings)


def _compare_some(own: Flags, waiting: Ids, edges: Edges, rows: LiftedRows, findings: Findings) -> None:
    first, last = (
        len(waiting) if end >> 64 else np.searchsorted(waiting, np.uint64(end)) for end in (rows.low, rows.high)
    )
    some = np.flatnonzero((edges.layers == rows.cross) & (edges.near >= first) & (edges.near < last))
    some = some[own[edges.near[some]]]
    lacking, added = differences((waiting[edges.near[some]], edges.far[some]), (rows.nodes, rows.far))
    under = f"cross edge to {{}} under cross layer {rows.cross}"
    findings.pairs(lacking[0], lacking[1], f"lacks the {under}")
    findings.pairs(added[0], added[1], f"has a {under} that no active edge below it gives")


def differences(first: Any, second: Any) -> tuple[list[Ids], list[Ids]]:
    """The distinct rows, given as columns, that only the one has, and those that only the other has."""
    parts = [unique_rows(*table) for table in (first, second)]
    if all(map(np.array_equal, *parts)):
        none = [column[:0] for column in parts[0]]
        return none, none
    columns = [np.concatenate(pair) for pair in zip(*parts, strict=True)]
    from_second: npt.NDArray[np.bool_] = np.arange(len(columns[0])) >= len(parts[0][0])
    order = np.lexsort(columns[::-1])
    columns, from_second = [column[order] for column in columns], from_second[order]
    alike = np.ones(max(len(order) - 1, 0), bool)
    for column in columns:
        alike &= column[1:] == column[:-1]
    lone = ~(np.append(alike, False) | np.append(False, alike))[: len(order)]
    return [column[lone & ~from_second] for column in columns], [column[lone & from_second] for column in columns]


def leaving(faces: Index, near: Index, far: Ids, old: Ids) -> dict[int, Face]:
    """What leaves through each face: edge i from the node at position `near[i]`, known to neighbours as
    `old[i]`."""
    result = {}
    for face in np.unique(faces).tolist():
        at = faces == face
        ends, others = unique_rows(near[at].astype(np.uint32), far[at])
        names, first = np.unique(old[at], return_index=True)
        result[face] = Face(ends, others, names, near[at][first].astype(np.uint32))
    return result
