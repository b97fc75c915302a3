"""What of a plan's data decides its work: how dense a volume is, by assumption or by what a sample of it says.

Invariants: figures are for a voxel, a voxel of a face, or one thing of another kind, so that whoever has the
geometry multiplies. `shared.estimate.needs` has those that are assumed, `shared.estimate.sampled` makes them of a
sample.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Density:
    """What there is in a voxel, or in a voxel of a face between chunks, counted on one side."""

    supervoxels: float
    """For each voxel."""
    pairs: float
    """(Node, far end) that a layer-2 chunk hands up, for each voxel of its faces."""
    nodes: float
    """Nodes that wait for a parent, for each voxel of faces of a chunk of any layer."""
    rows: float
    """Rows written by layer 2 for each supervoxel."""
    handoff_bytes: float | None
    """Of a stored hand-off, for each pair; None: by its size."""
    densest: float
    """The supervoxels of the largest chunk, in those of a whole chunk of this density."""
    densest_parents: tuple[float, ...]
    """The same for the pairs of the children of a parent, from layer 3 on; the last one is of all layers above."""

    above: float = 1.0
    """Pairs that chunks of layer 3 and above hand up, in those that they are assumed to."""

    def densest_parent(self, layer: int) -> float:
        """Of `layer`, from 3 on."""
        return self.densest_parents[min(layer - 3, len(self.densest_parents) - 1)]
