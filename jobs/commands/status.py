"""`status`: how far a run is, and where its services are."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from jobs.console import command, graph_option, json_option, open_run
from jobs.local.worker_logs import waiting
from jobs.output import console, put, put_json, say
from jobs.progress import progress_table
from shared.gcp.backend import GoogleBackend
from shared.operate.reasons import in_words
from shared.operate.remarks import remarks
from shared.operate.run import Run
from shared.work.prepared import FILES


@command("status")
@graph_option
@json_option
def status(graph: str, as_json: bool) -> None:
    """Print how far a run is, a line a layer, and how another client finds the services."""
    run = open_run(graph)
    if as_json:
        found, record = run.status(), run.record
        put_json({
            "graph": graph,
            "run": record.run,
            "table": record.table,
            "schema": record.schema,
            "upgrade": record.upgrade,
            "raw": record.raw and record.raw.agglomeration,
            "segmentation": record.segmentation and record.segmentation.supervoxels,
            "written": list(record.written),
            "prepare": record.prepare,
            "verifies": record.verifies,
            "made_by": record.made_by,
            "finished": found.finished,
            "paused": run.paused,
            "layers": [dataclasses.asdict(layer) for layer in found.layers],
            "waiting": [dataclasses.asdict(reason) for reason in waiting(run, found.waiting)],
            **_services(run),
        })  # fmt: skip
        return
    show_status(run)
    services = _services(run)
    hosts = services.pop("hosts")
    assert isinstance(hosts, dict)
    for name, value in [*sorted(hosts.items()), *services.items()]:
        put(f"{name}={value}")


def _services(run: Run) -> dict[str, object]:
    """What another client needs to read the table."""
    assert isinstance(run.backend, GoogleBackend)
    endpoints = run.backend.endpoints
    instance = run.backend.environment.instance or run.record.instance or endpoints.instance
    return {
        "hosts": dict(run.backend.environment.hosts),
        "project": endpoints.project,
        "instance": instance if run.backend.project else endpoints.instance,
    }


def show_status(run: Run) -> None:
    """Prints a line a layer."""
    record, found = run.record, run.status()
    kind = "upgrade to schema 3" if record.upgrade else f"schema {record.schema}"
    what = "processed files alone" if record.prepare else f"table {record.table}, {kind}"
    if record.verifies:
        what = f"verifies table {record.table} of graph {record.verifies}"
    read = f", from raw output in {record.raw.agglomeration}" if record.raw else ""
    if record.segmentation is not None:
        read = f", from the segmentation in {record.segmentation.supervoxels}"
    say(f"{run.graph}: run {record.run}, {what}{read}")
    console.print(progress_table(found))
    for line in in_words(waiting(run, found.waiting)):
        say(f"waiting: {line}")
    if paused := run.paused:
        say(f"paused {paused}; go on with: make resume {run.where}")
    if found.failed or found.discarded or found.unended:
        say(
            f"chunks in the dead letters: {found.failed:,}; discarded: {found.discarded:,}; begun again and "
            f"not ended: {found.unended:,}; see: make failed {run.where}"
        )


def say_prepared(run: Run) -> None:
    """Says what a finished run that only writes processed files came to."""
    totals, record = run.totals(), run.record
    count = "" if totals is None else f"{totals[2][FILES]:,} "
    folders = {"edges": record.edges, "components": record.components}
    if record.segmentation is not None:
        folders["watershed"] = record.segmentation.watershed
    where = " and ".join(str(folders[kind]) for kind in record.written)
    say(f"prepared {run.graph}: {count}processed files are in {where}")
    say(f"next: make ingest DATASET=NAME {run.where}, which reads them")


def show_layers(run: Run) -> None:
    """Prints what the layers of a finished run came to, from the counts in the top hand-off."""
    totals = run.totals()
    if totals is None:
        return
    spent = run.completion.progress(run.record.plan.layers)
    table = Table(box=None, pad_edge=False)
    for title in ("layer", "chunks", "nodes", "roots made", "seconds", "ms/chunk"):
        table.add_column(title, justify="right")
    for layer in range(run.record.plan.layers[0], min(totals)):
        seconds, chunks = spent[layer].seconds, run.record.plan.total(layer)
        table.add_row(str(layer), f"{chunks:,}", "", "", f"{seconds:,.1f}", f"{1000 * seconds / chunks:,.1f}")
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
    say(
        f"{atomic['supervoxels']:,} supervoxels, {sum(counts['final'] for counts in totals.values()):,} roots; "
        f"{atomic['disagreements']:,} edges that the chunks of both sides decide differently (the lower side "
        f"counts), {atomic['unlisted']:,} supervoxels in component files that are in no edge (they get no row)"
    )
    for remark in remarks(totals):
        say(remark)
