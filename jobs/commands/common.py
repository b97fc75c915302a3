"""What commands have in common: which backend they talk to, and the way they print."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from jobs.backends import GoogleBackend
from jobs.environment import LOCAL, REPOSITORY, Environment
from jobs.local import emulators
from shared.errors import StateError
from shared.outcome import Exit
from shared.plan.grid import Chunk
from shared.run.record import RunRecord

console = Console(soft_wrap=True, highlight=False)

DEFAULT_WORKERS = len(os.sched_getaffinity(0))

workers_option = click.option(
    "--workers",
    envvar="WORKERS",
    type=click.IntRange(0),
    default=DEFAULT_WORKERS,
    help="Worker processes here; one a core unless given.",
)

graph_option = click.option(
    "--graph", envvar="GRAPH", required=True, help="The graph, as named when it was ingested."
)

schema_option = click.option(
    "--schema",
    type=click.Choice([2, 3]),
    help="Layout of the table: 2 for servers of version 2.x, 3 for 3.x; the dataset file's unless given.",
)


def _chunks(_context: object, _parameter: object, texts: tuple[str, ...]) -> tuple[Chunk, ...]:
    """Chunks as people name them: `2 1 1 1`, or `2/1_1_1` as they are printed; several after commas."""
    found = []
    for text in (part for whole in texts for part in whole.split(",")):
        try:
            layer, x, y, z = (int(number) for number in text.replace("/", " ").replace("_", " ").split())
        except ValueError as error:
            raise click.BadParameter(f"{text.strip()!r} is no chunk; write one as L X Y Z") from error
        found.append(Chunk(layer, x, y, z))
    return tuple(found)


def chunks_option(explained: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """The option that names chunks."""
    return click.option("--chunk", "chunks", multiple=True, metavar="'L X Y Z'", callback=_chunks, help=explained)


class Ended(Exception):
    """Ends a command with an exit code; everything there is to say has been printed."""

    def __init__(self, code: Exit) -> None:
        self.code = code
        super().__init__(code.name)


def environment() -> Environment:
    """The environment with the hosts of the local emulators that run, unless PROJECT is given."""
    read = Environment.read(os.environ)
    if read.project is not None:
        return read
    return replace(read, hosts={**emulators.running(LOCAL), **read.hosts})


def running_backend() -> GoogleBackend:
    """Google Cloud, or the emulators that run; StateError if there is neither."""
    backend = GoogleBackend(environment())
    if backend.environment.project is None and len(backend.environment.hosts) < 3:
        raise StateError("no emulators run here; start them with: make ingest DATASET=example")
    return backend


def started_backend() -> GoogleBackend:
    """Google Cloud, or emulators, started where they do not run; EmulatorsMissing if that cannot be."""
    read = Environment.read(os.environ)
    if read.project is not None:
        return GoogleBackend(read)
    return GoogleBackend(replace(read, hosts=emulators.ensure(LOCAL, read.hosts)))


def how_to_go_on(record: RunRecord) -> str:
    """The command that goes on with a run."""
    if record.upgrade:
        return f"make upgrade GRAPH={record.graph}"
    return f"make ingest DATASET=… GRAPH={record.graph} RESUME=1"


def dataset_path(name: str) -> Path:
    """The dataset file that DATASET means: a path, or the name of a file in configs/."""
    if name.endswith((".yml", ".yaml")) or "/" in name:
        return Path(name)
    return REPOSITORY / "configs" / f"{name}.yml"
