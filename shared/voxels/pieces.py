"""The supervoxels of one chunk: every voxel gets the number of its piece, from 1, in an order that only content
decides.

Of a volume of supervoxels a piece is what the chunk holds of one of them, numbered by their ids. Of a volume of
objects it is a connected part of one in one block, numbered block by block and within a block by first voxels.
Invariants: numbers are 1..n without gaps, 0 is background; the same voxels give the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.plan.ids import Ids

Labels = npt.NDArray[Any]
"""Unsigned labels of voxels, (x, y, z)."""

Numbers = npt.NDArray[np.uint32]
"""The number of each voxel's piece, (x, y, z), 0 for background."""


SIZED_AT_ONCE = 1 << 22
"""Voxels that are counted in one go."""


@dataclass(frozen=True)
class Pieces:
    """The pieces of a chunk: `numbers` (x, y, z) of its voxels; `original` (n,) and `voxels` (n,) have the label
    and the size of piece 1, 2, …"""

    numbers: Numbers
    original: Ids
    voxels: npt.NDArray[np.int64]


def whole_pieces(labels: Labels, background: int = 0) -> Pieces:
    """What a chunk holds of each supervoxel, by their ids in rising order; 0 is background, and `background`,
    too."""
    import fastremap

    # In the order of memory, as a copy in another order takes longer than all else. Numbers by first voxels come
    # from one pass without a sort; they are few enough to be sorted by their labels then.
    found, firsts = fastremap.renumber(labels.ravel(order="F"), preserve_zero=True, in_place=False)
    listed = np.fromiter(firsts.keys(), np.uint64, len(firsts))
    places = np.fromiter(firsts.values(), np.int64, len(firsts))
    order = np.argsort(listed)
    order = order[(listed[order] != 0) & (listed[order] != background)]
    rank = np.zeros(len(firsts) + 1, np.uint32)
    rank[places[order]] = np.arange(1, len(order) + 1, dtype=np.uint32)
    voxels = _sizes(found, len(rank))[places[order]]
    numbers: Numbers = rank[found].reshape(labels.shape, order="F")
    return Pieces(numbers, listed[order], voxels)


def connected_pieces(
    labels: Labels, split: tuple[int, int, int] | None, connectivity: int, background: int = 0
) -> Pieces:
    """The connected parts of each object in blocks of `split` voxels from the chunk's lower corner; background as
    above."""
    import cc3d

    labelled: Any = cc3d.connected_components
    numbers: Numbers = np.zeros(labels.shape, np.uint32, order="F")
    count = 0
    for box in _blocks(labels.shape, split or labels.shape):
        block = np.asfortranarray(labels[box])
        if background:
            block = np.where(block == background, 0, block)
        if block.dtype == np.uint64:
            # cc3d takes 2^63 and above for other numbers in a block with a single row of voxels; it only compares.
            block = block.view(np.int64)
        found, more = labelled(block, connectivity=connectivity, return_N=True, out_dtype=np.uint32)
        numbers[box] = np.where(found, found + np.uint32(count), 0)
        count += int(more)
    original = np.zeros(count + 1, np.uint64)
    original[numbers.ravel(order="F")] = labels.ravel(order="F")
    voxels = _sizes(numbers.ravel(order="F"), count + 1)
    return Pieces(numbers, original[1:], voxels[1:])


def _sizes(flat: npt.NDArray[Any], count: int) -> npt.NDArray[np.int64]:
    """How often each number below `count` occurs; some at a time, as each is made eight bytes to be counted."""
    found = np.zeros(count, np.int64)
    for start in range(0, len(flat), SIZED_AT_ONCE):
        found += np.bincount(flat[start : start + SIZED_AT_ONCE], minlength=count)
    return found


def _blocks(shape: tuple[int, ...], split: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    sides = [
        [slice(at, min(at + side, length)) for at in range(0, length, side)]
        for length, side in zip(shape, split, strict=True)
    ]
    return itertools.product(*sides)
