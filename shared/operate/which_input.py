"""Which input a run reads, raw agglomeration output or processed files, and which processed files it writes.

    raw if the run says so; or if AGGLOMERATION is given and EDGES or COMPONENTS are not, or hold no file of the
    grid; processed files otherwise

Invariants: processed files that were written from raw output by half are never taken for a dataset: beside them
stands what they are (`shared.run.made_from`), so they count as none where the same raw output is given, and are
refused where it is not. Files that are not of the same raw output are never written over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import IngestError, Problem
from shared.inputs.present import content_of, holds_files, lacks_raw
from shared.inputs.reasons import reason_of
from shared.plan.config import Dataset
from shared.plan.grid import Grid
from shared.plan.raw_input import DATA_VERSIONS, RawInput
from shared.plan.segmentation import Segmentation
from shared.plan.volume import VolumeFacts
from shared.run.made_from import FROM_RAW, FROM_SEGMENTATION, MadeFrom, Source, note_of
from shared.run.record import WRITTEN

AGGLOMERATION = "ingest_config.AGGLOMERATION"
DATA_VERSION = "data_source.DATA_VERSION"

Found = list[tuple[str, object, str]]
"""Key, value and what follows, of each problem."""


@dataclass(frozen=True)
class Place:
    """A folder of processed files before a run: whether it `holds` one of the grid, and what stands beside
    them; `problem` is why that cannot be told."""

    folder: str
    holds: bool = False
    made_from: MadeFrom | None = None
    problem: str = ""

    def is_of(self, wanted: MadeFrom) -> bool:
        """Whether its files are those that are `wanted`, all there or not."""
        return self.made_from is not None and self.made_from.same_files(wanted)


@dataclass(frozen=True)
class WhichInput:
    """What a run reads: `raw` or `segmentation`, or processed files where both are None; and `written`, what a
    whole run writes from it (of `OUTPUTS`). `refused` is why it must not write that."""

    raw: RawInput | None = None
    written: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Kinds whose files are there already, from the same source and all of them."""
    refused: Found = field(default_factory=list)
    segmentation: Segmentation | None = None
    table_parts: tuple[dict[str, Any], ...] = ()
    """Of the tables of a segmentation, each as a run record has it."""

    @property
    def source(self) -> Source | None:
        """What processed files are made from; None where they are read."""
        return self.raw or self.segmentation


PROCESSED = WhichInput()


def folders_of(dataset: Dataset) -> dict[str, str]:
    """The folders of processed files that a dataset gives, by kind."""
    source = dataset.data_source
    given = {"edges": source.EDGES, "components": source.COMPONENTS}
    return {kind: folder for kind, folder in given.items() if folder is not None}


def key_of(kind: str) -> str:
    """The dotted key of a folder of processed files."""
    return f"data_source.{kind.upper()}"


def look(dataset: Dataset, grid: Grid) -> dict[str, Place]:
    """What is in the folders of processed files, by kind; they are listed only where raw output is given, too."""
    listed = dataset.ingest_config.AGGLOMERATION is not None

    def holds(kind: str, folder: str) -> Callable[[], bool]:
        return lambda: listed and holds_files(folder, kind, grid)

    return {kind: look_at(folder, holds(kind, folder)) for kind, folder in folders_of(dataset).items()}


def look_at(folder: str, holds: Callable[[], bool]) -> Place:
    """What is in a folder that a run may write; `holds` says whether there is something that counts."""
    try:
        found = made_from(folder)
        return Place(folder, holds(), found)
    except IngestError as error:
        return Place(folder, problem=str(error))
    except Exception as error:  # cloud-files raises whatever its protocols raise
        told = f"cannot be listed ({reason_of(error)}); check the path and that you may read it"
        return Place(folder, problem=told)


def made_from(folder: str) -> MadeFrom | None:
    """What the files of a folder were made from, if a run of this pipeline wrote them."""
    for name in (FROM_RAW, FROM_SEGMENTATION):
        data = content_of(folder, name)
        if data is not None:
            return MadeFrom.decode(data, f"{folder.rstrip('/')}/{name}")
    return None


def all_there(places: Mapping[str, Place]) -> bool:
    """Whether a run of this pipeline has written all processed files, and says so beside them."""
    notes = [place.made_from for place in places.values()]
    return bool(notes) and all(note is not None and note.complete for note in notes)


def which_input(
    dataset: Dataset, grid: Grid, volume: VolumeFacts, places: Mapping[str, Place], say_raw: bool
) -> tuple[WhichInput, Found]:
    """What a run of a dataset reads, and all that is wrong with that; `say_raw`: the run is told to read raw."""
    folder = dataset.ingest_config.AGGLOMERATION
    problems: Found = [
        (key_of(kind), place.folder, place.problem) for kind, place in places.items() if place.problem
    ]
    if folder is None:
        if say_raw:
            told = "is missing: RAW=1 (--raw) reads the raw agglomeration output in that folder"
            problems.append((AGGLOMERATION, None, told))
        return PROCESSED, problems + _half(places)
    version = dataset.data_source.DATA_VERSION
    raw = RawInput(folder, version or DATA_VERSIONS[0], volume.resolution)
    wanted = MadeFrom(raw, grid.shape, dataset.graph_config.SPATIAL_BITS, "", "")
    if not say_raw and len(places) == len(WRITTEN) and any(_counts(place, wanted) for place in places.values()):
        return PROCESSED, problems + _half(places)
    if version is None:
        told = f"is missing: it says which of the versions {', '.join(map(str, DATA_VERSIONS))} raw output has"
        problems.append((DATA_VERSION, None, told))
    lacking = lacks_raw(folder)
    if lacking:
        problems.append((AGGLOMERATION, folder, lacking))
    return _written(raw, wanted, places), problems


def _counts(place: Place, wanted: MadeFrom) -> bool:
    """Whether a folder's files are a dataset: not where they are still being written from what is wanted."""
    return place.holds and not (place.is_of(wanted) and place.made_from and not place.made_from.complete)


def _half(places: Mapping[str, Place]) -> Found:
    """A problem for each folder whose files are not all there yet."""
    found: Found = []
    for kind, place in places.items():
        at = place.made_from
        if at is not None and not at.complete:
            told = (
                f"holds files that run {at.run} of graph {at.graph} writes from {at.source.place}, and not "
                f"all are there; go on with it: make resume GRAPH={at.graph}"
                + (", or read the raw output: RAW=1 (--raw)" if note_of(at.source) == FROM_RAW else "")
            )
            found.append((key_of(kind), place.folder, told))
    return found


def _written(raw: RawInput, wanted: MadeFrom, places: Mapping[str, Place]) -> WhichInput:
    written: list[str] = []
    kept: list[str] = []
    refused: Found = []
    for kind, place in places.items():
        at = place.made_from
        if place.is_of(wanted):
            (kept if at and at.complete else written).append(kind)
        elif at is None and not place.holds:
            written.append(kind)
        else:
            of = f" of {at.source.place}" if at else ""
            told = (
                f"holds processed files{of} already, which are not written over. Give another folder, or read "
                "them: leave RAW=1 (--raw) out"
            )
            refused.append((key_of(kind), place.folder, told))
    return WhichInput(raw=raw, written=tuple(written), kept=tuple(kept), refused=refused)


def as_problems(file: str, found: Found) -> list[Problem]:
    """Problems of a dataset file."""
    return [Problem(file, key, value, told) for key, value, told in found]
