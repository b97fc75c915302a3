"""What answers all ports in the memory of this process: for machines without emulators, and gone with it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.classify import Classifier, Classify
from shared.files import CloudFilesStorage, bucket_errors
from shared.inputs.folder import InputFiles, plain_location
from shared.inputs.raw.ranges import RangeReader
from shared.memory.completion import MemoryCompletion, MemoryOrphans
from shared.memory.dispatch import MemoryBoard
from shared.memory.queue import MemoryBroker
from shared.memory.storage import MemoryRanges, MemoryStorage
from shared.memory.table import MemoryTable
from shared.ranges import CloudFilesRanges
from shared.run.ports import DEAD, Board, Completion, Delivery, Folder, Orphans, Queue, Storage, Table

MEMORY = "memory://"
"""How the name of a folder begins whose objects are in memory too; others are where they say."""


@dataclass
class MemoryBackend:
    """Answers `shared.run.backend.Backend`; each port is the same however often it is opened."""

    scratch: str = f"{MEMORY}scratch"
    project: None = None
    classify: Classify = field(default_factory=lambda: Classifier(bucket_errors))
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(time.monotonic))
    completions: dict[tuple[str, str], MemoryCompletion] = field(default_factory=dict)
    tables: dict[str, MemoryTable] = field(default_factory=dict)
    folders: dict[str, MemoryStorage] = field(default_factory=dict)
    kept_orphans: MemoryOrphans = field(default_factory=MemoryOrphans)
    kept_board: MemoryBoard = field(default_factory=MemoryBoard)

    def storage(self, folder: str) -> Storage:
        """Objects in memory, or files of a disk or bucket."""
        if folder.startswith(MEMORY):
            return self.folders.setdefault(folder, MemoryStorage(folder))
        return CloudFilesStorage(folder)

    def inputs(self, folder: str) -> Folder:
        """Objects in memory, or input files of a disk, bucket or web server."""
        return self.storage(folder) if folder.startswith(MEMORY) else InputFiles(folder)

    def ranges(self, folder: str) -> RangeReader:
        """Parts of objects in memory, or of files of a disk or bucket."""
        if folder.startswith(MEMORY):
            return MemoryRanges(self.storage(folder))
        return CloudFilesRanges(plain_location(folder))

    def queue(self, layers: Sequence[int]) -> Queue:
        """Another opening of the one broker."""
        return self.broker.open(layers)

    def completion(self, graph: str, run: str) -> Completion:
        """The records of a run."""
        return self.completions.setdefault((graph, run), MemoryCompletion())

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Table:
        """The table of that name, whoever reads it."""
        return self.tables.setdefault(name, MemoryTable(name))

    def prepare(self, layers: Sequence[int]) -> None:
        """Nothing to prepare."""

    def dead_letters(self) -> Iterator[Delivery]:
        """What waits in the dead letters."""
        queue = self.broker.open([DEAD])
        while (delivery := queue.receive(0.0)) is not None:
            yield delivery

    def orphans(self) -> Orphans:
        """Dead letters in memory."""
        return self.kept_orphans

    def board(self) -> Board:
        """A board in memory."""
        return self.kept_board
