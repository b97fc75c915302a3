"""`plan`, `status`, `verify` and `show`: what is planned, how far it is, whether it is right."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from rich.table import Table

from jobs.backends import Backend
from jobs.commands.checking import check
from jobs.commands.common import Ended, console, dataset_path, graph_option, running_backend, schema_option
from jobs.environment import REPOSITORY, Environment
from jobs.local.watch import progress_table
from jobs.runs import need_record, open_run, scratch
from shared.build.codec import decode_handoff
from shared.errors import StateError
from shared.outcome import Exit
from shared.plan.bill import bill, waiting_usd
from shared.plan.needs import VOXELS_A_SUPERVOXEL, LayerNeeds, needs
from shared.plan.operations import operations
from shared.plan.prices import Prices, load_prices
from shared.plan.report import PlanReport, describe
from shared.plan.schedule import NODES, as_rows, remarks, schedule
from shared.plan.tfvars import tfvars
from shared.run.control import read_control
from shared.run.record import RunRecord
from shared.run.replay import current_failures
from shared.run.start import is_finished
from shared.run.status import RunStatus, run_status
from shared.table.columns import node_key
from shared.table.decode import decode_id, decode_ids, decode_pairs
from shared.verify.partition import compare, input_partition, table_partition
from shared.verify.walk import Report, Walk

PARTITION_LIMIT = 20_000_000
"""Supervoxels; tables with more are not compared with their input edges, which takes 12 GB for so many."""

PRICES = REPOSITORY / "configs" / "prices.yml"
"""List prices, for the bill of a plan."""


@click.command()
@click.argument("dataset")
@click.option("--graph", envvar="GRAPH", help="The graph's name; the dataset's name unless given.")
@click.option("--test", is_flag=True, help="Plan what `ingest --test` would build.")
@schema_option
@click.option(
    "--tfvars", "as_tfvars", is_flag=True, help="Terraform's variables for all of DATASET, as JSON, alone."
)
def plan(dataset: str, graph: str | None, test: bool, schema: int | None, as_tfvars: bool) -> None:
    """Print layers, work, hours and an estimate of the bill of DATASET; creates nothing."""
    path = dataset_path(dataset)
    checked = check(path, graph or path.stem, test and not as_tfvars, schema)
    report = describe(checked.plan, checked.dataset, checked.volume)
    needed = needs(report)
    if as_tfvars:
        known = Environment.read(os.environ)
        values = tfvars(checked.dataset, checked.table, checked.plan.grid, needed, known.project, known.instance)
        click.echo(json.dumps(values, indent=2))
        return
    prices = load_prices(PRICES)
    console.print(f"{path}: table {checked.table}")
    print_rows(report.as_rows())
    for name, value in report.totals():
        console.print(f"{name:24}{value}")
    print_estimate(report, needed, prices)


def print_estimate(report: PlanReport, needed: Sequence[LayerNeeds], prices: Prices) -> None:
    """Prints what the layers need, how long they take, and the bill."""
    stages = schedule(needed)
    console.print(
        f"\nestimate, with {VOXELS_A_SUPERVOXEL:,} voxels a supervoxel, the fleets of terraform/ and up to {NODES} "
        "nodes for the table"
    )
    print_rows(as_rows(needed, stages))
    for remark in remarks(stages):
        console.print(f"- {remark}")
    oldest, newest = prices.dates()
    console.print(f"\nbill, by list prices of {prices.region} seen {oldest} to {newest} ({PRICES.name})")
    print_rows(bill(needed, stages, operations(report), prices).as_rows(), texts=(0, 1, 3))
    waiting = waiting_usd(stages, prices)
    if waiting >= 1:
        console.print(f"with all tasks that the fleets may have, most waiting for the table: ${waiting:,.0f} more")
    console.print(
        "not in it: retries, free quotas, discounts, the functions, logs, and the table's nodes when no run is on"
    )


def print_rows(rows: Sequence[tuple[str, ...]], texts: Sequence[int] = ()) -> None:
    """Prints a table whose first row is its heading; columns are numbers, but for those in `texts`.

    Not by rich, which cuts numbers off where a terminal is narrow, or where there is none.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(range(len(row)), row, widths, strict=True)
        padded = (cell.ljust(width) if number in texts else cell.rjust(width) for number, cell, width in cells)
        click.echo("  ".join(padded).rstrip())


@click.command()
@graph_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of a table.")
def status(graph: str, as_json: bool) -> None:
    """Print how far a run is, a line a layer, and the emulators in use."""
    backend = running_backend()
    record = need_record(backend, graph)
    if as_json:
        found = read_status(backend, record)
        click.echo(json.dumps({
            "graph": graph,
            "run": record.run,
            "table": record.table,
            "schema": record.schema,
            "upgrade": record.upgrade,
            "finished": found.finished,
            "paused": read_control(scratch(backend, graph)).paused,
            "layers": [dataclasses.asdict(layer) for layer in found.layers],
            "hosts": dict(backend.environment.hosts),
        }))  # fmt: skip
        return
    show_status(backend, record)
    for name, host in sorted(backend.environment.hosts.items()):
        console.print(f"{name}={host}")


@click.command()
@graph_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def verify(graph: str, truth: Path | None) -> None:
    """Check the whole table of a finished run; exit code 1 if anything in it is wrong."""
    backend = running_backend()
    record = need_record(backend, graph)
    if not is_finished(record, backend.completion(graph, record.run)):
        raise StateError(f"{graph} is not done; see: make status GRAPH={graph}")
    verify_run(backend, record, truth)


