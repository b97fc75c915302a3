"""`upgrade`: a table of schema 2 becomes one of schema 3; run again, the command goes on where it was."""

from __future__ import annotations

import time
from pathlib import Path

import click

from jobs.commands.common import Ended, console, graph_option, how_to_go_on, running_backend, workers_option
from jobs.commands.ingest import work_until_done
from jobs.commands.inspect import show_layers, verify_run
from jobs.runs import need_record, note_letters, open_run, publishing
from shared.errors import StateError
from shared.run import control
from shared.run.start import is_finished, resume
from shared.run.upgrade import begin_upgrade, finish_upgrade


@click.command()
@graph_option
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def upgrade(graph: str, workers: int, truth: Path | None) -> None:
    """Make GRAPH's table of schema 2 one of schema 3, in place; run it again to go on."""
    backend = running_backend()
    record = need_record(backend, graph)
    run = open_run(backend, record)
    if not run.table.exists():
        raise StateError(f"there is no table {record.table} of graph {graph}")
    if record.schema == 3 and not record.upgrade:
        console.print(f"table {record.table} is of schema 3 already")
        return
    if not record.upgrade and not is_finished(record, run.completion):
        raise StateError(
            f"{graph} is not done, or its progress was lost; complete it first: "
            f"make ingest DATASET=… GRAPH={graph} RESUME=1 SCHEMA=2"
        )
    backend.prepare(record.plan.layers)
    with publishing(backend, graph) as queue:
        if record.upgrade:
            note_letters(backend)
            queued = sum(resume(record, run.sources.scratch, run.completion, queue).values())
            control.go_on(run.sources.scratch)
            console.print(f"goes on with the upgrade of {graph}: queued {queued:,} chunks that were not done")
        else:
            name = f"r{time.time_ns() // 1_000_000}"
            record, queued = begin_upgrade(record, name, run.sources.scratch, run.table, run.completion, queue)
            console.print(f"added family 4 to table {record.table} and queued {queued:,} chunks of layer 2")
    work_until_done(backend, record, workers)
    if not is_finished(record, backend.completion(graph, record.run)):
        raise StateError(f"the upgrade of {graph} is not done; go on with: {how_to_go_on(record)}")
    show_layers(backend, record)
    try:
        verify_run(backend, record, truth)
    except Ended:
        console.print("its version row still says schema 2: no reader is told of the new cells")
        raise
    finish_upgrade(record, run.sources.scratch, run.table)
    console.print(f"table {record.table} is of schema 3 now; give schema 3 in its dataset file as well")
