"""The objects of an example: branching neurites, fragments that lean on them, and lone specks.

Invariants: an object is a list of balls. Where balls of two objects overlap the later one wins, and
may so cut the earlier one in two. No ball reaches into the empty corner.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from jobs.example.params import ExampleParams

Points = npt.NDArray[np.float64]
Radii = npt.NDArray[np.float64]

FILL = 0.8
"""Sum of the neurites' volumes, overlaps counted twice, by that of the dataset without its empty corner."""
RADII = (3.5, 7.0)
"""Voxels, of the trunks; branches are thinner."""
DEEPEST = 3
"""Generations of branches."""
BEND = 25.0
"""Voxels along a branch over which its direction is remembered."""


@dataclass(frozen=True)
class Balls:
    """Balls in painting order: `centres` (n, 3) float64 and `radii` (n,) float64 in voxels, and the
    number of the `objects` (n,) int32 that they belong to, from 1."""

    centres: Points
    radii: Radii
    objects: npt.NDArray[np.int32]

    def __add__(self, later: Balls) -> Balls:
        shift = np.int32(self.objects.max(initial=0))
        return Balls(
            np.concatenate([self.centres, later.centres]),
            np.concatenate([self.radii, later.radii]),
            np.concatenate([self.objects, later.objects + shift]),
        )


def make_objects(params: ExampleParams) -> Balls:
    """All objects of a dataset, in painting order."""
    neurites = _neurites(params)
    solid = neurites + _fragments(params, neurites)
    return solid + _specks(params, solid)


def _outside(params: ExampleParams, centres: Points, radii: Radii) -> npt.NDArray[np.bool_]:
    """Which balls (n,) stay clear of the empty corner."""
    box, reach = params.empty_box(), radii[:, None]
    if box is None:
        return np.ones(len(radii), dtype=bool)
    inside: npt.NDArray[np.bool_] = ((centres + reach >= box[0]) & (centres - reach <= box[1])).all(axis=1)
    return ~inside


def _neurites(params: ExampleParams) -> Balls:
    """Neurites until they fill their share; every third one stays in an octant of the volume."""
    rng, extent, box = params.rng("neurites"), np.array(params.extent, dtype=np.float64), params.empty_box()
    budget = FILL * float(extent.prod() - (0 if box is None else (box[1] - box[0]).prod()))
    found: list[tuple[Points, Radii]] = []
    while budget > 0:
        half = rng.integers(0, 2, 3) * extent / 2 if len(found) % 3 == 2 else None
        low, high = (np.zeros(3), extent) if half is None else (half, half + extent / 2)
        branches = _branches(rng, low, high, rng.uniform(low, high), rng.uniform(*RADII), DEEPEST)
        centres, radii, steps = (np.concatenate(parts) for parts in zip(*branches, strict=True))
        kept = _outside(params, centres, radii)
        found.append((centres[kept], radii[kept]))
        budget -= float(np.sum(np.pi * radii[kept] ** 2 * steps[kept]))
    return _number(found)


def _branches(
    rng: np.random.Generator, low: Points, high: Points, start: Points, radius: float, depth: int
) -> Iterator[tuple[Points, Radii, Radii]]:
    """A branch from `start` and those that leave it: centres (n, 3), radii (n,) and steps between balls (n,).

    A branch keeps a direction and wavers about it; at the faces of the box low..high it turns back.
    """
    step = max(1.0, 0.6 * radius)
    length = rng.uniform(0.4, 1.2) * float((high - low).max()) * 0.6 ** (DEEPEST - depth)
    count = 2 + int(length / step)
    waver = gaussian_filter1d(rng.normal(size=(count, 4)), BEND / step, axis=0) * np.sqrt(4 * BEND / step)
    heading = rng.normal(size=3)
    course = heading / np.linalg.norm(heading) + waver[:, :3]
    course *= step / np.linalg.norm(course, axis=1, keepdims=True)
    path = _fold(start + np.cumsum(course, axis=0), low, high)
    yield path, np.maximum(radius * (1 + 0.25 * waver[:, 3]), 1.5), np.full(count, step)
    for at in rng.integers(0, count, rng.poisson(length / 70) if depth else 0):
        yield from _branches(rng, low, high, path[at], radius * rng.uniform(0.6, 0.85), depth - 1)


def _fold(points: Points, low: Points, high: Points) -> Points:
    """Points brought into the box low..high by mirroring them at its faces."""
    size = high - low
    folded: Points = low + size - np.abs((points - low) % (2 * size) - size)
    return folded


def _fragments(params: ExampleParams, neurites: Balls) -> Balls:
    """Small balls on the surface of neurites, each moved so that it lies inside one chunk."""
    rng, size = params.rng("fragments"), np.array(params.chunk_size)
    chosen = rng.integers(0, len(neurites.radii), 2 * params.chunks.chunk_total(2))
    away = rng.normal(size=(len(chosen), 3))
    away *= (neurites.radii[chosen] / np.linalg.norm(away, axis=1))[:, None]
    radii = rng.uniform(1.5, 3.0, len(chosen))
    centres = neurites.centres[chosen]
    low = centres // size * size
    high = np.minimum(low + size, params.extent)
    reach = radii[:, None] + 1
    fits = (high - low > 2 * reach).all(axis=1)
    centres = np.clip(centres + away, low + reach, np.maximum(high - reach, low + reach))
    fits &= _outside(params, centres, radii)
    return _number([(centres[at, None], radii[at, None]) for at in np.flatnonzero(fits)])


def _specks(params: ExampleParams, others: Balls) -> Balls:
    """Tiny balls in the background that touch none of the `others`; most are a single supervoxel."""
    rng = params.rng("specks")
    count = 8 * params.chunks.chunk_total(2)
    centres = rng.uniform((0, 0, 0), params.extent, (count, 3))
    radii = rng.uniform(1.4, 2.0, count)
    outside = _outside(params, centres, radii)
    tree = cKDTree(others.centres)
    near = tree.query_ball_point(centres, radii + others.radii.max() + 2)
    free = [
        at
        for at, found in enumerate(near)
        if outside[at]
        and (
            np.linalg.norm(others.centres[found] - centres[at], axis=1) > others.radii[found] + radii[at] + 2
        ).all()
    ]
    return _number([(centres[at, None], radii[at, None]) for at in free])


def _number(objects: list[tuple[Points, Radii]]) -> Balls:
    """Objects in painting order, numbered from 1."""
    if not objects:
        return Balls(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.int32))
    centres, radii = (np.concatenate(parts) for parts in zip(*objects, strict=True))
    sizes = [len(radii) for _, radii in objects]
    return Balls(centres, radii, np.repeat(np.arange(1, len(sizes) + 1, dtype=np.int32), sizes))
