"""Writing an example as a segmentation: its volume before the chunk grid cut it, and one of its objects.

Invariants: what the grid cut apart is one supervoxel again, with an id that says nothing of chunks; a supervoxel
that touches nothing is an object of its own. The truth is by the ids that a cut gives: in each chunk from 1 on, in
the order of the ids here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jobs.example.agglomeration import Agglomeration
from jobs.example.files import TRUTH, new_volume
from jobs.example.params import ExampleParams
from shared.plan.grid import Chunk
from shared.plan.ids import Ids

FRAGMENTS, OBJECTS = "fragments", "objects"
"""Names of the volumes below an example's folder."""

BLOCK = (64, 64, 64)
"""Voxels of a stored block, which have nothing to do with the chunks."""

SPREAD = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that products with it are as many; ids look like those of any tool then, up to the largest."""


@dataclass(frozen=True)
class Uncut:
    """For each of the sorted `cut` ids (n,): the id before the grid cut it, and its object."""

    cut: Ids
    ids: Ids
    objects: Ids


def uncut(data: Agglomeration, cut: Ids) -> Uncut:
    """What the supervoxels `cut`, sorted, were before: those that cross edges join are one."""
    pairs = np.concatenate([contacts.pairs[contacts.cut] for contacts in data.faces.values()])
    ends = np.searchsorted(cut, pairs)
    graph = coo_matrix((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(cut), len(cut)))
    parts = connected_components(graph, directed=False)[1].astype(np.uint64)
    known = np.isin(cut, data.truth.supervoxels)
    alone = data.truth.objects.max(initial=0) + np.arange(1, len(cut) + 1, dtype=np.uint64)
    objects = np.where(known, data.truth.of(np.where(known, cut, data.truth.supervoxels[0])), alone)
    return Uncut(cut, (parts + np.uint64(1)) * SPREAD, objects)


def write_segmentation(watershed: Path, folder: Path, params: ExampleParams, data: Agglomeration) -> None:
    """Writes the volumes and truth.npz below `folder`, from the cut volume in `watershed`."""
    from cloudvolume import CloudVolume  # imported here since it takes seconds

    volume: Any = CloudVolume(f"file://{watershed.absolute()}", progress=False)
    voxels = np.asarray(volume[:, :, :])[..., 0]
    cut, at = np.unique(voxels, return_inverse=True)
    before = uncut(data, cut[cut != 0])
    ids = np.concatenate([np.zeros(1, np.uint64), before.ids])[at].reshape(voxels.shape)
    objects = np.concatenate([np.zeros(1, np.uint64), before.objects])[at].reshape(voxels.shape)
    for name, of_voxels in ((FRAGMENTS, ids), (OBJECTS, objects)):
        new_volume(folder / name, params, BLOCK)[:, :, :] = np.asfortranarray(of_voxels)[..., None]
    supervoxels, of = _truth(params, ids, objects)
    np.savez(folder / TRUTH, supervoxel=supervoxels, object=of)


def _truth(params: ExampleParams, ids: npt.NDArray[Any], objects: npt.NDArray[Any]) -> tuple[Ids, Ids]:
    supervoxels, of = [], []
    for chunk in params.chunks.chunks(2):
        low, high = params.box(chunk)
        box = tuple(slice(start, end) for start, end in zip(low.tolist(), high.tolist(), strict=True))
        found, first = np.unique(ids[box], return_index=True)
        real = found != 0
        supervoxels.append(params.layout.node_ids(Chunk(1, *chunk.coords), 1, int(real.sum())))
        of.append(objects[box].ravel()[first[real]])
    return np.concatenate(supervoxels), np.concatenate(of)
