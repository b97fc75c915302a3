"""`plan`: what a dataset would take, and Terraform's variables for it."""

from __future__ import annotations

from collections.abc import Sequence

import click

from jobs.console import command, dataset_path, environment, named_graph_option, schema_option
from jobs.output import put, put_json, put_rows, say
from jobs.paths import REPOSITORY
from shared.estimate.bill import bill, waiting_usd
from shared.estimate.needs import VOXELS_A_SUPERVOXEL, LayerNeeds, needs
from shared.estimate.operations import operations
from shared.estimate.prices import Prices, load_prices
from shared.estimate.report import PlanReport, describe
from shared.estimate.schedule import NODES, as_rows, remarks, schedule
from shared.estimate.tfvars import tfvars
from shared.operate.check import check

PRICES = REPOSITORY / "configs" / "prices.yml"
"""List prices, for the bill of a plan."""


@command("plan")
@click.argument("dataset")
@named_graph_option
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
        known = environment()
        grid = checked.plan.grid
        put_json(tfvars(checked.dataset, checked.table, grid, needed, known.project, known.instance), indent=2)
        return
    prices = load_prices(PRICES)
    say(f"{path}: table {checked.table}")
    put_rows(report.as_rows())
    for name, value in report.totals():
        put(f"{name:24}{value}")
    put_estimate(report, needed, prices)


def put_estimate(report: PlanReport, needed: Sequence[LayerNeeds], prices: Prices) -> None:
    """Prints what the layers need, how long they take, and the bill."""
    stages = schedule(needed)
    say(
        f"\nestimate, with {VOXELS_A_SUPERVOXEL:,} voxels a supervoxel, the fleets of terraform/ and up to {NODES} "
        "nodes for the table"
    )
    put_rows(as_rows(needed, stages))
    for remark in remarks(stages):
        say(f"- {remark}")
    oldest, newest = prices.dates()
    say(f"\nbill, by list prices of {prices.region} seen {oldest} to {newest} ({PRICES.name})")
    put_rows(bill(needed, stages, operations(report), prices).as_rows(), texts=(0, 1, 3))
    waiting = waiting_usd(stages, prices)
    if waiting >= 1:
        say(f"with all tasks that the fleets may have, most waiting for the table: ${waiting:,.0f} more")
    say("not in it: retries, free quotas, discounts, the functions, logs, and the table's nodes when no run is on")
