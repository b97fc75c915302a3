"""Connected pieces of a chunk's voxels, which neighbours they have, and the end of the tiny ones.

Invariants: neighbours share a voxel face (6 of them), and all orders are fixed by voxel positions.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Labels = npt.NDArray[np.int32]
"""Rows of a table for each voxel, dtype int32; 0 is background."""

CRUMB = 6
"""Voxels; smaller pieces without a neighbour of their object are not worth a supervoxel."""


def pieces(cells: npt.NDArray[np.int64]) -> tuple[Labels, npt.NDArray[np.int64]]:
    """Labels (x, y, z) from 1 of the connected pieces of equal non-zero numbers in `cells` (x, y, z),
    in the order of their first voxels, and where in the flattened array these are, (n,) int64.

    Runs of equal numbers along z are the nodes of the graph whose components are wanted.
    """
    starts = np.ones(cells.shape, dtype=bool)
    starts[:, :, 1:] = cells[:, :, 1:] != cells[:, :, :-1]
    runs = (np.cumsum(starts.ravel(), dtype=np.int32) - 1).reshape(cells.shape)
    count = int(runs[-1, -1, -1]) + 1
    pairs = []
    for low, high in ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:])):
        same = (cells[low] == cells[high]) & (cells[low] > 0)
        same[:, :, 1:] &= starts[low][:, :, 1:] | starts[high][:, :, 1:]
        pairs.append((runs[low][same], runs[high][same]))
    rows, columns = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    graph = coo_matrix((np.ones(len(rows), np.int8), (rows, columns)), shape=(count, count))
    components = connected_components(graph, directed=False)[1]
    heads = np.flatnonzero(starts)
    solid = np.flatnonzero(cells.ravel()[heads] > 0)
    _, first, inverse = np.unique(components[solid], return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int32)
    rank[np.argsort(first)] = np.arange(1, len(first) + 1, dtype=np.int32)
    table = np.zeros(count, dtype=np.int32)
    table[solid] = rank[inverse]
    return table[runs], heads[solid[np.sort(first)]]


def touching(labels: Labels) -> tuple[Labels, Labels]:
    """The two different non-zero labels at every voxel face inside the chunk, the smaller one first."""
    found = []
    for axis in range(3):
        line = np.moveaxis(labels, axis, 0)
        a, b = line[:-1], line[1:]
        touch = (a != b) & (a > 0) & (b > 0)
        found.append((a[touch], b[touch]))
    first, second = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return np.minimum(first, second), np.maximum(first, second)


def absorb_tiny(labels: Labels, objects: npt.NDArray[np.int32], smallest: int) -> Labels:
    """For each label (n + 1,) the one that it becomes: pieces of fewer than `smallest` voxels join
    the largest neighbour of their object, `objects` (n + 1,), if that is larger than they are.

    Crumbs, which objects leave where others were painted over them, become background. Pieces at
    the chunk's faces stay, so that what the grid cut is still cut where it was.
    """
    volumes = np.bincount(labels.ravel(), minlength=len(objects))
    rank = np.empty(len(objects), dtype=np.int64)
    order = np.lexsort((np.arange(len(objects)), volumes))
    rank[order] = np.arange(len(objects))
    tiny = volumes < smallest
    for axis in range(3):
        for side in (0, -1):
            tiny[np.take(labels, side, axis=axis)] = False
    a, b = touching(labels)
    small, large = np.where(rank[a] < rank[b], a, b), np.where(rank[a] < rank[b], b, a)
    kin = objects[small] == objects[large]
    crumbs = tiny & (volumes < CRUMB)
    crumbs[small[kin]] = crumbs[large[kin]] = False
    joins = tiny[small] & kin
    best = np.full(len(objects), -1, dtype=np.int64)
    np.maximum.at(best, small[joins], rank[large[joins]])
    target = np.where(best >= 0, order[best], np.arange(len(objects))).astype(np.int32)
    target[crumbs] = 0
    while (target[target] != target).any():
        target = target[target]
    return target
