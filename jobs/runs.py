"""Runs by the name of their graph: their records, their connections, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from jobs.backends import Backend
from shared.errors import StateError
from shared.files import CloudFilesStorage
from shared.run.control import CONTROL_NAME, Control, decode_control, read_control
from shared.run.letters import collect
from shared.run.ports import Completion, Queue, Storage, Strays
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.sources import Sources
from shared.run.work import OpenRun

LOOK_SECONDS = 5.0
"""How often a worker looks whether its run was paused or reset."""


def storage(folder: str) -> Storage:
    """Objects below a folder, wherever it is."""
    return CloudFilesStorage(folder)


def scratch(backend: Backend, graph: str) -> Storage:
    """A graph's folder with its run record and hand-offs."""
    return storage(f"{backend.environment.scratch.rstrip('/')}/{graph}")


def load_record(backend: Backend, graph: str) -> RunRecord | None:
    """The current run of a graph, if it has one."""
    folder = scratch(backend, graph)
    return decode_record(folder.get([RECORD_NAME])[RECORD_NAME], folder)


def decode_record(data: bytes | None, folder: Storage) -> RunRecord | None:
    """The run record in an object of a graph's folder; None if there is no such object."""
    return None if data is None else RunRecord.decode(data, f"{folder.folder}/{RECORD_NAME}")


def need_record(backend: Backend, graph: str) -> RunRecord:
    """The current run of a graph; StateError if there is none."""
    record = load_record(backend, graph)
    if record is None:
        raise StateError(
            f"{backend.environment.scratch}: there is no run of graph {graph!r}; "
            "start one with: make ingest DATASET=…"
        )
    return record


def open_run(backend: Backend, record: RunRecord) -> OpenRun:
    """A run with its connections."""
    sources = Sources(storage(record.edges), storage(record.components), scratch(backend, record.graph))
    return OpenRun(
        record, sources, backend.table(record.table, record.instance), backend.completion(record.graph, record.run)
    )


@contextmanager
def publishing(backend: Backend, graph: str) -> Iterator[Queue]:
    """A queue to publish a graph's messages to; dispatch looks at the graph from then on."""
    backend.board().announce(graph)
    queue = backend.queue([])
    try:
        yield queue
    finally:
        queue.close()


@dataclass
class OpenRuns:
    """Opens runs by name for a worker and keeps them open.

    A graph's record and control are read again after `LOOK_SECONDS`, so that a worker notices when
    its run is reset or paused.
    """

    backend: Backend
    clock: Callable[[], float]
    known: dict[str, tuple[float, OpenRun | None]] = field(default_factory=dict)

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run, if it is the graph's current one."""
        read, opened = self.known.get(graph, (float("-inf"), None))
        if self.clock() - read > LOOK_SECONDS or (opened is None or opened.record.run != run):
            folder = scratch(self.backend, graph)
            found = folder.get([RECORD_NAME, CONTROL_NAME])
            record = decode_record(found[RECORD_NAME], folder)
            if opened is None or record != opened.record:
                opened = open_run(self.backend, record) if record else None
            if opened is not None:
                opened = replace(opened, control=decode_control(found[CONTROL_NAME], folder))
            self.known[graph] = self.clock(), opened
        return opened if opened is not None and opened.record.run == run else None


@dataclass
class BackendBooks:
    """What dead letters and dispatch need to know of runs, each record asked for once; answers
    `shared.run.letters.Books` and `shared.dispatch.ports.Books`."""

    backend: Backend
    records: dict[str, RunRecord | None] = field(default_factory=dict)
    completions: dict[tuple[str, str], Completion] = field(default_factory=dict)

    def record(self, graph: str) -> RunRecord | None:
        """The current run of a graph."""
        if graph not in self.records:
            self.records[graph] = load_record(self.backend, graph)
        return self.records[graph]

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""
        if (graph, run) not in self.completions:
            self.completions[graph, run] = self.backend.completion(graph, run)
        return self.completions[graph, run]

    def control(self, graph: str) -> Control:
        """What an operator wants of a graph's run."""
        return read_control(scratch(self.backend, graph))

    def strays(self) -> Strays:
        """The letters that belong to no run."""
        return self.backend.strays()


def note_letters(backend: Backend) -> None:
    """Turns the dead letters that wait into failure records, as functions/dead_letter does in the cloud."""
    collect(BackendBooks(backend), backend.letters())
