"""Objects out of scored edges: the connected components of all edges whose score means "together".

The tables are read twice, in batches: first for the supervoxels that are joined, which are kept in order, 8
bytes each; then for the edges, of which only a forest is kept: of each supervoxel the number of a smaller one of
its component, 4 bytes. A batch joins the trees that its edges run between, all at once.

Invariants: an object is the smallest supervoxel of its component, so neither the order of rows nor how files are
cut into parts changes it. A supervoxel that is joined to none is not listed. Some 19 bytes of memory are taken
for each that is, and some 600 MB besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.inputs.connected import connected_labels
from shared.plan.ids import NO_IDS, Ids
from shared.tables.parts import Part
from shared.tables.ports import OpenRanges
from shared.tables.rows import Column, Table
from shared.tables.run_file import Encoded, encode, numbered
from shared.tables.sorting import RUN_ROWS

BATCH_EDGES = 1 << 22
"""Edges that are joined at once."""

Numbers = npt.NDArray[Any]
"""Numbers of supervoxels among those that are joined: int32, or int64 where there are too many."""


def join_parts(
    parts: Sequence[Part], threshold: float, above: bool, open_ranges: OpenRanges, chunk: object
) -> Iterator[tuple[int, bytes]]:
    """The files of the mapping (supervoxel, object) that all edges of some parts of scores come to, number 0, the
    job's hand-off, last. DataError for what is no row."""
    return numbered(_runs(parts, threshold, above, open_ranges, chunk))


def _runs(
    parts: Sequence[Part], threshold: float, above: bool, open_ranges: OpenRanges, chunk: object
) -> Iterator[Encoded]:
    def batches() -> Iterator[tuple[Ids, Ids]]:
        return _batches(_joined_pairs(parts, threshold, above, open_ranges, chunk))

    ids = joined_supervoxels(batches())
    parents = _forest(ids, batches())
    for start in range(0, max(1, len(ids)), RUN_ROWS):
        stretch = slice(start, start + RUN_ROWS)
        yield encode(Table.MAPPING, (ids[stretch],), ids[_roots(parents, parents[stretch])])


def is_together(scores: Column, threshold: float, above: bool) -> npt.NDArray[np.bool_]:
    """Which scores mean "together": those from the threshold up (`above`), or those below it.

    The threshold is taken in the scores' own precision, so that 0.7 in a table of float32 is not below 0.7.
    """
    bound = scores.dtype.type(threshold)
    found: npt.NDArray[np.bool_] = scores >= bound if above else scores < bound
    return found


def _joined_pairs(
    parts: Sequence[Part], threshold: float, above: bool, open_ranges: OpenRanges, chunk: object
) -> Iterator[tuple[Ids, Ids]]:
    """The ends of all edges that join two supervoxels; 0 is none, and one is joined to itself without them."""
    for part in parts:
        for _, rows in part.read_rows(Table.SCORES, open_ranges, chunk):
            one, other = rows.keys
            joins = is_together(rows.values, threshold, above)
            joins &= (one != other) & (one != 0) & (other != 0)
            yield one[joins], other[joins]


def _batches(pairs: Iterator[tuple[Ids, Ids]]) -> Iterator[tuple[Ids, Ids]]:
    """The same pairs, about `BATCH_EDGES` at once."""
    held: list[tuple[Ids, Ids]] = []
    count = 0
    for one, other in pairs:
        held.append((one, other))
        count += len(one)
        if count >= BATCH_EDGES:
            yield np.concatenate([pair[0] for pair in held]), np.concatenate([pair[1] for pair in held])
            held.clear()
            count = 0
    if count:
        yield np.concatenate([pair[0] for pair in held]), np.concatenate([pair[1] for pair in held])


def joined_supervoxels(batches: Iterator[tuple[Ids, Ids]]) -> Ids:
    """All ids in some pairs, in order, each once."""
    every, fresh = NO_IDS, NO_IDS
    for one, other in batches:
        found = np.unique(np.concatenate([one, other]))
        found = _without(found, every)
        fresh = _merged(fresh, _without(found, fresh))
        # Merged into all the others now and then, as that takes as long as there are others.
        if len(fresh) > max(BATCH_EDGES, len(every) // 4):
            every, fresh = _merged(every, fresh), NO_IDS
    return _merged(every, fresh)


def _without(ids: Ids, known: Ids) -> Ids:
    """Those of the ids that are not among the known ones; both in order."""
    if not len(known):
        return ids
    at = np.minimum(known.searchsorted(ids), len(known) - 1)
    fresh: Ids = ids[known[at] != ids]
    return fresh


def _merged(one: Ids, other: Ids) -> Ids:
    """Ids of both, none of which is in both, in order."""
    if not len(one) or not len(other):
        return other if not len(one) else one
    found = np.empty(len(one) + len(other), np.uint64)
    at = one.searchsorted(other) + np.arange(len(other))
    from_one = np.ones(len(found), bool)
    from_one[at] = False
    found[at] = other
    del at
    found[from_one] = one
    return found


def _forest(ids: Ids, batches: Iterator[tuple[Ids, Ids]]) -> Numbers:
    """For each id the number of one of its component, none larger than its own; the smallest has its own."""
    dtype = np.int32 if len(ids) < 1 << 31 else np.int64
    parents: Numbers = np.arange(len(ids), dtype=dtype)
    for one, other in batches:
        ends = np.unique(np.concatenate([one, other]))
        numbers = ids.searchsorted(ends).astype(dtype)
        roots = _roots(parents, numbers)
        trees = roots[ends.searchsorted(one)], roots[ends.searchsorted(other)]
        _join(parents, *trees)
        parents[numbers] = _roots(parents, roots)
    return parents


def _roots(parents: Numbers, numbers: Numbers) -> Numbers:
    """Where the parents of some numbers, and theirs, and so on, end."""
    found: Numbers = parents[numbers]
    while True:
        above = parents[found]
        if np.array_equal(above, found):
            return found
        found = above


def _join(parents: Numbers, one: Numbers, other: Numbers) -> None:
    """Makes one tree of all trees, named by their roots, that pairs join; its root is the smallest."""
    apart = one != other
    one, other = one[apart], other[apart]
    if not len(one):
        return
    trees = np.unique(np.concatenate([one, other]))
    pairs = np.stack([trees.searchsorted(one), trees.searchsorted(other)], axis=1)
    labels = connected_labels(len(trees), pairs)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(labels), prepend=-1))
    parents[trees] = trees[first][labels]
