"""`plan`: what a dataset would take, and Terraform's variables for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click

from jobs.console import command, dataset_path, environment, named_graph_option, raw_option, schema_option
from jobs.output import put, put_json, put_rows, say, write_json
from jobs.paths import PRICES, REPOSITORY
from jobs.samples import kept
from shared.errors import ConfigError, Problem, StateError
from shared.estimate.bill import waiting_usd
from shared.estimate.certainty import chunk_rows, in_range, sentences
from shared.estimate.checking import checking_lines, while_building
from shared.estimate.density import Density
from shared.estimate.needs import needs, needs_of_range
from shared.estimate.operations import operations
from shared.estimate.prices import Prices, load_prices
from shared.estimate.report import PlanReport
from shared.estimate.sampled import Looked
from shared.estimate.schedule import NODES, as_rows, remarks, schedule
from shared.estimate.spent import Expected
from shared.estimate.tfvars import tfvars, unknown
from shared.operate.check import check
from shared.operate.looking_inside import SAMPLE, Look, look_inside
from shared.operate.segmentation_input import locations_of, outputs_of
from shared.timestamps import duration

VARIABLES = REPOSITORY / "terraform" / "variables.tf"
"""Where Terraform's variables are declared."""


@command("plan")
@click.argument("dataset")
@named_graph_option
@click.option("--test", is_flag=True, help="Plan what `ingest --test` would build.")
@schema_option
@raw_option
@click.option("--verify", "verified", is_flag=True, help="Plan what `ingest --verify` would do.")
@click.option(
    "--tfvars", "as_tfvars", is_flag=True, help="Terraform's variables for all of DATASET, as JSON, alone."
)
@click.option(
    "--sample",
    type=click.IntRange(0),
    default=SAMPLE,
    show_default=True,
    help="Chunks to open, to count what is in them; 0 assumes it.",
)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="With --tfvars: the file to write.")
def plan(
    dataset: str,
    graph: str | None,
    test: bool,
    schema: int | None,
    raw: bool,
    verified: bool,
    as_tfvars: bool,
    sample: int,
    out: Path | None,
) -> None:
    """Print layers, work, hours and an estimate of the bill of DATASET; creates nothing in the cloud."""
    if out is not None and not as_tfvars:
        raise click.UsageError("--out is the file for --tfvars")
    path = dataset_path(dataset)
    checked = check(path, graph or path.stem, test and not as_tfvars, schema, raw)
    report = checked.report
    sampled = kept(path, checked)
    look = look_inside(checked, sample, sampled.sample)
    if as_tfvars:
        if out is not None and (sampled.remark or look.paces):
            say(sampled.remark or look.remarks[-1])
        needed = needs(report, look.high, look.paces)
        known, chosen = environment(), checked.input
        written = [outputs_of(checked.dataset)[kind] for kind in chosen.written + chosen.kept]
        read = None if chosen.segmentation is None else locations_of(chosen.segmentation).values()
        where = known.project, known.instance
        grid = checked.plan.grid
        put_tfvars(tfvars(checked.dataset, checked.table, grid, needed, *where, written, read), path, out)
        return
    prices = load_prices(PRICES)
    say(f"{path}: table {checked.table}")
    put_rows(report.as_rows())
    for note in checked.notes:
        say(f"- {note}")
    for name, value in [*report.totals(), *checked.input_rows(), *checked.inventory.totals()]:
        put(f"{name:24}{value}")
    put_look(look)
    if sampled.remark:
        say(f"- {sampled.remark}")
    put_estimate(report, look, prices, verified)


def put_tfvars(variables: Mapping[str, object], dataset: Path, out: Path | None) -> None:
    """Writes Terraform's variables to `out`, whole and known to Terraform, or to standard output.

    ConfigError where the Bigtable instance is not known, before an image is built for it: the same file has to
    tell it to `ingest`. StateError for a variable that this release's Terraform files do not have.
    """
    if "bigtable_instance" not in variables:
        told = (
            "is not given, so neither Terraform nor `make ingest` knows where the table is to be: name the "
            "Bigtable instance here, or give INSTANCE=… to both. One that is there is used; to have it created, "
            "describe it as bigtable_cluster in terraform/terraform.tfvars too"
        )
        raise ConfigError([Problem(str(dataset), "backend_client.CONFIG.INSTANCE", None, told)])
    strange = unknown(variables, VARIABLES.read_text())
    if strange:
        raise StateError(f"{VARIABLES} declares no {', '.join(strange)}; are terraform/ and jobs/ of one release?")
    if out is None:
        put_json(variables, indent=2)
        return
    write_json(out, variables)
    say(f"wrote {out}")


def put_look(look: Look) -> None:
    """Prints what was found in the chunks that were opened, and how sure it is."""
    found = look.found
    say("\nlooked into the input" if found else "\nnot looked into the input")
    if found is not None:
        put_rows(chunk_rows(found.sample), texts=(0,))
        for line in sentences(found):
            say(f"- {line}")
    for remark in look.remarks:
        say(f"- {remark}")


def planned(report: PlanReport, look: Look, density: Density, verified: bool) -> Expected:
    """What a run needs and asks for with such a density, on the machines that the look found."""
    needed = needs_of_range(report, density, look.high, look.paces)
    return while_building(report, needed) if verified else Expected(needed, operations(report))


def put_estimate(report: PlanReport, look: Look, prices: Prices, verified: bool) -> None:
    """Prints what the layers need, how long they take, the bill, and what a verification costs."""
    run = planned(report, look, look.density, verified)
    stages = schedule(run.needs)
    each = f"{1 / look.density.supervoxels:,.0f} voxels a supervoxel"
    say(f"\nestimate, with {each}, the fleets of terraform/ and up to {NODES} nodes for the table")
    put_rows(as_rows(run.needs, stages))
    for remark in remarks(stages):
        say(f"- {remark}")
    oldest, newest = prices.dates()
    say(f"\nbill, by list prices of {prices.region} seen {oldest} to {newest} ({PRICES.name})")
    put_rows(run.bill(prices).as_rows(), texts=(0, 1, 3))
    if look.found is not None and look.found.sample.tells_spread:
        put_range(report, look, look.found, prices, verified)
    waiting = waiting_usd(stages, prices)
    if waiting >= 1:
        say(f"with all tasks that the fleets may have, most waiting for the table: ${waiting:,.0f} more")
    say("not in it: retries, free quotas, discounts, the functions, logs, and the table's nodes when no run is on")
    for line in checking_lines(report, planned(report, look, look.density, False).needs, prices, verified):
        say(line)


def put_range(report: PlanReport, look: Look, found: Looked, prices: Prices, verified: bool) -> None:
    """Prints rows, time and the bill with the ends of their range, as far as the sample tells."""
    rows, seconds, dollars = list[float](), list[float](), list[float]()
    for density in (found.low, found.middle, found.high):
        run = planned(report, look, density, verified)
        stages = schedule(run.needs)
        rows.append(sum(layer.rows for layer in run.needs))
        seconds.append(3600 * sum(stage.hours for stage in stages))
        dollars.append(run.bill(prices).total)
    say(f"rows: {in_range(rows)}")
    say(f"takes: {in_range(seconds, lambda one: duration(one, 1))}")
    say(f"total: {in_range(dollars, lambda one: f'${one:,.2f}')}")
