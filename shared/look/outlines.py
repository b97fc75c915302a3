"""The chunks of all layers as boxes in a viewer, handed out by the part that is in view.

An octree of chunks is what a spatial index of annotations is: the level of layer l holds the boxes of its chunks,
in cells of `CELL` chunks an axis, and a viewer loads the cells that it sees, coarse layers first, and fine ones
where they are large enough. So 10^7 chunks are no list anywhere. Source of the format: precomputed annotations in
Neuroglancer's documentation (`neuroglancer_annotations_v1`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from shared.look.space import Space
from shared.plan.grid import Chunk
from shared.plan.ids import IdLayout

CELL = 4
"""Chunks of a layer along each axis of a cell: 64 boxes are an object."""

SPACING = 30
"""Pixels between boxes that a viewer aims at: where they are smaller, the layer above is enough."""

PROPERTIES = ("layer", "x", "y", "z")
"""What a box says of its chunk, each an uint32."""

_RECORD = np.dtype([("low", "<f4", 3), ("high", "<f4", 3), *((name, "<u4") for name in PROPERTIES)])


def outlines_info(space: Space) -> dict[str, Any]:
    """The `info` of the boxes of all chunks, from the root layer to layer 2."""
    dimensions = {name: [nm * 1e-9, "m"] for name, nm in zip("xyz", space.resolution, strict=True)}
    return {
        "@type": "neuroglancer_annotations_v1",
        "dimensions": dimensions,
        "lower_bound": list(space.low),
        "upper_bound": list(space.high),
        "annotation_type": "axis_aligned_bounding_box",
        "properties": [{"id": name, "type": "uint32"} for name in PROPERTIES],
        "relationships": [],
        "by_id": {"key": "by_id"},
        "spatial": [
            {
                "key": f"l{layer}",
                "grid_shape": [-(-count // CELL) for count in space.grid.layer_shape(layer)],
                "chunk_size": [CELL * side for side in space.side(layer)],
                # Fewer than there are: a viewer draws a part of a level that it takes for too dense.
                "limit": 1,
            }
            for layer in range(space.grid.layer_count, 1, -1)
        ],
    }


def cell_chunks(space: Space, layer: int, cell: tuple[int, int, int]) -> Iterator[Chunk]:
    """The chunks of a layer in a cell of its level; none outside of the grid."""
    if layer not in range(2, space.grid.layer_count + 1):
        return
    ends = [
        range(CELL * at, min(CELL * (at + 1), count))
        for at, count in zip(cell, space.grid.layer_shape(layer), strict=True)
    ]
    yield from (Chunk(layer, *coords) for coords in product(*ends))


def encode_cell(space: Space, ids: IdLayout, chunks: list[Chunk]) -> bytes:
    """The boxes of chunks, each under its chunk's id."""
    names = np.array([ids.chunk_id(chunk) for chunk in chunks], "<u8")
    return np.array([len(chunks)], "<u8").tobytes() + _records(space, chunks) + names.tobytes()


def encode_box(space: Space, chunk: Chunk) -> bytes:
    """The box of one chunk, asked for by its id."""
    return _records(space, [chunk])


def _records(space: Space, chunks: list[Chunk]) -> bytes:
    rows = [(*space.box(chunk), *chunk) for chunk in chunks]
    return np.array(rows, _RECORD).tobytes()
