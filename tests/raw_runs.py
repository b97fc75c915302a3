"""Whole runs from raw output in memory, as tests/harness.py has them from processed files."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from jobs.example.shards import RawFiles
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.source import RawSource
from shared.memory.backend import MEMORY
from shared.memory.storage import MemoryStorage
from shared.operate.check import Checked
from shared.operate.which_input import WhichInput
from shared.plan.raw_input import RawInput
from shared.run.from_raw import FROM_RAW, FromRaw
from shared.run.record import WRITTEN, RunRecord
from shared.work.sources import Sources
from shared.work.written import Written
from tests.harness import MemoryRun, checked_of, record_of, storage_of
from tests.raw_shards import MemoryRanges, raw_of_volume
from tests.volumes import Volume, random_volume

RAW = f"{MEMORY}raw"


def agreeing_volume(seed: int, shape: tuple[int, int, int], schema: int = 3) -> Volume:
    """A volume whose files agree with each other, so that raw output can say the same."""
    return random_volume(seed, shape, size=5, density=0.6, schema=schema, disagree=0)


def raw_input(raw: RawFiles) -> RawInput:
    """What a record says of it."""
    return RawInput(RAW, raw.version, raw.resolution)


@dataclass
class RawRun(MemoryRun):
    """A run in memory that reads the raw output `raw` of its volume and writes processed files."""

    raw: RawFiles = field(default_factory=lambda: raw_of_volume(agreeing_volume(0, (1, 1, 1))))
    edges: MemoryStorage = field(default_factory=MemoryStorage)
    components: MemoryStorage = field(default_factory=MemoryStorage)
    replaced: dict[str, bytes | None] = field(default_factory=dict)
    """Shards that are replaced by other bytes, or by none."""

    @classmethod
    def of_raw(cls, volume: Volume, raw: RawFiles, **changes: Any) -> RawRun:
        """A run that nothing has been queued for yet."""
        return cls(volume, raw_record(volume, raw, **changes), raw=raw)

    def sources(self) -> Sources:
        """Raw output, and the two folders that are written to."""
        files = {name: data for name, data in (self.raw.files() | self.replaced).items() if data is not None}
        plan = self.record.plan
        records = RecordFormat(self.raw.version, self.raw.resolution)
        source = RawSource(RawAgglomeration(MemoryRanges(files, RAW), plan.grid, plan.ids, records))
        return Sources(source, self.scratch, Written(self.edges, self.components))

    def begin(self) -> RawRun:
        """As an ingest begins: what is written is said to be incomplete; then as any other run."""
        self.sources().written.note(self.record, complete=False)
        self.start()
        return self

    def files(self) -> dict[str, dict[str, bytes]]:
        """What was written, but for the notes beside it."""
        folders = {"edges": self.edges, "components": self.components}
        return {
            kind: {name: data for name, data in content(folder).items() if name != FROM_RAW}
            for kind, folder in folders.items()
        }

    def notes(self) -> list[bool]:
        """Whether each folder says that all files are there."""
        found = [content(folder)[FROM_RAW] for folder in (self.edges, self.components)]
        return [FromRaw.decode(data, FROM_RAW).complete for data in found]


def raw_record(volume: Volume, raw: RawFiles, **changes: Any) -> RunRecord:
    """The record of a run that reads raw output."""
    return replace(record_of(volume), raw=raw_input(raw), written=WRITTEN, **changes)


def content(storage: MemoryStorage) -> dict[str, bytes]:
    """All objects of a folder."""
    return {name: data for name, data in storage.get(list(storage.list(""))).items() if data is not None}


def processed_run(run: RawRun) -> MemoryRun:
    """A finished run that reads what another one wrote."""
    written = run.files()
    volume = replace(run.volume, edges=written["edges"], components=written["components"])
    return MemoryRun.of(volume, schema=run.record.schema).start().work()


def raw_folder(raw: RawFiles, folder: str = RAW) -> MemoryStorage:
    """The shards as objects of a folder."""
    storage = storage_of(raw.files())
    storage._folder = folder
    return storage


def checked_raw(volume: Volume, raw: RawFiles, written: tuple[str, ...] = WRITTEN) -> Checked:
    """A dataset that was checked and reads raw output, in folders of memory."""
    checked = checked_of(volume, f"{MEMORY}edges", f"{MEMORY}components", f"{MEMORY}ws")
    found = {**checked.dataset.raw, "ingest_config": {"AGGLOMERATION": RAW}}
    found["data_source"] = {**found["data_source"], "DATA_VERSION": raw.version}
    dataset = type(checked.dataset).model_validate(found)
    dataset._raw = found
    facts = replace(checked.volume, resolution=raw.resolution)
    return replace(checked, dataset=dataset, volume=facts, input=WhichInput(raw_input(raw), written))
