"""Beginning a run of a dataset, or finding the one that was begun: refused before anything is made."""

from __future__ import annotations

import time
from dataclasses import replace

from shared.errors import ConfigError, IngestError, Problem, StateError
from shared.operate import clearing
from shared.operate.check import Checked
from shared.operate.queueing import start
from shared.operate.run import Run
from shared.operate.which_input import as_problems
from shared.run.backend import Backend
from shared.run.record import RunRecord
from shared.run.registry import graph_folder, load_record
from shared.table.meta import start_cells

RULES = ("one_sided_edges", "edges_beyond_volume", "unusable_edges")
SAME = ("shape", "edges", "components", "raw", "segmentation", "schema", "test", "spatial_bits", "table", *RULES)
"""What a run goes on with as it was begun."""


def find(backend: Backend, checked: Checked, graph: str, prepare: bool = False) -> Run | None:
    """The run of `graph` that was begun with this dataset; None if there is none, or its table is gone, or it
    only prepared files and is to build a table now.

    `prepare`: a run that only writes processed files is looked for. StateError for a table that is not ours,
    for a run of another configuration, and for one with a table where files are to be prepared.
    """
    record = load_record(backend, graph)
    if record is not None and record.prepare and prepare:
        _check_same(record, checked.as_begun(record).record(graph, record.run, record.timestamp_ms, prepare=True))
        return Run(backend, record)
    if not backend.table(checked.table, checked.instance).exists():
        return None
    if record is None or record.prepare:
        raise StateError(
            f"table {checked.table} exists, but not from a run that is recorded below {backend.scratch}; "
            "it is left alone. Give another name with GRAPH=…, or delete it"
        )
    if prepare:
        raise StateError(
            f"{graph} is a graph with a table; to prepare files for another one, give it another name with GRAPH=…"
        )
    run = Run(backend, record)
    if record.upgrade:
        raise StateError(f"{graph} is becoming a table of schema 3; go on with: make upgrade GRAPH={graph}")
    if not checked.dataset.states_schema:
        checked = checked.with_schema(record.schema)
    checked = checked.as_begun(record)
    _check_same(record, checked.record(graph, record.run, record.timestamp_ms))
    return run


def begin(
    backend: Backend,
    checked: Checked,
    graph: str,
    truth: str | None = None,
    now_ms: int | None = None,
    prepare: bool = False,
    verified: bool = False,
) -> tuple[Run, int]:
    """Begins a run of `graph`, for which `find` found none; the run, and how many chunks are queued.

    `truth`: a file with the object of every supervoxel, which `verify` compares with. `now_ms` is the
    time of all cells (milliseconds since 1970), now unless given. `prepare`: the run writes processed files
    from raw output, and makes no table. `verified`: each chunk is verified by the job that builds it. Raises
    ConfigError and StateError before anything is made or deleted: for a scratch folder that meets an input folder,
    for a graph's folder that holds what is not ours, and for folders of processed files that cannot be written, or
    must not.
    """
    folder = graph_folder(backend, graph)
    problems = clearing.overlaps(backend.scratch, checked.folders) + _cannot_write(checked, prepare)
    if problems:
        raise ConfigError(problems)
    clearing.need_own_folder(folder)
    begun = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    record = checked.record(graph, f"r{begun}", begun, truth, prepare)
    record = replace(record, verified=verified and not prepare)
    run = Run(backend, record)
    try:
        run.opened.sources.written.note(record, complete=False)
    except IngestError as error:
        told = f"{error}; it is where processed files go"
        raise ConfigError([Problem("dataset", "data_source", None, told)]) from error
    # What a run left whose table is gone; its completion records have its own run's name.
    clearing.delete_graph(folder)
    backend.prepare(record.plan.layers)
    with run.publishing() as queue:
        table = None if prepare else run.opened.table
        count = start(record, folder, table, queue, start_cells(checked.dataset, graph))
    return run, count


def _cannot_write(checked: Checked, prepare: bool) -> list[Problem]:
    """What is wrong with the processed files that a run would write; a test writes none."""
    wanted = checked.input
    if prepare and wanted.source is None:
        told = (
            "PREPARE=1 (--prepare-only) writes processed files from raw output or a segmentation, and it is those "
            "that are read here"
        )
        return [Problem("command line", "prepare-only", None, told)]
    if prepare and (checked.plan.test or not (wanted.written or wanted.refused)):
        told = "a test writes no processed files" if checked.plan.test else "there are no files to write: "
        if not checked.plan.test:
            told += "they are there already" if wanted.kept else "neither EDGES nor COMPONENTS is given"
        return [Problem("command line", "prepare-only", None, told)]
    return [] if checked.plan.test else as_problems("dataset", wanted.refused)


def _check_same(record: RunRecord, now: RunRecord) -> None:
    """StateError unless a run can go on with the configuration that a dataset has by now."""
    before, after = vars(record), vars(now)
    changed = [name for name in SAME if before[name] != after[name]]
    if changed:
        told = "; ".join(f"{name} was {before[name]!r} and is {after[name]!r}" for name in changed)
        possible = changed == ["schema"] and record.schema == 2
        upgrade = f", or make it one of schema 3: make upgrade GRAPH={record.graph}" if possible else ""
        raise StateError(
            f"the table of {record.graph} was begun with another configuration ({told}); "
            f"give the new one another name with GRAPH=…{upgrade}"
        )
