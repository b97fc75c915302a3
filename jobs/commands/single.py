"""`chunk`, `chunk-local`, `reset` and `down`: one chunk by hand, and clearing up."""

from __future__ import annotations

import dataclasses
import shutil
import time
import traceback

import click

from jobs.commands.cloud import kick
from jobs.commands.common import Ended, console, graph_option, how_to_go_on, running_backend
from jobs.environment import LOCAL
from jobs.local import emulators
from jobs.runs import need_record, open_run, publishing, scratch
from shared.errors import StateError
from shared.plan.grid import Chunk
from shared.run.classify import Kind, classify
from shared.run.messages import Message
from shared.run.moments import now
from shared.run.outcomes import HANDLING, OUTCOME_OF
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.replay import forget
from shared.run.work import cells_to_write
from shared.table.cells import Cells
from shared.table.decode import decode_counter, decode_id, decode_ids, decode_pairs


def chunk_arguments(command: click.decorators.FC) -> click.decorators.FC:
    """The four arguments that name a chunk."""
    for name in ("z", "y", "x", "layer"):
        command = click.argument(name, type=int)(command)
    return command


def _chunk_of(record: RunRecord, layer: int, x: int, y: int, z: int) -> Chunk:
    chunk = Chunk(layer, x, y, z)
    if chunk not in record.plan:
        grids = ", ".join(f"{at}: {record.plan.grid.layer_shape(at)}" for at in record.plan.layers)
        raise StateError(f"{record.graph} has no chunk {chunk}; its grids by layer are {grids}")
    return chunk


@click.command()
@chunk_arguments
@graph_option
def chunk(layer: int, x: int, y: int, z: int, graph: str) -> None:
    """Queue the chunk LAYER X Y Z of a run once more; building it again changes nothing else."""
    backend = running_backend()
    record = need_record(backend, graph)
    wanted = _chunk_of(record, layer, x, y, z)
    completion = backend.completion(graph, record.run)
    failure = completion.failure(wanted)
    with publishing(backend, graph) as queue:
        queue.publish(layer, [Message(graph, record.run, wanted, force=True).encode()])
    forget(completion, [failure] if failure else [], now())
    kick(backend, {layer: 1})
    console.print(f"queued chunk {wanted}; workers of layer {layer} take it")


@click.command("chunk-local")
@chunk_arguments
@graph_option
def chunk_local(layer: int, x: int, y: int, z: int, graph: str) -> None:
    """Build the chunk LAYER X Y Z in this process and print the cells it would write; writes nothing."""
    backend = running_backend()
    record = need_record(backend, graph)
    wanted = _chunk_of(record, layer, x, y, z)
    try:
        built = open_run(backend, record).sources.build(record, wanted)
    except Exception as error:
        kind = classify(error)
        if kind is Kind.TRANSIENT:
            traceback.print_exc()
        click.echo(f"chunk {wanted}: {type(error).__name__}: {error}\n{kind.name.lower()}: {kind.value}", err=True)
        raise Ended(HANDLING[OUTCOME_OF[kind]].exit) from error
    written = cells_to_write(record, built.cells)
    for cells in written:
        for key, value in zip(cells.keys, cells.values, strict=True):
            click.echo(f"{key.decode()} {cells.column} {_readable(cells, value)}")
    waiting = len(built.handoff.nodes)
    click.echo(f"{sum(len(cells.keys) for cells in written)} cells; {waiting} nodes wait for a parent", err=True)


def _readable(cells: Cells, value: bytes) -> object:
    name = str(cells.column)
    if name == "0:parents":
        return decode_id(value)
    if name == "1:counter":
        return decode_counter(value)
    return (decode_ids if name == "0:children" else decode_pairs)(value).tolist()


@click.command()
@graph_option
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(graph: str, yes: bool) -> None:
    """Drop the progress, hand-offs and queued messages of a run; its table and timestamp stay."""
    backend = running_backend()
    record = need_record(backend, graph)
    if not yes:
        click.confirm(f"Drop the progress of run {record.run} of {graph}? The table stays", abort=True)
    folder = scratch(backend, graph)
    # A new run id comes first: from here on workers take every queued message of the old run for
    # stale. The timestamp is kept, so what is built again is what is there.
    renewed = dataclasses.replace(record, run=f"r{time.time_ns() // 1_000_000}")
    folder.put(RECORD_NAME, renewed.encode())
    backend.board().withdraw(graph)
    backend.completion(graph, record.run).clear()
    folder.delete([name for name in folder.list(f"{record.run}/")])
    console.print(f"reset {graph}; build it again with: {how_to_go_on(record)}")


@click.command()
def down() -> None:
    """End the local emulators; their tables, queues and progress go with them."""
    emulators.stop(LOCAL)
    shutil.rmtree(LOCAL / "scratch", ignore_errors=True)
    console.print("the local emulators are down, and what they held is gone")
