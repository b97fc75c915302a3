"""Lifting: the far ends of edges, known from one layer below, become nodes of the children's layer.

Each child's hand-off names far ends as they were one layer lower. The chunk behind the face, child
or outside neighbour, handed off the map from there to its own nodes. Invariants: the edges between
two children join the same pairs of nodes, whichever of the two is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.chunks.digest import Digest
from shared.chunks.handoff import Face, FaceMap, HandOff, Positions
from shared.chunks.labels import Index
from shared.errors import DataError
from shared.inputs.names import EDGES
from shared.plan.grid import Chunk, Grid, cross_layer, neighbour, opposite
from shared.plan.ids import Ids

FaceMaps = Mapping[tuple[Chunk, int], FaceMap]
"""By (chunk outside, its face): the maps of the outside neighbours of the children."""


@dataclass(frozen=True)
class Lifted:
    """The edges through one face of one child: `near` positions (uint32) in the waiting nodes, `far` ids.

    `layer` is their cross layer; `inner` edges lead to another child, the others leave the parent
    through its face of the same number. `lifted` is False where no map was given.
    """

    face: int
    layer: int
    near: Positions
    far: Ids
    inner: bool
    lifted: bool = True


def lift_edges(
    grid: Grid, children: Mapping[Chunk, HandOff], outside: FaceMaps | None, waiting: Ids
) -> tuple[list[Lifted], Index]:
    """All edges of the children of a chunk, and the distinct pairs (n, 2) of positions in `waiting` that the
    inner ones join; `waiting` has all nodes of the children, sorted.

    DataError if two chunks of layer 2 do not have the same active edges between them, if an edge between
    children does not come from both sides, or if the chunk outside that an edge leads to does not know its far
    end, or lies outside the grid.
    """
    edges = []
    inner: dict[tuple[Chunk, int], Lifted] = {}
    for child, handoff in children.items():
        positions = np.searchsorted(waiting, handoff.nodes).astype(np.uint32)
        for number, face in handoff.faces.items():
            near, other = positions[face.near], neighbour(child, number)
            if other not in grid:
                reason = f"edges leave through face {number}, where the volume ends"
                raise DataError(f"hand-off of {child}", child, reason)
            layer = cross_layer(child, number)
            if other in children:
                _compare(handoff, number, other, children[other].digest(opposite(number)))
                far = _lift(handoff, face, other, children[other].face_map(opposite(number)))
                edges.append(Lifted(number, layer, near, far, inner=True))
                inner[child, number] = edges[-1]
            elif outside is None:
                edges.append(Lifted(number, layer, near, face.far, inner=False, lifted=False))
            else:
                _compare(handoff, number, other, outside[other, opposite(number)].digest)
                far = _lift(handoff, face, other, outside[other, opposite(number)])
                edges.append(Lifted(number, layer, near, far, inner=False))
    return edges, _joined(inner, waiting)


def _compare(handoff: HandOff, number: int, other: Chunk, there: Digest | None) -> None:
    """DataError unless a chunk of layer 2 and the one behind a face have the same active edges between them."""
    one, here = handoff.chunk, handoff.digest(number)
    if one.layer > 2 or here is None or there is None or here == there:
        return
    face = handoff.faces[number]
    leads = f"from node {handoff.nodes[face.near[0]]} to {face.far[0]}"
    count = f"{here[0]:,} and {there[0]:,}" if here[0] != there[0] else f"{here[0]:,} each, but not the same"
    raise DataError(
        f"edge files of {one} and {other}",
        one,
        f"the active edges between the two, such as {leads}, have to be in both files, {EDGES.name(one)} and "
        f"{EDGES.name(other)}; these have {count}. With one_sided_edges: join what either has is taken for both",
    )


def _lift(handoff: HandOff, face: Face, other: Chunk, found: FaceMap) -> Ids:
    at = found.old.searchsorted(face.far)
    missing = found.old.take(at, mode="clip") != face.far if len(found.old) else np.ones(len(face.far), bool)
    if missing.any():
        first = np.flatnonzero(missing)[0]
        raise _one_sided(handoff.chunk, other, handoff.nodes[face.near[first]], face.far[first])
    lifted: Ids = found.new[at]
    return lifted


def _joined(inner: Mapping[tuple[Chunk, int], Lifted], waiting: Ids) -> Index:
    """The pairs that inner edges join; DataError if it is not the same pairs by one side's word as by the other's.

    Both sides have edges here: each one's far ends were found in the other's map. No pair of nodes has
    edges through two faces, so all faces are compared at once.
    """
    count = max(len(waiting), 1)
    pairs: dict[tuple[Chunk, int], Index] = {}
    for (child, number), part in inner.items():
        far = np.searchsorted(waiting, part.far)
        near = part.near.astype(np.int64)
        pairs[child, number] = near * count + far if number % 2 else far * count + near
    empty = np.zeros(0, dtype=np.int64)
    there, here = (
        np.unique(np.concatenate([empty, *(found for (_, number), found in pairs.items() if number % 2 == side)]))
        for side in range(2)
    )
    if not np.array_equal(here, there):
        for (child, number), found in pairs.items():
            alone = np.setdiff1d(found, there if number % 2 else here)
            if len(alone):
                low, high = waiting[alone[0] // count], waiting[alone[0] % count]
                ends = (low, high) if number % 2 else (high, low)
                raise _one_sided(child, neighbour(child, number), *ends)
    return np.stack([here // count, here % count], axis=1)


def _one_sided(knows: Chunk, lacks: Chunk, near: np.uint64, far: np.uint64) -> DataError:
    return DataError(
        f"edge files {'of' if knows.layer == 2 else 'below'} {knows} and {lacks}",
        knows,
        f"an active edge from node {near} leads to {far}, but {lacks} has no such edge; both files must have it",
    )