@click.command()
@click.argument("node", type=int)
@graph_option
def show(node: int, graph: str) -> None:
    """Print a NODE's parents up to its root, its children and its cross edges."""
    backend = running_backend()
    record = need_record(backend, graph)
    table, ids = backend.table(record.table, record.instance), record.plan.ids
    row = next(iter(table.read_keys([node_key(node)])), None)
    if row is None:
        raise StateError(f"table {record.table} has no node {node}")
    console.print(f"{node}: layer {ids.chunk_of(node).layer}, chunk {ids.chunk_of(node)}")
    above = row
    while "0:parents" in above.cells:
        parent = decode_id(above.cells["0:parents"])
        kind = "root" if ids.chunk_of(parent).layer == record.plan.grid.layer_count else "parent"
        console.print(f"  {kind} {parent}: layer {ids.chunk_of(parent).layer}, chunk {ids.chunk_of(parent)}")
        found = next(iter(table.read_keys([node_key(parent)])), None)
        if found is None:
            console.print("  which is not in the table")
            break
        above = found
    if "0:children" in row.cells:
        children = decode_ids(row.cells["0:children"]).tolist()
        console.print(f"  {len(children):,} children: {_some(children)}")
    for column in sorted(row.cells):
        if "cross_edges_" in column:
            pairs = decode_pairs(row.cells[column]).tolist()
            console.print(f"  {len(pairs):,} {column}: {_some([f'{a} - {b}' for a, b in pairs])}")


def _some(items: list[object], most: int = 10) -> str:
    rest = f" and {len(items) - most:,} more" if len(items) > most else ""
    return ", ".join(map(str, items[:most])) + rest


def read_status(backend: Backend, record: RunRecord) -> RunStatus:
    """The status now; rates are averages since the run was started."""
    completion = backend.completion(record.graph, record.run)
    seconds = time.time() - record.timestamp_ms / 1000
    progress = completion.progress(record.plan.layers)
    return run_status(record.plan, progress, current_failures(record, completion), {}, seconds)


def show_status(backend: Backend, record: RunRecord) -> None:
    """Prints a line a layer."""
    kind = "upgrade to schema 3" if record.upgrade else f"schema {record.schema}"
    console.print(f"{record.graph}: run {record.run}, table {record.table}, {kind}")
    status = read_status(backend, record)
    console.print(progress_table(status))
    paused = read_control(scratch(backend, record.graph)).paused
    if paused:
        console.print(f"paused {paused}; go on with: make resume GRAPH={record.graph}")
    if status.failed or status.discarded or status.unended:
        console.print(
            f"chunks in the dead letters: {status.failed:,}; discarded: {status.discarded:,}; begun again and "
            f"not ended: {status.unended:,}; see: make failed GRAPH={record.graph}"
        )


def show_layers(backend: Backend, record: RunRecord) -> None:
    """Prints what the layers of a finished run came to, from the counts in the top hand-off."""
    folder, top = scratch(backend, record.graph), record.plan.top
    name = record.handoff_name(top)
    data = folder.get([name])[name]
    if data is None:
        return
    totals = decode_handoff(data, f"{folder.folder}/{name}", top).totals
    spent = backend.completion(record.graph, record.run).progress(record.plan.layers)
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "chunks", "nodes", "roots made", "seconds", "ms/chunk"):
        table.add_column(title, justify="right")
    for layer, counts in sorted(totals.items()):
        seconds = spent[layer].seconds
        table.add_row(
            str(layer),
            f"{counts['chunks']:,}",
            f"{counts['nodes']:,}",
            f"{counts['final']:,}",
            f"{seconds:,.1f}",
            f"{1000 * seconds / counts['chunks']:,.1f}",
        )
    console.print(table)
    atomic = totals[2]
    console.print(
        f"{atomic['supervoxels']:,} supervoxels, {sum(counts['final'] for counts in totals.values()):,} roots; "
        f"{atomic['disagreements']:,} edges that the chunks of both sides decide differently (the lower side "
        f"counts), {atomic['unlisted']:,} supervoxels in component files that are in no edge (they get no row)"
    )


def verify_run(backend: Backend, record: RunRecord, truth: Path | None) -> None:
    """Checks a table and prints the result; Ended with FAULTY if a violation was found."""
    run, report = open_run(backend, record), Report()
    handoff_name = record.handoff_name(record.plan.top)
    data = run.sources.scratch.get([handoff_name])[handoff_name]
    supervoxels = decode_handoff(data, handoff_name, record.plan.top).totals[2]["supervoxels"] if data else 0
    small = supervoxels <= PARTITION_LIMIT
    walk = Walk(record.plan, run.table, report, keep_links=small)
    walk.run()
    compared = ["the rules of the format"]
    if small and not record.test:
        found = table_partition(record.plan, walk.links)
        compare(found, input_partition(record.plan, run.sources.edges, run.sources.components), report.complain)
        compared.append("the connected components of the input edges")
        if truth is not None:
            with np.load(truth, allow_pickle=False) as known:
                compare(found, (known["supervoxel"], known["object"]), report.complain)
            compared.append(f"the truth in {truth}")
    rows = "  ".join(f"layer {layer}: {count:,}" for layer, count in sorted(report.nodes.items()))
    console.print(f"rows by layer: {rows}")
    for violation in report.violations:
        console.print(violation, markup=False)
    if report.violation_count:
        console.print(f"table {record.table} has {report.violation_count:,} violations")
        raise Ended(Exit.FAULTY)
    console.print(f"table {record.table} agrees with {', '.join(compared)}")
