"""Runs as a worker opens them: by what a message says, kept open, and looked at again now and then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from shared.errors import OfOneRun, StateError
from shared.inputs.folder import plain_location
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.inputs.segmentation.box import Volumes
from shared.inputs.segmentation.cutting import Tables
from shared.inputs.source import InputSource, ProcessedSource, RawSource
from shared.run.backend import Backend
from shared.run.control import CONTROL_NAME, decode_control
from shared.run.record import RECORD_NAME, WRITTEN, RunRecord
from shared.run.registry import decode_record, graph_folder
from shared.tables.lookup import Lookup, SortedTables
from shared.tables.parts import Part
from shared.tables.rows import Table
from shared.work.cutter import Cutter, OutputVolume, open_cuts
from shared.work.inputs_of_run import InputFolder, InputRanges, OutputFolder
from shared.work.sources import Sources
from shared.work.steps import OpenRun
from shared.work.table_sorter import TableSorter
from shared.work.verifier import Verifier
from shared.work.verifying import Verifying
from shared.work.written import Written

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

    def output(folder: str) -> OutputFolder:
        return OutputFolder(graph, plain_location(folder), backend.storage)

    written = Written.of(record, output, lambda cut: OutputVolume.of(cut, output(cut.watershed)))
    scratch = graph_folder(backend, graph)
    tables = open_tables(backend, record)
    cutter = sorter = None
    if record.segmentation is not None:
        cutter = Cutter(record.segmentation, Volumes.of(record.segmentation), tables)
        sorter = TableSorter(record, scratch, lambda folder: InputRanges(graph, folder, backend.ranges))
    inputs = open_inputs(backend, record, tables)
    verifying = None
    if record.verifies or record.verified:
        # Beside a test's chunks nothing is built, but its own input is all there.
        read = backend.table(record.table, record.instance, verifying=True)
        verifying = Verifying(record, scratch, Verifier(record.plan, read, None if record.test else inputs))
    sources = Sources(inputs, scratch, written, cutter, sorter, verifying)
    return OpenRun(record, sources, table, backend.completion(graph, record.run))


def open_inputs(backend: Backend, record: RunRecord, tables: Tables | None) -> InputSource:
    """The input of a run, with the `tables` of a segmentation. What is remembered of raw output belongs to one
    opening, so it does not outlive a run."""
    if record.segmentation is not None:
        return open_cuts(record, graph_folder(backend, record.graph), tables)
    if record.raw is None:
        return _open_files(backend, record)
    raw, plan = record.raw, record.plan
    records = RecordFormat(raw.data_version, raw.resolution)
    reader = InputRanges(record.graph, raw.agglomeration, backend.ranges)
    return RawSource(RawAgglomeration(reader, plan.grid, plan.ids, records))


def open_written(backend: Backend, record: RunRecord) -> InputSource:
    """What the table of a finished run is compared with: its input, or the files that were made of a segmentation,
    as cuts may be gone when a run is over."""
    if record.segmentation is not None and set(WRITTEN) <= set(record.written):
        return _open_files(backend, record)
    return open_inputs(backend, record, open_tables(backend, record))


def _open_files(backend: Backend, record: RunRecord) -> ProcessedSource:
    assert record.edges is not None and record.components is not None
    folders = (record.edges, record.components)
    return ProcessedSource(*(InputFolder(record.graph, folder, backend.inputs) for folder in folders))


def open_tables(backend: Backend, record: RunRecord) -> Tables | None:
    """What the sorted tables of a segmentation say; None where it has none."""
    cut = record.segmentation
    if cut is None or not record.table_parts:
        return None
    reader = backend.ranges(f"{backend.scratch.rstrip('/')}/{record.graph}")
    parts = {number: str(Part.read(part)) for number, part in enumerate(record.table_parts)}
    if cut.mapping:
        return SortedTables(Lookup(Table.MAPPING, reader, record.handoff_name, parts))
    joined = {len(parts): "what scores join"}
    scores = Lookup(Table.SCORES, reader, record.handoff_name, parts)
    return SortedTables(Lookup(Table.MAPPING, reader, record.handoff_name, joined), scores)


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
