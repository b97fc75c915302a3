"""A volume of supervoxels as one of nodes, made block by block while somebody looks.

    block of supervoxels -> the different ones -> their nodes at a layer -> block of nodes

Why not equivalences of segments in the viewer: they would have to hold each supervoxel in view, for each layer,
before anything is coloured; a relabelled block says all that there is to say of it, exactly, in 64 bits.
Invariants: what is served has the blocks of the volume itself, so a block is read once for it; larger ones are
served in parts. Source of the format: the precomputed format in Neuroglancer's documentation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.look.space import Box
from shared.plan.ids import Ids
from shared.plan.segmentation import Triple
from shared.voxels.scales import Scale
from shared.voxels.volume import ENCODING

MOST_VOXELS = 1 << 21
"""Of a block that is served: 16 MiB of ids."""

BLOCK_NAME = re.compile(r"(-?\d{1,10})-(-?\d{1,10})_(-?\d{1,10})-(-?\d{1,10})_(-?\d{1,10})-(-?\d{1,10})", re.ASCII)


def served_block(stored: Triple) -> Triple:
    """The voxels of a served block, for stored ones of that size: halves of its longest axes, down to
    `MOST_VOXELS`."""
    sides = list(stored)
    while int(np.prod(sides, dtype=object)) > MOST_VOXELS:
        longest = sides.index(max(sides))
        sides[longest] = -(-sides[longest] // 2)
    x, y, z = sides
    return x, y, z


def segments_info(scales: list[Scale]) -> dict[str, Any]:
    """The `info` of a volume of nodes, at all scales that the volume of supervoxels has."""
    return {
        "@type": "neuroglancer_multiscale_volume",
        "type": "segmentation",
        "data_type": "uint64",
        "num_channels": 1,
        "scales": [
            {
                "key": f"s{scale.mip}",
                "size": [high - low for low, high in zip(scale.low, scale.high, strict=True)],
                "voxel_offset": list(scale.low),
                "resolution": list(scale.resolution),
                "chunk_sizes": [list(served_block(scale.block))],
                "encoding": ENCODING,
                "compressed_segmentation_block_size": [8, 8, 8],
            }
            for scale in scales
        ],
    }


def block_box(scale: Scale, name: str) -> Box | None:
    """The box of a served block by its name; None for a name that no block has."""
    found = BLOCK_NAME.fullmatch(name)
    if found is None:
        return None
    x0, x1, y0, y1, z0, z1 = map(int, found.groups())
    low, high = (x0, y0, z0), (x1, y1, z1)
    for start, end, least, most, side in zip(
        low, high, scale.low, scale.high, served_block(scale.block), strict=True
    ):
        if not least <= start < most or (start - least) % side or end != min(start + side, most):
            return None
    return low, high


def relabelled(voxels: npt.NDArray[Any], nodes_of: Callable[[Ids], Ids]) -> npt.NDArray[np.uint64]:
    """The same box (x, y, z) with the node of each supervoxel, uint64; 0 stays 0.

    `nodes_of` is asked once, for the different supervoxels, sorted, and answers a node for each, or 0.
    """
    import fastremap  # imported here, as only who looks at voxels has use for it

    small, numbers = fastremap.renumber(np.asfortranarray(voxels), preserve_zero=True, in_place=False)
    numbers.pop(0, None)
    supervoxels = np.fromiter(numbers.keys(), np.uint64, len(numbers))
    order = np.argsort(supervoxels)
    table = np.zeros(int(small.max(initial=0)) + 1, np.uint64)
    table[np.fromiter(numbers.values(), np.int64, len(numbers))[order]] = nodes_of(supervoxels[order])
    found: npt.NDArray[np.uint64] = table[small]
    return found
