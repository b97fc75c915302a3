"""Painting the balls of all objects into the voxels of one chunk at a time.

Invariants: a chunk's voxels depend on its own balls only, so memory does not grow with the volume.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from jobs.example.objects import Balls
from jobs.example.params import ExampleParams
from shared.plan.grid import Chunk


class Painting:
    """The objects of a dataset, sorted by the chunks that they reach."""

    def __init__(self, params: ExampleParams, balls: Balls) -> None:
        self._params = params
        self._balls = balls
        size, last = np.array(params.chunk_size), np.array(params.grid) - 1
        reach = balls.radii[:, None]
        low = np.clip((balls.centres - reach) // size, 0, last).astype(np.int64)
        high = np.clip((balls.centres + reach) // size, 0, last).astype(np.int64)
        span = (high - low).max(axis=0, initial=0) + 1
        chunks, numbers = [], []
        for shift in itertools.product(*map(range, span.tolist())):
            reached = np.flatnonzero((low + shift <= high).all(axis=1))
            at = low[reached] + shift
            chunks.append((at[:, 0] * params.grid[1] + at[:, 1]) * params.grid[2] + at[:, 2])
            numbers.append(reached)
        chunk, number = np.concatenate(chunks), np.concatenate(numbers)
        order = np.lexsort((number, chunk))
        self._order = number[order]
        self._starts = np.searchsorted(chunk[order], np.arange(params.chunks.chunk_total(2) + 1))

    def paint(self, chunk: Chunk) -> npt.NDArray[np.int32]:
        """The object of each voxel of a layer-2 chunk, (x, y, z) int32; 0 is background."""
        low, high = self._params.box(chunk)
        shape = (high - low).tolist()
        canvas = np.zeros(shape, dtype=np.int32)
        index = self._params.chunks.index_of(chunk)
        chosen = self._order[self._starts[index] : self._starts[index + 1]]
        centres = self._balls.centres[chosen] - low
        radii = self._balls.radii[chosen]
        first = np.maximum(np.ceil(centres - radii[:, None]), 0).astype(np.int64).tolist()
        end = np.minimum(np.floor(centres + radii[:, None]) + 1, shape).astype(np.int64).tolist()
        squares = [(np.arange(shape[axis]) - centres[:, axis, None]) ** 2 for axis in range(3)]
        limits, objects = (radii**2).tolist(), self._balls.objects[chosen].tolist()
        for i, ((x, y, z), (x1, y1, z1)) in enumerate(zip(first, end, strict=True)):
            flat = squares[1][i, y:y1, None] + squares[2][i, None, z:z1]
            inside = squares[0][i, x:x1, None, None] + flat <= limits[i]
            canvas[x:x1, y:y1, z:z1][inside] = objects[i]
        return canvas
