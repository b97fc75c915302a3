"""The chunk grid of every layer, and who waits for whom: plain arithmetic on coordinates.

Invariants: nothing here keeps a list of chunks, so a grid of 10^7 chunks costs as little as one
of 10. Coordinates count chunks of their own layer from the volume's lower corner.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

FANOUT = 2
FACES = range(6)
"""Faces of a chunk: 2 * axis for the lower side, 2 * axis + 1 for the upper side."""


class Chunk(NamedTuple):
    """The key of a chunk: its layer and its coordinates in that layer's grid. Layer 2 is the lowest of the graph;
    layer 1 are the cuts of a segmentation, layer 0 the parts of its tables."""

    layer: int
    x: int
    y: int
    z: int

    @property
    def coords(self) -> tuple[int, int, int]:
        return (self.x, self.y, self.z)

    def __str__(self) -> str:
        return f"{self.layer}/{self.x}_{self.y}_{self.z}"


def opposite(face: int) -> int:
    """The face by which the neighbour through `face` touches back."""
    return face ^ 1


def neighbour(chunk: Chunk, face: int) -> Chunk:
    """The chunk of the same layer behind `face`; it may lie outside the grid."""
    coords = list(chunk.coords)
    coords[face // 2] += 1 if face % 2 else -1
    return Chunk(chunk.layer, *coords)


def parent(chunk: Chunk) -> Chunk:
    """The chunk of the next layer that contains `chunk`; of a cut, the chunk that it is of."""
    if chunk.layer == 1:
        return chunk._replace(layer=2)
    return Chunk(chunk.layer + 1, chunk.x // FANOUT, chunk.y // FANOUT, chunk.z // FANOUT)


def cross_layer(chunk: Chunk, face: int) -> int:
    """The cross layer of every edge through `face` of `chunk`.

    It is the highest layer at which both sides lie in different chunks: one more than the
    chunk's own for each time that halving the coordinates keeps the plane between them. An upper
    face of the volume itself gets a value that means nothing, a lower one a ValueError.
    """
    lower = chunk.coords[face // 2] - (0 if face % 2 else 1)
    if lower < 0:
        raise ValueError(f"no edge goes through face {face} of chunk {chunk}: the volume ends there")
    layer = chunk.layer
    while lower & 1:
        lower >>= 1
        layer += 1
    return layer


@dataclass(frozen=True)
class Grid:
    """All layers over a layer-2 grid of `shape` chunks (x, y, z), each at least 1.

    `lowest` is 2, or 1 where chunks are cut out of a segmentation first: layer 1 has the grid of layer 2, and each
    chunk of layer 2 has one child there, its own cut.
    """

    shape: tuple[int, int, int]
    lowest: int = 2

    @cached_property
    def layer_count(self) -> int:
        """The root layer: ceil(log2(longest axis)) + 2."""
        return (max(self.shape) - 1).bit_length() + 2

    @property
    def layers(self) -> range:
        """All layers that are built, from the lowest to the root layer."""
        return range(self.lowest, self.layer_count + 1)

    @property
    def root(self) -> Chunk:
        """The one chunk of the root layer."""
        return Chunk(self.layer_count, 0, 0, 0)

    def layer_shape(self, layer: int) -> tuple[int, int, int]:
        """Chunks an axis at `layer` (`lowest` or more)."""
        return self._shapes[min(layer, self.layer_count)]

    @cached_property
    def _shapes(self) -> dict[int, tuple[int, int, int]]:
        x, y, z = self.shape
        halved = {layer: max(0, layer - 2) for layer in self.layers}
        return {layer: (-(-x >> by), -(-y >> by), -(-z >> by)) for layer, by in halved.items()}

    def chunk_total(self, layer: int) -> int:
        """Number of chunks of `layer`."""
        x, y, z = self.layer_shape(layer)
        return x * y * z

    def chunk_at(self, layer: int, index: int) -> Chunk:
        """The chunk number `index` of a layer, z running fastest; the inverse of `index_of`."""
        _, y, z = self.layer_shape(layer)
        return Chunk(layer, index // (y * z), index // z % y, index % z)

    def index_of(self, chunk: Chunk) -> int:
        """The chunk's number within its layer, from 0, z running fastest."""
        _, y, z = self.layer_shape(chunk.layer)
        return (chunk.x * y + chunk.y) * z + chunk.z

    def chunks(self, layer: int) -> Iterator[Chunk]:
        """Every chunk of a layer in the order of `index_of`."""
        for coords in itertools.product(*map(range, self.layer_shape(layer))):
            yield Chunk(layer, *coords)

    def __contains__(self, chunk: object) -> bool:
        if not isinstance(chunk, Chunk) or chunk.layer not in self.layers:
            return False
        shape = self.layer_shape(chunk.layer)
        return all(0 <= at < length for at, length in zip(chunk.coords, shape, strict=True))

    def children(self, chunk: Chunk) -> list[Chunk]:
        """The up to 8 chunks of the layer below inside `chunk`, or the one cut of layer 1; none for the lowest
        layer."""
        layer = chunk.layer - 1
        if layer not in self.layers:
            return []
        if layer == 1:
            return [chunk._replace(layer=1)]
        x, y, z = (
            range(max(0, FANOUT * at), min(FANOUT * (at + 1), length))
            for at, length in zip(chunk.coords, self.layer_shape(layer), strict=True)
        )
        return [Chunk(layer, i, j, k) for i in x for j in y for k in z]

    def neighbours(self, chunk: Chunk) -> dict[int, Chunk]:
        """The chunks of the same layer behind each face that is not a face of the volume."""
        layer, x, y, z = chunk
        if layer not in self.layers:
            return {}
        i, j, k = self.layer_shape(layer)
        # In the order of FACES. Written out, as a chunk's completion asks for a hundred of them.
        sides = ((x - 1, y, z), (x + 1, y, z), (x, y - 1, z), (x, y + 1, z), (x, y, z - 1), (x, y, z + 1))
        return {
            face: Chunk(layer, *at)
            for face, at in enumerate(sides)
            if 0 <= at[0] < i and 0 <= at[1] < j and 0 <= at[2] < k
        }

    def dependencies(self, chunk: Chunk) -> list[Chunk]:
        """What must be complete before `chunk` can be built, in a fixed order.

        First its children, then the outside chunks that touch a child by a face: those hold the
        maps that lift the far ends of the edges that leave `chunk`. Of layer 2: its cut, and those of its
        face neighbours, with what touches it.
        """
        children = self.children(chunk)
        outside = {other for child in children for other in self.neighbours(child).values()}
        return children + sorted(outside.difference(children))

    def dependents(self, chunk: Chunk) -> list[Chunk]:
        """Every chunk that has `chunk` among its dependencies: its parent first, up to 3 more, or 6 of a cut."""
        if chunk.layer >= self.layer_count:
            return []
        own = parent(chunk)
        others = {parent(other) for other in self.neighbours(chunk).values()} - {own}
        return [own, *sorted(others)]
