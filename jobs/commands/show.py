"""`show`: a node of a table, and what it belongs to."""

from __future__ import annotations

import click

from jobs.console import command, graph_option, open_run, some
from jobs.output import say
from shared.errors import StateError
from shared.table.columns import node_key
from shared.table.decode import decode_id, decode_ids, decode_pairs

MOST = 10
"""Ids of a kind that are named; of more, their number is said."""


@command("show")
@click.argument("node", type=int)
@graph_option
def show(node: int, graph: str) -> None:
    """Print a NODE's parents up to its root, its children and its cross edges."""
    run = open_run(graph)
    table, ids, top = run.opened.table, run.record.plan.ids, run.record.plan.grid.layer_count
    row = next(iter(table.read_keys([node_key(node)])), None)
    if row is None:
        raise StateError(f"table {run.record.table} has no node {node}")
    say(f"{node}: layer {ids.chunk_of(node).layer}, chunk {ids.chunk_of(node)}")
    above = row
    while "0:parents" in above.cells:
        parent = decode_id(above.cells["0:parents"])
        kind = "root" if ids.chunk_of(parent).layer == top else "parent"
        say(f"  {kind} {parent}: layer {ids.chunk_of(parent).layer}, chunk {ids.chunk_of(parent)}")
        found = next(iter(table.read_keys([node_key(parent)])), None)
        if found is None:
            say("  which is not in the table")
            break
        above = found
    if "0:children" in row.cells:
        children = decode_ids(row.cells["0:children"]).tolist()
        say(f"  {len(children):,} children: {some(children, MOST)}")
    for column in sorted(row.cells):
        if "cross_edges_" in column:
            pairs = decode_pairs(row.cells[column]).tolist()
            say(f"  {len(pairs):,} {column}: {some([f'{a} - {b}' for a, b in pairs], MOST)}")
