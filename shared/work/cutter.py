"""What a job of layer 1 does: the voxels of a chunk are read and cut; and how jobs of layer 2 find the cuts.

Invariants: whatever is wrong with the volumes of one run is that run's alone, as with its other inputs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import IngestError, OfOneRun, PermanentError
from shared.inputs.segmentation.box import Volumes
from shared.inputs.segmentation.cut import Cut
from shared.inputs.segmentation.cut_file import decode_cut
from shared.inputs.segmentation.cutting import Box, Made, Tables, cut_box
from shared.inputs.segmentation.source import SegmentationSource
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.voxels.volume import VoxelVolume, begin_volume
from shared.work.handoffs import stored
from shared.work.inputs_of_run import OutputFolder


class MissingCut(IngestError):
    """A chunk was queued before one of the cuts around it was stored, or a cut was deleted."""

    def __init__(self, chunk: Chunk, file: str) -> None:
        super().__init__(f"{file}: the cut of chunk {chunk} is needed, and is not there; it is tried again")


@dataclass(frozen=True)
class Cutter:
    """Cuts the chunks of a segmentation."""

    segmentation: Segmentation
    volumes: Volumes
    tables: Tables | None = None

    def cut(self, record: RunRecord, chunk: Chunk) -> Made:
        """The cut of a chunk of layer 1; DataError for voxels that are damaged, or contradict each other."""
        plan = record.plan
        faces = [face for face, other in plan.grid.neighbours(chunk).items() if other in plan]
        return cut_box(self.segmentation, plan.ids, chunk, self._box(record, chunk), faces, self.tables)

    def _box(self, record: RunRecord, chunk: Chunk) -> Box:
        try:
            return self.volumes.box(chunk)
        except (PermanentError, MemoryError):
            raise
        except Exception as error:
            raise OfOneRun(f"a volume of graph {record.graph}: {error}") from error


def open_cuts(record: RunRecord, scratch: Storage, tables: Tables | None) -> SegmentationSource:
    """The cuts that a run has stored, as a source of edges and components."""
    assert record.segmentation is not None
    kept: dict[Chunk, Cut] = {}

    def read(chunks: Collection[Chunk]) -> dict[Chunk, Cut]:
        # A chunk's edges and its components are asked for one after the other, of the same cuts.
        if set(chunks) != kept.keys():
            found = stored(record, scratch, chunks, MissingCut)
            kept.clear()
            kept.update({one: decode_cut(data, file, one) for one, (data, file) in found.items()})
        return dict(kept)

    return SegmentationSource(record.segmentation, record.plan, read, scratch.folder, tables)


@dataclass(frozen=True)
class OutputVolume:
    """The volume that a run writes, and the folder that it is in; answers `shared.work.written.Voxels`."""

    segmentation: Segmentation
    files: OutputFolder
    volume: VoxelVolume

    @classmethod
    def of(cls, segmentation: Segmentation, files: OutputFolder) -> OutputVolume:
        """The one that a segmentation is cut into."""
        return cls(segmentation, files, VoxelVolume(segmentation.watershed))

    @property
    def folder(self) -> str:
        """Where it is."""
        return self.segmentation.watershed

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """Files beside its voxels."""
        return self.files.get(names)

    def put(self, name: str, data: bytes) -> None:
        """Writes a file beside its voxels."""
        self.files.put(name, data)

    def begin(self, date: str) -> None:
        """Writes what tells readers of the volume."""
        begin_volume(self.segmentation, date)

    def write(self, chunk: Chunk, voxels: npt.NDArray[np.uint64]) -> None:
        """Stores the voxels of a chunk."""
        try:
            self.volume.write(self.segmentation.box(*chunk.coords)[0], voxels)
        except MemoryError:
            raise
        except Exception as error:
            raise OfOneRun(f"the volume {self.folder}: {error}") from error
