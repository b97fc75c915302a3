"""How much face a plan's chunks have: of chunks that touch, what waits for a parent follows their boundary.

Invariants: sums are products of numbers an axis.
"""

from __future__ import annotations

from math import prod

from shared.estimate.report import PlanReport


def faces(report: PlanReport, layer: int) -> float:
    """Voxels of all faces between chunks of `layer`, each counted on both sides."""
    volume = prod(report.voxels)
    grid = report.at(layer).grid
    return sum(2 * (chunks - 1) * volume / length for chunks, length in zip(grid, report.voxels, strict=True))


def most_faces(report: PlanReport, layer: int) -> float:
    """Voxels of the faces of the children of the parent of `layer` that has the most of them."""
    below = report.at(layer - 1)
    lengths = extent(report, layer)
    # Two children along an axis have four sides, but none where the volume ends.
    sides = [0 if chunks < 2 else 2 if chunks == 2 else 3 if chunks < 5 else 4 for chunks in below.grid]
    return sum(count * prod(lengths) / length for count, length in zip(sides, lengths, strict=True))


def extent(report: PlanReport, layer: int) -> list[int]:
    """Voxels along each axis of the largest chunk of a layer."""
    return [min(size, chunk << layer - 2) for size, chunk in zip(report.voxels, report.chunk_size, strict=True)]


def most_planes(report: PlanReport) -> float:
    """Voxels of six faces of a layer-2 chunk."""
    lengths = extent(report, 2)
    return sum(2 * prod(lengths) / length for length in lengths)
