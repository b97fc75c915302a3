"""A part of a layer that a person can see: a window of a slice through its grid, along any of three axes.

Invariants: pure; a view has at most MOST_CHUNKS chunks, and learning of their states reads at most MOST_RECORDS
records of those that wait for them, however many chunks the layer has. Windows begin at even coordinates, so that
the chunks of one record are seen together.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.plan.grid import Chunk
from shared.plan.plan import Plan

MOST_CHUNKS = 4_096
MOST_RECORDS = 1_024
AXES = "xyz"

Triple = tuple[int, int, int]
Box = tuple[Triple, Triple]
"""The lowest corner of some chunks, and the one beyond the highest."""


@dataclass(frozen=True)
class Slice:
    """A window of `width` x `height` chunks from (`u`, `v`) on, in the slice number `at` across `axis` (0: x). The
    axes of the window are the two others, in their order."""

    layer: int
    axis: int
    at: int
    u: int
    v: int
    width: int
    height: int

    @property
    def across(self) -> tuple[int, int]:
        """The axes of the window."""
        first, second = (axis for axis in range(3) if axis != self.axis)
        return first, second

    def chunk(self, u: int, v: int) -> Chunk:
        """The chunk at a place of the window's plane."""
        coords = [0, 0, 0]
        first, second = self.across
        coords[self.axis], coords[first], coords[second] = self.at, u, v
        return Chunk(self.layer, *coords)

    def chunks(self) -> list[Chunk]:
        """All chunks of the window, row by row (v), in each from the lowest u on."""
        rows, columns = range(self.v, self.v + self.height), range(self.u, self.u + self.width)
        return [self.chunk(u, v) for v in rows for u in columns]


def box(plan: Plan, layer: int) -> Box:
    """The part of a layer's grid that the run builds."""
    if layer == 0:
        return (0, 0, 0), (plan.tables, 1, 1)
    if plan.total(layer) == plan.grid.chunk_total(layer):
        return (0, 0, 0), plan.grid.layer_shape(layer)
    built = [plan.chunk_at(layer, number).coords for number in range(plan.total(layer))]
    low = tuple(min(chunk[axis] for chunk in built) for axis in range(3))
    high = tuple(max(chunk[axis] for chunk in built) + 1 for axis in range(3))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def sliced(
    plan: Plan, layer: int, axis: int, at: int | None = None, u: int | None = None, v: int | None = None
) -> Slice:
    """The view of a layer nearest to what is asked for: numbers that lie outside are brought inside, and what is
    not given is the middle of the slices, and the low corner of the window. ValueError for a layer or an axis that
    is not there."""
    if layer not in plan.layers or axis not in range(3):
        raise ValueError(
            f"there is no layer {layer} or no axis {axis}: layers are {plan.layers[0]} to {plan.top.layer}"
        )
    low, high = box(plan, layer)
    first, second = (one for one in range(3) if one != axis)
    width, height = _window(layer, high[first] - low[first], high[second] - low[second])
    middle = (low[axis] + high[axis]) // 2
    left = _start(u, low[first], high[first], width)
    top = _start(v, low[second], high[second], height)
    return Slice(
        layer,
        axis,
        min(max(middle if at is None else at, low[axis]), high[axis] - 1),
        left,
        top,
        min(width, high[first] - left),
        min(height, high[second] - top),
    )


def whole(plan: Plan, layer: int, axis: int) -> bool:
    """Whether a slice of the layer is seen as a whole."""
    low, high = box(plan, layer)
    first, second = (one for one in range(3) if one != axis)
    found = sliced(plan, layer, axis)
    return (found.width, found.height) == (high[first] - low[first], high[second] - low[second])


def first_layer(plan: Plan, axis: int = 2) -> int:
    """The layer that is shown first: the lowest of the graph whose slices are seen as wholes."""
    return next((layer for layer in plan.layers if layer >= 2 and whole(plan, layer, axis)), plan.top.layer)


def _window(layer: int, width: int, height: int) -> tuple[int, int]:
    """As much of a slice as a view may have, as square as it can be."""
    # Each cut has a record of its own, that of the chunk it is of; above, one record tells of four in a slice.
    most = MOST_RECORDS if layer == 1 else MOST_CHUNKS
    side = int(most**0.5)
    shown = min(height, side)
    across = min(width, most // _even(shown) // 2 * 2)
    return across, min(height, most // _even(across) // 2 * 2)


def _start(wanted: int | None, low: int, high: int, length: int) -> int:
    if high - low <= length:
        return low
    return min(max(low if wanted is None else wanted, low) // 2 * 2, _even(high - length))


def _even(number: int) -> int:
    """The number, or the even one after it."""
    return number + number % 2
