"""Whole runs of a segmentation in memory, as tests/harness.py has them from files; its volumes are on disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from shared.files import CloudFilesStorage
from shared.inputs.segmentation.box import Volumes
from shared.memory.storage import MemoryStorage
from shared.operate.check import check
from shared.plan.segmentation import Segmentation
from shared.run.made_from import FROM_SEGMENTATION, NOTES, MadeFrom
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.work.cutter import Cutter, OutputVolume, open_cuts
from shared.work.inputs_of_run import OutputFolder
from shared.work.sources import Sources
from shared.work.written import Written
from tests.harness import TIMESTAMP_MS, MemoryRun
from tests.raw_runs import content
from tests.segmentations import Scene, Triple
from tests.volumes import random_volume

NO_FILES = random_volume(0, (1, 1, 1))
"""A run of a segmentation reads no files of a volume."""


def small_scene(
    seed: int = 1,
    shape: Triple = (10, 6, 4),
    chunk_size: Triple = (3, 3, 3),
    flat: bool = False,
    low: Triple = (0, 0, 0),
) -> Scene:
    """Cubes of a few voxels with any ids, about half of them 2^63 and more; objects go by threes of them."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 9, [-(-length // 2) for length in shape])
    for axis in range(3):
        small = np.repeat(small, 2, axis)
    small = small[tuple(slice(length) for length in shape)]
    names = np.concatenate([np.zeros(1, np.uint64), rng.integers(1, 1 << 64, 8, dtype=np.uint64)])
    objects = None if flat else (small % 3).astype(np.uint32)
    return Scene(names[small], chunk_size, low, objects=objects)


def record_of(path: Path, **changes: object) -> RunRecord:
    """The run record of a dataset file of a segmentation."""
    record = check(path, "graph").record("graph", "run", TIMESTAMP_MS)
    return replace(record, **{"table": "graph", **changes})  # type: ignore[arg-type]


@dataclass
class SegmentationRun(MemoryRun):
    """A run in memory that cuts a segmentation; processed files are in memory, the volume is in `out`."""

    edges: MemoryStorage = field(default_factory=MemoryStorage)
    components: MemoryStorage = field(default_factory=MemoryStorage)
    _sources: Sources | None = None

    @property
    def segmentation(self) -> Segmentation:
        """What is cut."""
        assert self.record.segmentation is not None
        return self.record.segmentation

    def sources(self) -> Sources:
        """The volumes, and the three folders that are written to; open for as long as a worker lives."""
        if self._sources is None:
            cut = self.segmentation
            watershed = OutputVolume.of(cut, OutputFolder("graph", cut.watershed, CloudFilesStorage))
            written = Written(self.edges, self.components, watershed)
            cutter = Cutter(cut, Volumes.of(cut))
            self._sources = Sources(open_cuts(self.record, self.scratch, None), self.scratch, written, cutter)
        return self._sources

    def begin(self) -> SegmentationRun:
        """As an ingest begins: what is written is said to be incomplete; then as any other run."""
        self.sources().written.note(self.record, complete=False)
        self.start()
        return self

    def notes(self) -> list[bool]:
        """Whether each folder says that all is there."""
        folders: list[Storage] = [self.edges, self.components, CloudFilesStorage(self.segmentation.watershed)]
        found = [folder.get([FROM_SEGMENTATION])[FROM_SEGMENTATION] for folder in folders]
        return [data is not None and MadeFrom.decode(data, FROM_SEGMENTATION).complete for data in found]

    def made(self) -> dict[str, dict[str, bytes]]:
        """All that a run leaves beside its table, to the byte: what is written for others, but for the notes of
        what it is made from, and the hand-offs, whatever the run's name."""
        volume = Path(self.segmentation.watershed.removeprefix("file://"))
        found = {
            path.relative_to(volume).as_posix(): path.read_bytes() for path in volume.rglob("*") if path.is_file()
        }
        handoffs = {
            name.partition("/")[2]: data for name, data in content(self.scratch).items() if "/layer" in name
        }
        folders = {"edges": content(self.edges), "components": content(self.components), "watershed": found}
        kept = {
            kind: {name: data for name, data in of.items() if name not in NOTES} for kind, of in folders.items()
        }
        return kept | {"hand-offs": handoffs}
