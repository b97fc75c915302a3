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

    # In the order of memory: of an array of more than one axis it is not the same for all types.
    flat = labels.ravel(order="F")
    original, inverse, voxels = fastremap.unique(flat, return_inverse=True, return_counts=True)
    kept = np.flatnonzero((original != 0) & (original != background))
    rank = np.zeros(len(original), np.uint32)
    rank[kept] = np.arange(1, len(kept) + 1, dtype=np.uint32)
    numbers: Numbers = rank[inverse].reshape(labels.shape, order="F")
    return Pieces(numbers, original[kept].astype(np.uint64), voxels[kept].astype(np.int64))


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
        found, more = labelled(block, connectivity=connectivity, return_N=True, out_dtype=np.uint32)
        numbers[box] = np.where(found, found + np.uint32(count), 0)
        count += int(more)
    original = np.zeros(count + 1, np.uint64)
    original[numbers.ravel(order="F")] = labels.ravel(order="F")
    voxels = np.bincount(numbers.ravel(order="F"), minlength=count + 1)
    return Pieces(numbers, original[1:], voxels[1:])


def _blocks(shape: tuple[int, ...], split: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    sides = [
        [slice(at, min(at + side, length)) for at in range(0, length, side)]
        for length, side in zip(shape, split, strict=True)
    ]
    return itertools.product(*sides)
