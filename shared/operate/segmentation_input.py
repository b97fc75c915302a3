"""A dataset that is a segmentation: whether it can be cut, and whether what is made of it may be written.

    its volumes and tables are read       where EDGES, COMPONENTS and WATERSHED are not all there yet
    the files in them are                 once a run has written all of them from the same segmentation

Invariants: nothing is created; every problem is found at once; what is not of the same segmentation is never
written over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import ConfigError, DataError
from shared.inputs.folder import plain_location
from shared.inputs.present import content_of, holds_files
from shared.inputs.reasons import reason_of
from shared.inputs.volume import read_volume
from shared.operate.which_input import AGGLOMERATION, Found, Place, WhichInput, folders_of, key_of, look_at
from shared.plan.config import Dataset
from shared.plan.grid import Chunk, Grid
from shared.plan.plan import MOST_TABLE_PARTS
from shared.plan.segmentation import ABOVE, Segmentation, Triple
from shared.plan.segmentation_config import SegmentationSection
from shared.plan.volume import VolumeFacts
from shared.ranges import CloudFilesRanges
from shared.run.made_from import MadeFrom
from shared.run.record import OUTPUTS
from shared.tables.finding import find_parts
from shared.tables.rows import Table
from shared.voxels.volume import VoxelVolume

SECTION = "chunkedgraph_ingest.segmentation"
LABELS = ("uint8", "uint16", "uint32", "uint64")
AFFINITIES = ("uint8", "float32")
LOOKED_AT = 64
"""Voxels along an axis of the box that is read of each volume before the start."""


def outputs_of(dataset: Dataset) -> dict[str, str]:
    """The folders that are written, by kind."""
    return {**folders_of(dataset), "watershed": dataset.data_source.WATERSHED}


def segmentation_of(section: SegmentationSection, dataset: Dataset, volume: VolumeFacts) -> Segmentation:
    """What a run cuts, from its section of a dataset and what is known of the volume."""
    return Segmentation(
        supervoxels=section.supervoxels,
        watershed=dataset.data_source.WATERSHED,
        low=volume.low,
        size=volume.size,
        chunk_size=dataset.graph_config.CHUNK_SIZE,
        resolution=volume.resolution,
        mip=section.mip,
        objects=section.objects,
        mapping=tuple(section.mapping or ()),
        scores=tuple(section.edges or ()),
        threshold=section.threshold or 0.0,
        together=section.together or ABOVE,
        affinities=section.affinities,
        split=section.split,
        connectivity=section.connectivity,
        background=section.background,
        fill_missing=section.fill_missing,
        several_objects=section.several_objects,
    )


def volume_problems(section: SegmentationSection, volume: VolumeFacts) -> Found:
    """What is wrong with the volumes of a segmentation, one of which is `volume`."""
    problems = _kind(f"{SECTION}.supervoxels", section.supervoxels, volume, LABELS, 1)
    others = {"objects": (section.objects, LABELS, 1), "affinities": (section.affinities, AFFINITIES, 3)}
    for name, (location, types, channels) in others.items():
        if location is None:
            continue
        key = f"{SECTION}.{name}"
        try:
            facts = read_volume(location, section.mip)
        except ConfigError as error:
            problems += [(key, location, problem.consequence) for problem in error.problems]
            continue
        problems += _kind(key, location, facts, types, channels)
        for what, found, wanted in (
            ("lower corner", facts.low, volume.low),
            ("upper corner", facts.high, volume.high),
            ("resolution", facts.resolution, volume.resolution),
        ):
            if found != wanted:
                told = (
                    f"its {what} at mip {section.mip} is {_shown(found)}, and that of supervoxels {_shown(wanted)}"
                )
                problems.append((key, location, told))
    return problems


def unreadable(segmentation: Segmentation) -> Found:
    """What is wrong with some voxels in the middle of each volume; blocks that are not there are told of later."""
    problems: Found = []
    middle = [low + size // 2 for low, size in zip(segmentation.low, segmentation.size, strict=True)]
    ends = [low + size for low, size in zip(segmentation.low, segmentation.size, strict=True)]
    x, y, z = middle
    x1, y1, z1 = (min(at + LOOKED_AT, end) for at, end in zip(middle, ends, strict=True))
    volumes = {
        "supervoxels": segmentation.supervoxels,
        "objects": segmentation.objects,
        "affinities": segmentation.affinities,
    }
    for name, location in volumes.items():
        if location is None:
            continue
        try:
            VoxelVolume(location, segmentation.mip, fill_missing=True).read(
                (x, y, z), (x1, y1, z1), Chunk(1, 0, 0, 0)
            )
        except DataError as error:
            problems.append((f"{SECTION}.{name}", location, error.reason))
        except Exception as error:  # cloud-volume raises whatever its protocols raise
            told = f"cannot be read ({reason_of(error)}); check that you may read it"
            problems.append((f"{SECTION}.{name}", location, told))
    return problems


def which_segmentation(
    dataset: Dataset, segmentation: Segmentation, grid: Grid, say_raw: bool
) -> tuple[WhichInput, Found]:
    """What a run of the dataset reads, and what is wrong with that."""
    problems: Found = []
    if dataset.ingest_config.AGGLOMERATION is not None or say_raw:
        told = f"raw agglomeration output cannot be read beside {SECTION}; remove one of them, and RAW=1 (--raw)"
        problems.append((AGGLOMERATION, dataset.ingest_config.AGGLOMERATION, told))
    folders = outputs_of(dataset)
    if len(set(folders.values())) < len(OUTPUTS):
        problems.append(("data_source", None, "EDGES, COMPONENTS and WATERSHED have to be three folders"))
    for name in ("supervoxels", "objects", "affinities"):
        location = getattr(segmentation, name)
        if location is not None and location in folders.values():
            told = "is a folder that the run writes; give another one in data_source"
            problems.append((f"{SECTION}.{name}", location, told))
    places = {kind: _look(kind, folder, grid) for kind, folder in folders.items()}
    problems += [(key_of(kind), place.folder, place.problem) for kind, place in places.items() if place.problem]
    wanted = MadeFrom(segmentation, grid.shape, dataset.graph_config.SPATIAL_BITS, "", "")
    return _decided(segmentation, wanted, places), problems


def _decided(segmentation: Segmentation, wanted: MadeFrom, places: Mapping[str, Place]) -> WhichInput:
    made = {kind: place.made_from for kind, place in places.items() if place.is_of(wanted)}
    if len(made) == len(OUTPUTS) and all(found is not None and found.complete for found in made.values()):
        return WhichInput(kept=OUTPUTS)
    refused: Found = []
    for kind, place in places.items():
        if kind in made or (place.made_from is None and not place.holds):
            continue
        of = (
            ""
            if place.made_from is None
            else f", made from {place.made_from.source.place} for another configuration"
        )
        told = f"holds something already{of}, which is not written over; give another folder, or take it away"
        refused.append((key_of(kind), place.folder, told))
    return WhichInput(segmentation=segmentation, written=OUTPUTS, refused=refused)


def _look(kind: str, folder: str, grid: Grid) -> Place:
    if kind == "watershed":
        return look_at(folder, lambda: content_of(folder, "info") is not None)
    return look_at(folder, lambda: holds_files(folder, kind, grid))


def _kind(key: str, location: str, facts: VolumeFacts, types: tuple[str, ...], channels: int) -> Found:
    if facts.data_type in types and facts.channels == channels:
        return []
    told = f"has {facts.channels} channels of {facts.data_type}; it needs {channels} of {' or '.join(types)}"
    return [(key, location, told)]


def _shown(numbers: Triple | tuple[float, ...]) -> str:
    return ", ".join(f"{number:g}" for number in numbers)


def locations_of(segmentation: Segmentation) -> dict[str, str]:
    """All that is read of a segmentation, by the dotted keys."""
    given = {
        "supervoxels": segmentation.supervoxels,
        "objects": segmentation.objects,
        "affinities": segmentation.affinities,
        **{f"mapping[{at}]": location for at, location in enumerate(segmentation.mapping)},
        **{f"edges[{at}]": location for at, location in enumerate(segmentation.scores)},
    }
    return {f"{SECTION}.{name}": location for name, location in given.items() if location is not None}


def input_lines(segmentation: Segmentation) -> list[tuple[str, str]]:
    """What a run cuts, and how it knows what belongs together, as names and values."""
    mip = f" at mip {segmentation.mip}" if segmentation.mip else ""
    rows = [("input", f"the segmentation in {segmentation.supervoxels}{mip}")]
    if segmentation.flat:
        blocks = "chunks" if segmentation.split is None else f"blocks of {_shown(segmentation.split)} voxels"
        rows.append(
            (
                "objects",
                f"its labels; supervoxels are their {segmentation.connectivity}-connected parts in {blocks}",
            )
        )
    elif segmentation.objects is not None:
        rows.append(("objects", f"those at the same voxels of {segmentation.objects}"))
    elif segmentation.mapping:
        rows.append(("objects", f"by the tables in {', '.join(segmentation.mapping)}"))
    else:
        side = f"{segmentation.together} {segmentation.threshold:g}"
        rows.append(("objects", f"what scores {side} join, in {', '.join(segmentation.scores)}"))
    if segmentation.affinities is not None:
        rows.append(("affinities", segmentation.affinities))
    return rows


def table_parts(segmentation: Segmentation) -> tuple[list[dict[str, Any]], Found]:
    """The parts that the tables of a segmentation are sorted in, and what is wrong with the tables."""
    if not segmentation.tables:
        return [], []
    table, name = (Table.MAPPING, "mapping") if segmentation.mapping else (Table.SCORES, "edges")
    # One job more makes the objects of scores.
    most = MOST_TABLE_PARTS - 1
    try:
        parts = find_parts(table, segmentation.tables, _open_place, most, "", f"{SECTION}.{name}")
    except ConfigError as error:
        return [], [(one.key, one.value, one.consequence) for one in error.problems]
    return [part.fields() for part in parts], []


def _open_place(folder: str) -> CloudFilesRanges:
    return CloudFilesRanges(plain_location(folder))
