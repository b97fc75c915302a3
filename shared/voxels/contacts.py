"""Which pieces touch: by common faces of voxels, with how many along each axis and the mean affinity there.

Invariants: a contact has two different pieces, neither of which is background; each pair occurs once, in rising
order."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.voxels.pieces import Numbers

AXES = range(3)
Affinities = npt.NDArray[np.float32]
Flat = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Contacts:
    """Pairs of pieces (n, 2) uint32; `areas` (n,) uint64 in the format's unit: voxel faces along an axis times its
    resolution, summed, a fraction cut off; `affinities` (n,) float32, the mean over these faces, or None."""

    pairs: npt.NDArray[np.uint32]
    areas: npt.NDArray[np.uint64]
    affinities: Affinities | None = None


@dataclass(frozen=True)
class _Touching:
    """The voxel faces at which two pieces touch: the pieces of both sides, the size of a face in the format's unit,
    and the affinities there."""

    low: Flat
    high: Flat
    size: float
    affinities: npt.NDArray[Any] | None


def contacts_inside(
    numbers: Numbers, resolution: tuple[float, float, float], affinities: npt.NDArray[Any] | None = None
) -> Contacts:
    """The contacts within a chunk, the smaller number first; `affinities` (x, y, z, 3) are of a voxel and the one
    below it along each axis."""
    # Flat, in the order of memory: a neighbour along an axis is so many places further on.
    flat, found = numbers.ravel(order="F"), []
    filled = flat != 0
    for axis in AXES:
        at = _faces(flat, filled, numbers.shape, axis)
        above = at + prod(numbers.shape[:axis])
        weights = None if affinities is None else affinities[..., axis].ravel(order="F")[above]
        ends = flat[at], flat[above]
        found.append(_Touching(np.minimum(*ends), np.maximum(*ends), resolution[axis], weights))
    return _summed(found)


def contacts_across(
    lower: npt.NDArray[np.uint32],
    upper: npt.NDArray[np.uint32],
    size: float,
    affinities: Affinities | None = None,
) -> Contacts:
    """The contacts of two chunks through the planes of voxels by which they touch: pairs of a piece of the lower
    chunk and one of the upper. `size` is the resolution along the axis between them; `affinities` are of the upper
    plane's voxels."""
    # The numbers of two chunks have nothing to do with each other: equal ones touch as well.
    there = ((lower != 0) & (upper != 0)).T
    weights = None if affinities is None else affinities.T[there]
    return _summed([_Touching(lower.T[there], upper.T[there], size, weights)])


def _faces(flat: Flat, filled: npt.NDArray[np.bool_], shape: tuple[int, ...], axis: int) -> npt.NDArray[np.int64]:
    """The places of voxels whose neighbour along an axis is of another piece, both `filled`."""
    step = prod(shape[:axis])
    there = np.zeros(len(flat), dtype=bool)
    found = there[: max(0, len(flat) - step)]
    np.not_equal(flat[: len(found)], flat[step:], out=found)
    found &= filled[: len(found)]
    found &= filled[step:]
    # What is so many places behind the last voxel of a row is no neighbour.
    there.reshape(shape, order="F")[tuple(-1 if at == axis else slice(None) for at in AXES)] = False
    return np.flatnonzero(there)


def _summed(parts: list[_Touching]) -> Contacts:
    """One contact a pair, from all faces. A sparse matrix sums them, five times as fast as sorting does; a row of
    faces of one pair, as most are in, is one entry of it."""
    from scipy.sparse import coo_matrix

    side = 1 + max(int(max(part.low.max(initial=0), part.high.max(initial=0))) for part in parts)

    def matrix(part: _Touching) -> Any:
        first = _firsts(part)
        low, high = part.low[first].astype(np.int32), part.high[first].astype(np.int32)
        found = coo_matrix((_values(part, first), (low, high)), (side, side)).tocsr()
        found.sum_duplicates()
        return found

    along = [matrix(part) for part in parts]
    faces = sum(along[1:], along[0])
    faces.sort_indices()
    rows = np.repeat(np.arange(side), np.diff(faces.indptr))
    pairs = np.stack([rows, faces.indices], axis=1).astype(np.uint32)
    if len(parts) == 1:  # the sums are these already, in this order
        areas = (faces.data.real * parts[0].size).astype(np.uint64)
    else:
        sizes = [found.real * part.size for found, part in zip(along, parts, strict=True)]
        areas = _at(sum(sizes[1:], sizes[0]), pairs).astype(np.uint64)
    if parts[0].affinities is None:
        return Contacts(pairs, areas)
    return Contacts(pairs, areas, (faces.data.imag / faces.data.real).astype(np.float32))


def _values(part: _Touching, first: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """How many faces each row has, and as the imaginary part the sum of their affinities, if they are known: so one
    matrix sums both."""
    counts = np.diff(first, append=len(part.low)).astype(np.float64)
    if part.affinities is None or not len(first):
        return counts
    return counts + 1j * np.add.reduceat(np.asarray(part.affinities, np.float64), first)


def _firsts(part: _Touching) -> npt.NDArray[np.int64]:
    """The places at which a row of faces of one pair begins."""
    begins = np.ones(len(part.low), dtype=bool)
    np.not_equal(part.low[1:], part.low[:-1], out=begins[1:])
    begins[1:] |= part.high[1:] != part.high[:-1]
    return np.flatnonzero(begins)


def _at(matrix: Any, pairs: npt.NDArray[np.uint32]) -> npt.NDArray[np.float64]:
    """The values of a sparse matrix at some places; sums that are 0 it does not keep."""
    values = matrix[pairs[:, 0], pairs[:, 1]] if len(pairs) else np.zeros(0)
    found: npt.NDArray[np.float64] = np.asarray(values, np.float64).ravel()
    return found
