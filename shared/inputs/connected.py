"""Connected components: what an agglomeration joined, and what the edges of a chunk do.

scipy finds them, straight from arrays. `verify` uses graph-tool for the same question, so that the two can
contradict each other.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int64]


def connected_labels(count: int, pairs: npt.NDArray[Any]) -> Labels:
    """The component of each of `count` vertices under the edges `pairs` (n, 2), any whole numbers.

    Components are numbered from 0 by their smallest vertex, so the result depends on the
    partition alone, not on the order of the edges.
    """
    if not len(pairs):
        return np.arange(count, dtype=np.int64)
    # Imported here: it takes longer than all other imports of a build, and tools that build
    # nothing should not wait for it.
    from scipy.sparse import coo_matrix, csr_matrix
    from scipy.sparse.csgraph import connected_components

    # Columns of their own, of 32 bits: of part of another array scipy makes nothing, and only prints that; longer
    # numbers it copies into such ones.
    kind: type[np.signedinteger[Any]] = np.int32 if count < 1 << 31 else np.int64
    one, other = (np.ascontiguousarray(side, kind) for side in (pairs[:, 0], pairs[:, 1]))
    there = np.ones(len(pairs), dtype=bool)
    if (one[1:] >= one[:-1]).all():
        # Edges in order are rows as scipy wants them, which takes half of the time.
        starts = np.zeros(count + 1, kind)
        np.cumsum(np.bincount(one, minlength=count), out=starts[1:])
        graph = csr_matrix((there, other, starts), (count, count))
    else:
        graph = coo_matrix((there, (one, other)), (count, count))
    _, labels = connected_components(graph, directed=False)
    return by_smallest(labels.astype(np.int64))


def by_smallest(labels: Labels) -> Labels:
    """The same groups, numbered from 0 by the first position of each."""
    highest = np.maximum.accumulate(labels)
    if labels[0] == 0 and (np.diff(highest) <= 1).all():
        return labels  # each new one is the next: scipy numbers them so, without a promise
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
