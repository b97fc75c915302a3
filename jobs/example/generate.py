"""The steps that make an example dataset, from objects to files.

Invariants: voxels are kept for one chunk at a time, edges for the whole dataset.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from jobs.example.agglomeration import (
    Agglomeration,
    Face,
    components_of,
    disagreeing_edges,
    disagreements,
    true_objects,
)
from jobs.example.contacts import Contacts, contacts_across, contacts_inside
from jobs.example.files import (
    COMPONENTS,
    EDGES,
    TRUTH,
    WATERSHED,
    WatershedVolume,
    edges_of,
    write_components,
    write_edges,
)
from jobs.example.objects import make_objects
from jobs.example.painting import Painting
from jobs.example.params import ExampleParams
from jobs.example.raw import RAW, write_raw
from jobs.example.segmentation import FRAGMENTS, OBJECTS, write_segmentation
from jobs.example.supervoxels import ZERO_SEGMENT_SHARE, Cells, Segments
from shared.plan.grid import Chunk, neighbour

ODD_SHARE = 0.05
"""Share of the chunks (or faces) that have each of the oddities of real files."""


@dataclass(frozen=True)
class Summary:
    """What an example holds; every edge counts once."""

    layer_count: int
    chunks: int
    supervoxels: int
    """Those that occur in an edge."""
    lone_supervoxels: int
    """Those of the watershed volume that occur in no edge."""
    objects: int
    """Components of the supervoxels in edges."""
    in_chunk_edges: int
    between_edges: int
    cross_edges: int
    active_edges: int
    """Cross edges included."""
    edge_files: int = 0
    component_files: int = 0
    shards: int = 0
    """Of raw output."""
    disagreements: int = 0
    """Edges that the component files of their two chunks decide differently, as an ingest counts them."""
    unknown_ids: int = 0
    """Ids that component files list though they occur in no edge."""


def make_example(folder: Path, params: ExampleParams, raw: bool = False, segmentation: bool = False) -> Summary:
    """Write a dataset below `folder`: ws/, edges/, components/ and truth.npz; with `raw`, raw/ in the place of
    edges/ and components/, which an ingest then writes there; with `segmentation`, fragments/ and objects/ in the
    place of all three.

    truth.npz has the arrays `supervoxel`, sorted, and `object`, both (n,) uint64. Raises
    FileExistsError if any of them is there: leftover files would stand for chunks that are empty.
    """
    for name in (WATERSHED, EDGES, COMPONENTS, RAW, FRAGMENTS, OBJECTS, TRUTH):
        if (folder / name).exists():
            raise FileExistsError(f"{folder / name} exists; choose another folder or remove it")
    for name in () if segmentation else (RAW,) if raw else (EDGES, COMPONENTS):
        (folder / name).mkdir(parents=True)
    if segmentation:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder) as aside:
            data, counts = _make_volume(Path(aside), params)
            write_segmentation(Path(aside) / WATERSHED, folder, params, data)
        return _summary(params, data, counts)
    data, counts = _make_volume(folder, params)
    if raw:
        shards = write_raw(folder, params, data)
    np.savez(folder / TRUTH, supervoxel=data.truth.supervoxels, object=data.truth.objects)
    if raw:
        return _summary(params, data, counts, shards=shards)
    return _write_chunks(folder, params, data, counts)


def _make_volume(folder: Path, params: ExampleParams) -> tuple[Agglomeration, dict[Chunk, int]]:
    """Write the watershed volume; returns its contacts, and each chunk's number of supervoxels."""
    balls = make_objects(params)
    painting, cells = Painting(params, balls), Cells(params, int(balls.objects.max(initial=0)))
    volume, grid = WatershedVolume(folder, params), params.chunks
    zero = set(params.some("zero segments", list(grid.chunks(2)), ZERO_SEGMENT_SHARE))
    counts: dict[Chunk, int] = {}
    inside: dict[Chunk, Contacts] = {}
    faces: dict[Face, Contacts] = {}
    planes: dict[Face, Segments] = {}
    for index, chunk in enumerate(grid.chunks(2)):
        segments = cells.segment(painting.paint(chunk), chunk, chunk in zero)
        volume.write(chunk, segments)
        counts[chunk] = len(segments.ids) - 1
        inside[chunk] = contacts_inside(segments, params.rng("inside", index))
        for axis in range(3):
            key = (neighbour(chunk, 2 * axis), axis)
            if key in planes:
                rng = params.rng("face", index, axis)
                faces[key] = contacts_across(planes.pop(key), segments.plane(axis, upper=False), rng)
            if neighbour(chunk, 2 * axis + 1) in grid:
                planes[chunk, axis] = segments.plane(axis, upper=True)
    return Agglomeration(inside, faces, true_objects([*inside.values(), *faces.values()])), counts


def _write_chunks(folder: Path, params: ExampleParams, data: Agglomeration, counts: dict[Chunk, int]) -> Summary:
    """Write the edge and component files of every chunk."""
    touched = [chunk for chunk in data.inside if len(data.inside[chunk])]
    met = [face for face, contacts in data.faces.items() if not contacts.cut.all()]
    wrong = disagreements(data, params.some("disagreements", met, ODD_SHARE))
    flipped = {chunk for chunk, _ in params.some("flips", met, ODD_SHARE)}
    unknown = set(params.some("unknown ids", touched, ODD_SHARE))
    edge_files = component_files = unknown_ids = 0
    for index, chunk in enumerate(data.inside):
        flip = params.rng("flip", index) if chunk in flipped else None
        edge_files += write_edges(folder, chunk, edges_of(data, chunk, flip))
        components = components_of(data, chunk, wrong.get(chunk, {}))
        if chunk in unknown:
            strange = params.layout.node_ids(Chunk(1, *chunk.coords), counts[chunk] + 8, 3)
            components[:1] = [np.append(ids, strange[:1]) for ids in components[:1]]
            unknown_ids += 2 + len(components[:1])
            components.append(strange[1:])
        component_files += write_components(folder, chunk, components)
    return _summary(
        params,
        data,
        counts,
        edge_files=edge_files,
        component_files=component_files,
        disagreements=disagreeing_edges(data, wrong),
        unknown_ids=unknown_ids,
    )


def _summary(params: ExampleParams, data: Agglomeration, counts: dict[Chunk, int], **written: int) -> Summary:
    """What the dataset holds, with numbers of what was `written`."""
    within, across = list(data.inside.values()), list(data.faces.values())
    cross = sum(int(contacts.cut.sum()) for contacts in across)
    supervoxels = len(data.truth.supervoxels)
    return Summary(
        layer_count=params.chunks.layer_count,
        chunks=len(data.inside),
        supervoxels=supervoxels,
        lone_supervoxels=sum(counts.values()) - supervoxels,
        objects=len(np.unique(data.truth.objects)),
        in_chunk_edges=sum(map(len, within)),
        between_edges=sum(map(len, across)) - cross,
        cross_edges=cross,
        active_edges=sum(int(contacts.active.sum()) for contacts in [*within, *across]),
        **written,
    )
