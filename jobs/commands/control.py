"""`pause` and `resume`: nothing new begins; or everything that is missing does, wherever it was lost."""

from __future__ import annotations

import socket
from pathlib import Path

import click

from jobs.commands.cloud import kick
from jobs.commands.common import (
    console,
    graph_option,
    how_to_go_on,
    running_backend,
    started_backend,
    workers_option,
)
from jobs.commands.ingest import work_until_done
from jobs.commands.inspect import show_layers, verify_run
from jobs.runs import need_record, note_letters, open_run, publishing
from shared.errors import StateError
from shared.run import control
from shared.run.moments import now
from shared.run.start import is_finished, resume
from shared.table.columns import META_KEY


@click.command()
@graph_option
def pause(graph: str) -> None:
    """Begin no more chunks of a run; those under way are finished."""
    backend = running_backend()
    run = open_run(backend, need_record(backend, graph))
    if is_finished(run.record, run.completion):
        console.print(f"{graph} is done; there is nothing to pause")
        return
    control.pause(run.sources.scratch, f"since {now()} from {socket.gethostname()}")
    console.print(
        f"paused {graph}: workers begin no more chunks within seconds. Go on with: make resume GRAPH={graph}"
    )


@click.command("resume")
@graph_option
@workers_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def resume_command(graph: str, workers: int, truth: Path | None) -> None:
    """Go on with a run that was paused, or lost its messages, its progress or the machine that began it."""
    backend = started_backend()
    record = need_record(backend, graph)
    run = open_run(backend, record)
    if not run.table.exists() or next(iter(run.table.read_keys([META_KEY])), None) is None:
        raise StateError(
            f"table {record.table} of {graph} is not there, or not begun; start with: {how_to_go_on(record)}"
        )
    backend.prepare(record.plan.layers)
    note_letters(backend)
    with publishing(backend, graph) as queue:
        queued = sum(resume(record, run.sources.scratch, run.completion, queue).values())
    # Only now: workers that wait would begin before they know that messages may have doubles.
    control.go_on(run.sources.scratch)
    console.print(f"resumed {graph}: queued {queued:,} chunks that were not done and wait for nothing")
    if backend.environment.project is not None:
        kick(backend)
        project = backend.environment.project
        console.print(f"tasks in the cloud take them; see: make status GRAPH={graph} PROJECT={project}")
        return
    if record.upgrade:
        console.print(f"the upgrade goes on with: {how_to_go_on(record)}")
        return
    work_until_done(backend, record, workers)
    if not is_finished(record, run.completion):
        console.print(f"what is ready is done; parents wait for: make layer N=… GRAPH={graph}")
        return
    show_layers(backend, record)
    verify_run(backend, record, truth)
