"""A sample of the crash matrix of cuts with real worker processes, which end by `os._exit`, on the emulators."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from shared.files import CloudFilesStorage
from shared.operate.replay import current_failures
from shared.plan.grid import Chunk
from shared.run.made_from import NOTES
from shared.run.record import RunRecord
from tests.faults.crash import Point
from tests.faults.emulated import CRASHED, EmulatedRun, wait_until
from tests.faults.test_crash_cutting import chunk_at, plan
from tests.segmentation_runs import NO_FILES, SegmentationRun, record_of, small_scene
from tests.segmentations import write

SECONDS = 600.0


def script() -> dict[Chunk, list[Point]]:
    """Which chunks crash where; the second crash of a chunk is met by who has its message next."""
    return {
        chunk_at("layer 1"): [Point.PART, Point.HANDOFF],
        Chunk(1, 0, 1, 1): [Point.READ, Point.VOXELS],
        chunk_at("layer 2"): [Point.FILES, Point.HALF],
        plan().top: [Point.COMPLETE],
    }


class EmulatedCuts(EmulatedRun):
    """A run that cuts a segmentation, and writes files and voxels."""

    def _record(self, graph: str) -> RunRecord:
        # Of today: Bigtable drops cells of family 3 after a year, its emulator within a minute.
        record = record_of(write(self.folder, small_scene()))
        return replace(record, graph=graph, table=graph, timestamp_ms=int(time.time() * 1000))

    def written(self) -> dict[str, bytes]:
        """All that was written beside the table, but for the notes of what it is made from."""
        out = self.folder / "out"
        found = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if path.name not in NOTES}


@pytest.fixture
def run(emulators: dict[str, str], tmp_path: Path) -> Iterator[EmulatedCuts]:
    """A run with faults, and workers that are replaced when they end."""
    started = EmulatedCuts(NO_FILES, tmp_path, emulators)
    started.plan_faults(script())
    yield started
    started.stop()


def test_crashes(run: EmulatedCuts, tmp_path: Path) -> None:
    """Workers that end while they read, cut, write voxels (half of a block among them), files and rows: the
    table, the files and the volume are those of a run in memory that nothing happens to."""

    def over() -> bool:
        run.reap()
        if not run.workers:
            run.work()
        return run.finished and run.planned() == 0

    assert wait_until(over, SECONDS), run.logs()
    assert run.ended[CRASHED] == run.met().total() == sum(map(len, script().values()))
    undisturbed = SegmentationRun(NO_FILES, in_memory(run.record, tmp_path)).begin()
    undisturbed.work()
    assert undisturbed.raw_table() == run.raw_table()
    made = undisturbed.made()
    wanted = {f"{folder}/{name}": data for kind, folder in FOLDERS.items() for name, data in made[kind].items()}
    assert run.written() == wanted
    stored = CloudFilesStorage(f"{run.record.segmentation.watershed}")  # type: ignore[union-attr]
    assert all(b'"complete": true' in data for data in stored.get(list(NOTES)).values() if data)
    assert current_failures(run.record, run.opened.completion) == []


FOLDERS = {"edges": "edges", "components": "components", "watershed": "ws"}


def in_memory(record: RunRecord, folder: Path) -> RunRecord:
    """The record of the same run in memory, with a volume of its own."""
    assert record.segmentation is not None
    cut = replace(record.segmentation, watershed=f"file://{folder}/undisturbed")
    return replace(record, graph="graph", run="run", table="graph", segmentation=cut)
