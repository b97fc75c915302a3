"""What commands have in common: options, which backend they talk to, questions, and how they end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from jobs import interrupts, output
from jobs.local import emulator_guard, emulators
from jobs.local.given import need_answers
from jobs.paths import LOCAL, REPOSITORY
from jobs.streams import claimed
from shared.environment import EMULATORS, RUN_HOST, Environment
from shared.errors import StateError
from shared.exit_codes import Exit
from shared.gcp.backend import GoogleBackend
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.plan.names import NAME

DEFAULT_WORKERS = len(os.sched_getaffinity(0))


class Command(click.Command):
    """A command that keeps standard output for itself once its arguments are understood."""

    def invoke(self, context: click.Context) -> Any:
        """Runs the command."""
        with claimed():
            return super().invoke(context)


def command(name: str) -> Callable[[Callable[..., None]], click.Command]:
    """Makes a function the command `name`."""
    return click.command(name, cls=Command)


workers_option = click.option(
    "--workers",
    envvar="INGEST_WORKERS",
    type=click.IntRange(0),
    default=DEFAULT_WORKERS,
    help="Worker processes here; one a core unless given.",
)


def _graph(_context: object, _parameter: object, name: str) -> str:
    """A name that leads to nothing but the graph's own folder."""
    if NAME.fullmatch(name) is None:
        raise click.BadParameter(f"{name!r} is no graph's name: a letter, then letters, digits, _, -; 63 at most")
    return name


graph_option = click.option(
    "--graph",
    envvar="INGEST_GRAPH",
    required=True,
    callback=_graph,
    help="The graph, as named when it was ingested.",
)

named_graph_option = click.option(
    "--graph", envvar="INGEST_GRAPH", help="The graph's name; the dataset's name unless given."
)

schema_option = click.option(
    "--schema",
    type=click.Choice([2, 3]),
    help="Layout of the table: 2 for servers of version 2.x, 3 for 3.x; the dataset file's unless given.",
)

raw_option = click.option(
    "--raw", is_flag=True, help="Read raw agglomeration output, also where there are processed files."
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
layer_argument = click.argument("layer", type=int, required=False)


def parse_chunk(text: str) -> Chunk:
    """A chunk as people name it: `2 1 1 1`, or `2/1_1_1` as it is printed."""
    try:
        layer, x, y, z = (int(number) for number in text.replace("/", " ").replace("_", " ").split())
    except ValueError as error:
        raise click.BadParameter(f"{text.strip()!r} is no chunk; write one as L X Y Z or L/X_Y_Z") from error
    return Chunk(layer, x, y, z)


def _chunk(_context: object, _parameter: object, parts: tuple[str, ...]) -> Chunk:
    return parse_chunk(" ".join(parts))


def _chunks(_context: object, _parameter: object, texts: tuple[str, ...]) -> tuple[Chunk, ...]:
    return tuple(parse_chunk(part) for whole in texts for part in whole.split(","))


chunk_argument = click.argument("chunk", nargs=-1, required=True, callback=_chunk, metavar="CHUNK")
"""One chunk, in either way to write it."""


def chunks_option(explained: str) -> Callable[[click.decorators.FC], click.decorators.FC]:
    """The option that names chunks; several after commas."""
    return click.option("--chunk", "chunks", multiple=True, metavar="'L X Y Z'", callback=_chunks, help=explained)


class Ended(Exception):
    """Ends a command with an exit code; everything there is to say has been printed."""

    def __init__(self, code: Exit) -> None:
        self.code = code
        super().__init__(code.name)


def confirm(question: str, yes: bool) -> None:
    """Asks, unless `yes` was said; StateError where nobody can answer."""
    if yes:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise StateError(
            f"nobody can be asked here: {question}? Nothing was done; if you mean it, say YES=1 (--yes)"
        )
    click.confirm(question, abort=True, err=True)


def environment() -> Environment:
    """The environment with the hosts of the local emulators that run, unless a project is given."""
    read = Environment.read(os.environ, f"file://{LOCAL / 'scratch'}")
    if read.project is not None:
        return read
    return replace(read, hosts={**emulators.running(LOCAL), **read.hosts})


def _checked(read: Environment) -> Environment:
    """The same, once those who were named have answered."""
    named = {name: os.environ.get(name) for name in (*EMULATORS, RUN_HOST)}
    need_answers({name: host for name, host in named.items() if host and (name != RUN_HOST or read.project)})
    return read


def running_backend() -> GoogleBackend:
    """Google Cloud, or the emulators that run; StateError if there is neither."""
    return _guarded(GoogleBackend(_checked(environment())))


def started_backend() -> GoogleBackend:
    """Google Cloud, or emulators, started where they do not run; EmulatorsMissing if that cannot be."""
    read = _checked(environment())
    if read.project is not None:
        return GoogleBackend(read)
    return _guarded(GoogleBackend(replace(read, hosts=emulators.ensure(LOCAL, {**os.environ, **read.hosts}))))


def _guarded(backend: GoogleBackend) -> GoogleBackend:
    """Has the command end, with what there is to say, if an emulator of ours ends that it uses."""
    if backend.project is None:
        context = click.get_current_context(silent=True)
        given = context.params if context else {}
        dataset = given.get("dataset") or "NAME"
        graph = f"GRAPH={given.get('graph') or Path(dataset).stem}"

        def tell(text: str) -> None:
            output.say(text)
            interrupts.end(Exit.TRY_AGAIN)

        again = "upgrade" if context and context.info_name == "upgrade" else "resume"
        begin, go_on = f"make ingest DATASET={dataset} {graph}", f"make {again} {graph}"
        emulator_guard.guard(LOCAL, backend.environment.hosts, tell, begin, go_on)
    return backend


def open_run(graph: str) -> Run:
    """A run on what runs."""
    return Run.open(running_backend(), graph)


def dataset_path(name: str) -> Path:
    """The dataset file that DATASET means: a path, or the name of a file in configs/. StateError without it."""
    if name.endswith((".yml", ".yaml")) or "/" in name:
        path = Path(name)
        if not path.is_absolute() and not path.exists():
            raise StateError(
                f"DATASET = {name!r:.200}: there is no such file in {Path.cwd()}, where this (or make -C) runs; "
                "give its whole path, from / on"
            )
        return path
    path = REPOSITORY / "configs" / f"{name}.yml"
    if not path.exists():
        raise StateError(
            f"DATASET = {name!r:.200}: there is no {path}; give a name in configs/ or the path of a .yml file"
        )
    return path


def some(items: list[Any] | set[Any], most: int = 5) -> str:
    """The first of many, sorted, and how many more there are."""
    named = ", ".join(map(str, sorted(items)[:most]))
    return f"{named} and {len(items) - most:,} more" if len(items) > most else named
