"""`chunk` and `chunk-local`: one chunk by hand."""

from __future__ import annotations

import traceback

import click
import numpy as np

from jobs.console import Ended, chunk_argument, command, graph_option, open_run, running_backend
from jobs.deployed import dispatch_now
from jobs.output import put, say
from shared.classify import Kind
from shared.inputs.segmentation.cut import Cut
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.plan.ids import IdLayout
from shared.table.cells import Cells
from shared.table.decode import decode_counter, decode_id, decode_ids, decode_pairs
from shared.work.outcomes import HANDLING, OUTCOME_OF
from shared.work.steps import cells_to_write


@command("chunk")
@chunk_argument
@graph_option
def chunk(chunk: Chunk, graph: str) -> None:
    """Queue a CHUNK (L X Y Z) of a run once more; building it again changes nothing else."""
    backend = running_backend()
    Run.open(backend, graph).queue_chunk(chunk)
    dispatch_now(backend, {chunk.layer: 1})
    say(f"queued chunk {chunk}; workers of layer {chunk.layer} take it")


@command("chunk-local")
@chunk_argument
@graph_option
@click.option("--all", "whole", is_flag=True, help="Print every cell, which are megabytes for a real chunk.")
def chunk_local(chunk: Chunk, graph: str, whole: bool) -> None:
    """Build a CHUNK (L X Y Z) in this process and print what it would write; writes nothing."""
    run = open_run(graph)
    run.need_chunk(chunk)
    try:
        if chunk.layer < 2:
            return _show_cut(run.cut(chunk), run.record.plan.ids, whole)
        built = run.build(chunk)
    except Exception as error:
        kind = run.backend.classify(error)
        if kind is Kind.TRANSIENT:
            traceback.print_exc()
        click.echo(f"chunk {chunk}: {type(error).__name__}: {error}\n{kind.name.lower()}: {kind.value}", err=True)
        raise Ended(HANDLING[OUTCOME_OF[kind]].exit) from error
    written = cells_to_write(run.record, built.cells)
    for cells in written:
        if whole:
            for key, value in zip(cells.keys, cells.values, strict=True):
                put(f"{key.decode()} {cells.column} {_readable(cells, value)}")
        elif cells.keys:
            put(f"{cells.column}: {len(cells.keys):,} cells, of rows {_range(cells)}")
    total = sum(len(cells.keys) for cells in written)
    more = "" if whole else "; each of them: ALL=1 (--all)"
    say(f"{total:,} cells; {len(built.handoff.nodes):,} nodes wait for a parent{more}")


def _show_cut(cut: Cut, ids: IdLayout, whole: bool) -> None:
    """Prints the pieces that a chunk is cut into, or how many there are."""
    names = ids.node_ids(cut.chunk, 1, cut.count)
    if whole:
        for row in zip(
            names.tolist(), cut.original.tolist(), cut.objects.tolist(), cut.voxels.tolist(), strict=True
        ):
            put("supervoxel {}: label {}, object {}, {:,} voxels".format(*row))
    elif cut.count:
        put(f"supervoxels {names[0]} to {names[-1]}, of {len(np.unique(cut.objects)):,} objects")
    more = "" if whole else "; each supervoxel: ALL=1 (--all)"
    say(
        f"{cut.count:,} supervoxels, {int(cut.voxels.sum()):,} voxels, {len(cut.inside.pairs):,} contacts "
        f"inside{more}"
    )


def _range(cells: Cells) -> str:
    first, last = min(cells.keys).decode(), max(cells.keys).decode()
    return first if first == last else f"{first} to {last}"


def _readable(cells: Cells, value: bytes) -> object:
    name = str(cells.column)
    if name == "0:parents":
        return decode_id(value)
    if name == "1:counter":
        return decode_counter(value)
    return (decode_ids if name == "0:children" else decode_pairs)(value).tolist()
