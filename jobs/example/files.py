"""Writing an example: the watershed volume, and the edge and component files of each chunk.

Invariants: a chunk without edges has no edge file, one without components no component file. What
is odd in real files is odd here in a few chunks: edges the wrong way round, and listed ids that
are in no edge.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from jobs.example.agglomeration import Agglomeration, chunk_faces
from jobs.example.contacts import Contacts, Mask
from jobs.example.params import RESOLUTION, VOXEL_OFFSET, ExampleParams, Triple
from jobs.example.supervoxels import Segments
from shared.inputs.components import components_name, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, edges_name, encode_edges
from shared.plan.grid import Chunk
from shared.plan.ids import Ids

WATERSHED, EDGES, COMPONENTS, TRUTH = "ws", "edges", "components", "truth.npz"
"""Names below an example's folder."""


def new_volume(folder: Path, params: ExampleParams, block: Triple, compress: bool | None = None) -> Any:
    """A precomputed segmentation (uint64) of an example's size, stored in blocks of so many voxels."""
    from cloudvolume import CloudVolume  # imported here since it takes seconds

    info = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding="compressed_segmentation",
        resolution=list(RESOLUTION),
        voxel_offset=list(VOXEL_OFFSET),
        volume_size=list(params.extent),
        chunk_size=list(block),
    )
    volume: Any = CloudVolume(f"file://{folder.absolute()}", info=info, progress=False, compress=compress)
    volume.commit_info()
    return volume


class WatershedVolume:
    """The precomputed segmentation (uint64) of a dataset, written a chunk at a time."""

    def __init__(self, folder: Path, params: ExampleParams) -> None:
        self._params = params
        self._volume = new_volume(folder / WATERSHED, params, params.chunk_size, compress=False)

    def write(self, chunk: Chunk, segments: Segments) -> None:
        """Store the ids of a chunk's voxels."""
        low, high = (corner + VOXEL_OFFSET for corner in self._params.box(chunk))
        box = tuple(slice(int(start), int(end)) for start, end in zip(low, high, strict=True))
        self._volume[box] = np.asfortranarray(segments.ids[segments.labels])[..., None]


def edges_of(data: Agglomeration, chunk: Chunk, flip: np.random.Generator | None) -> ChunkEdges:
    """The edges of a chunk's file; with `flip`, the first between edge and a random third are turned."""
    between, cross = [], []
    for contacts, inside in chunk_faces(data, chunk):
        turned = replace(contacts, pairs=contacts.pairs[:, ::-1]) if inside else contacts
        between.append(_edge_list(turned, ~contacts.cut))
        cross.append(_edge_list(turned, contacts.cut))
    own = data.inside[chunk]
    joined = _join(between)
    if flip is not None:
        wrong = flip.random(len(joined.pairs)) < 1 / 3
        wrong[:1] = True
        pairs = np.where(wrong[:, None], joined.pairs[:, ::-1], joined.pairs)
        joined = replace(joined, pairs=pairs)
    return ChunkEdges(_edge_list(own, np.ones(len(own), bool)), joined, _join(cross))


def write_edges(folder: Path, chunk: Chunk, edges: ChunkEdges) -> bool:
    """Write a chunk's edge file and return True; nothing and False without edges."""
    if not any(len(part.pairs) for part in (edges.inside, edges.between, edges.cross)):
        return False
    (folder / EDGES / edges_name(chunk)).write_bytes(encode_edges(edges))
    return True


def write_components(folder: Path, chunk: Chunk, components: list[Ids]) -> bool:
    """Write a chunk's component file and return True; nothing and False without components."""
    if not components:
        return False
    (folder / COMPONENTS / components_name(chunk)).write_bytes(encode_components(components))
    return True


def _edge_list(contacts: Contacts, chosen: Mask) -> EdgeList:
    return EdgeList(contacts.pairs[chosen], contacts.affinities[chosen], contacts.areas[chosen])


def _join(parts: list[EdgeList]) -> EdgeList:
    if not parts:
        return EdgeList()
    return EdgeList(
        np.concatenate([part.pairs for part in parts]),
        np.concatenate([part.affinities for part in parts]),
        np.concatenate([part.areas for part in parts]),
    )
