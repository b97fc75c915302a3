"""Runs as a worker opens them: by what a message says, kept open, and looked at again now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared.errors import OfOneRun, StateError
from shared.run.backend import Backend
from shared.run.control import CONTROL_NAME, decode_control
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.registry import decode_record, graph_folder
from shared.work.inputs_of_run import InputFolder
from shared.work.sources import Sources
from shared.work.steps import OpenRun

LOOK_SECONDS = 5.0
"""How often a worker looks whether its run was paused or reset."""


def open_run(backend: Backend, record: RunRecord) -> OpenRun:
    """A run with its connections; its input folders are opened when something is read from them.

    OfOneRun if its table cannot be told from its record.
    """
    graph = record.graph
    try:
        table = backend.table(record.table, record.instance)
    except StateError as error:
        raise OfOneRun(f"the table of graph {graph}: {error}") from error
    edges, components = (InputFolder(graph, name, backend.inputs) for name in (record.edges, record.components))
    sources = Sources(edges, components, graph_folder(backend, graph))
    return OpenRun(record, sources, table, backend.completion(graph, record.run))


@dataclass
class OpenRuns:
    """Opens runs by name for a worker and keeps them open; answers `shared.work.attempt.Runs`.

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
            folder = graph_folder(self.backend, graph)
            found = folder.get([RECORD_NAME, CONTROL_NAME])
            record = decode_record(found[RECORD_NAME], folder)
            if opened is None or record != opened.record:
                # The run that the message names may be over: its folders need not open any more.
                opened = open_run(self.backend, record) if record and record.run == run else None
            if opened is not None:
                opened = replace(opened, control=decode_control(found[CONTROL_NAME], folder))
            self.known[graph] = self.clock(), opened
        return opened if opened is not None and opened.record.run == run else None
