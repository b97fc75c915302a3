"""`logs`: what workers logged of a chunk, attempts in order."""

from __future__ import annotations

import os
from pathlib import Path

import click

from jobs.console import chunk_argument, command, graph_option, json_option
from jobs.output import put, put_json, say
from jobs.paths import LOCAL
from shared.environment import Environment
from shared.errors import StateError
from shared.gcp.doctor.rest import RestCloud
from shared.gcp.progress import GoogleProgress
from shared.logbook.cloud_logging import console, in_cloud
from shared.logbook.files import in_folder
from shared.logbook.line import Logbook, Wanted, shown
from shared.memory.backend import MemoryBackend
from shared.plan.grid import Chunk
from shared.run.backend import Progress
from shared.run.registry import need_record
from shared.timestamps import text_of


@command("logs")
@chunk_argument
@click.option("--all", "whole", is_flag=True, help="Lines of older runs of the graph, too.")
@json_option
@graph_option
def logs(chunk: Chunk, whole: bool, as_json: bool, graph: str) -> None:
    """Print what was logged of a CHUNK (L X Y Z) of a run, attempts in order; from Cloud Logging with a project."""
    known = Environment.read(os.environ, f"file://{LOCAL / 'scratch'}")
    # The logs of this machine are there when its emulators are not, so nothing but the run's record is asked for.
    progress: Progress = GoogleProgress(known) if known.project else MemoryBackend(known.scratch)
    wanted = Wanted(graph, chunk) if whole else of_run(progress, graph, chunk)
    address, place = None, LOCAL / "logs" / graph
    if known.project is None:
        found = in_folder(place, wanted)
    else:
        address = console(known.project, wanted)
        if not as_json:
            put(address)
        if not known.has_apis:
            raise StateError("what was logged is in no Cloud Logging: emulators stand in for the services here")
        found = in_cloud(RestCloud(known.project, known.apis_host), known.project, wanted)
    if as_json:
        put_json({
            "graph": graph,
            "run": wanted.run,
            "chunk": str(chunk),
            "lines": found.lines,
            "left_out": found.left_out,
            "remarks": found.remarks,
            "console": address,
        })  # fmt: skip
        return
    _put(found, wanted, place if address is None else Path("Cloud Logging"))


def of_run(progress: Progress, graph: str, chunk: Chunk) -> Wanted:
    """What the current run of a graph logged of a chunk; StateError without a run, or such a chunk."""
    record = need_record(progress, graph)
    if chunk not in record.plan:
        raise StateError(f"{graph} has no chunk {chunk}; make plan shows its layers and their grids")
    # Clocks of this machine and of those that log may differ.
    return Wanted(graph, chunk, record.run, text_of(record.timestamp_ms / 1000 - 3600))


def _put(found: Logbook, wanted: Wanted, place: Path) -> None:
    if found.left_out:
        say(f"the newest of {len(found.lines) + found.left_out:,} lines")
    for fields in found.lines:
        for line in shown(fields, with_run=wanted.run is None):
            put(line)
    for remark in found.remarks:
        say(f"- {remark}")
    older = "" if wanted.run is None else f" of run {wanted.run}; ALL=1 (--all) has those of older runs, too"
    if found.lines:
        say(f"{len(found.lines):,} line{'' if len(found.lines) == 1 else 's'} of chunk {wanted.chunk}{older}")
        return
    say(
        f"{place} has no line of chunk {wanted.chunk}{older}. A worker logs a chunk when an attempt ends: one that "
        "waits, or is being built, has none yet"
    )
