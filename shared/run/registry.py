"""Runs by the name of their graph: the records in its scratch folder, and their progress.

    {scratch}/{graph}/run.json        the record of its current run
    {scratch}/{graph}/control.json    what an operator wants of it
    {scratch}/{graph}/queued.json     how far the lowest layer of a large run is queued (shared.run.queued)
    {scratch}/{graph}/{run}/...       hand-offs

The one place that knows this, for commands, workers, functions and dispatch alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from shared.errors import StateError
from shared.run.backend import Progress
from shared.run.control import Control, read_control
from shared.run.ports import Completion, Failure, Orphans, Storage
from shared.run.record import RECORD_NAME, RunRecord

READS_A_SECOND = 30
"""Failure records that are read again and again may come to so many reads a second on average, some 80 cents a
day; the more there are, the less often they are looked at."""


def graph_folder(progress: Progress, graph: str) -> Storage:
    """A graph's folder with its run record and hand-offs; `graph` is a name that was checked."""
    return progress.storage(f"{progress.scratch.rstrip('/')}/{graph}")


def decode_record(data: bytes | None, folder: Storage) -> RunRecord | None:
    """The run record in an object of a graph's folder; None if there is no such object."""
    return None if data is None else RunRecord.decode(data, f"{folder.folder}/{RECORD_NAME}")


def load_record(progress: Progress, graph: str) -> RunRecord | None:
    """The current run of a graph, if it has one; DataError if its record cannot be understood."""
    folder = graph_folder(progress, graph)
    return decode_record(folder.get([RECORD_NAME])[RECORD_NAME], folder)


def need_record(progress: Progress, graph: str) -> RunRecord:
    """The current run of a graph; StateError if there is none."""
    record = load_record(progress, graph)
    if record is None:
        raise StateError(
            f"{progress.scratch}: there is no run of graph {graph!r}; start one with: "
            f"make ingest DATASET=NAME GRAPH={graph}"
        )
    return record


@dataclass
class Registry:
    """What dead letters and dispatch need to know of runs. Connections are kept; records are read each
    time, or once for all of a batch where it `remembers`."""

    progress: Progress
    remembers: bool = False
    records: dict[str, RunRecord | None] = field(default_factory=dict)
    completions: dict[tuple[str, str], Completion] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    listed: dict[tuple[str, str], tuple[float, Sequence[Failure]]] = field(default_factory=dict)
    """The failures of runs, and until when they are taken for the current ones."""

    def record(self, graph: str) -> RunRecord | None:
        """The current run of a graph, if it has one; DataError if its record cannot be understood."""
        if not self.remembers:
            return load_record(self.progress, graph)
        if graph not in self.records:
            self.records[graph] = load_record(self.progress, graph)
        return self.records[graph]

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""
        if (graph, run) not in self.completions:
            self.completions[graph, run] = self.progress.completion(graph, run)
        return self.completions[graph, run]

    def failures(self, graph: str, run: str) -> Sequence[Failure]:
        """The failures of a run; of many, as they were some minutes ago at most."""
        until, found = self.listed.get((graph, run), (float("-inf"), ()))
        if self.clock() >= until:
            found = self.completion(graph, run).failures()
            self.listed[graph, run] = self.clock() + len(found) / READS_A_SECOND, found
        return found

    def control(self, graph: str) -> Control:
        """What an operator wants of a graph's run."""
        return read_control(graph_folder(self.progress, graph))

    def orphans(self) -> Orphans:
        """The dead letters that belong to no run."""
        return self.progress.orphans()

    def batch(self) -> Registry:
        """The same for one batch: each record is asked for once."""
        return replace(self, remembers=True, records={})
