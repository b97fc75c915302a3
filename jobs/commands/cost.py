"""`cost` and `runs`: what a run took beside what its plan said, and all runs to compare."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime

from jobs.console import command, graph_option, json_option, open_run, running_backend
from jobs.output import put_json, put_rows, say
from jobs.paths import PRICES
from shared.dispatch.round import read_fleets
from shared.estimate.prices import load_prices
from shared.estimate.spent import layer_rows
from shared.gcp.backend import GoogleBackend
from shared.operate.all_runs import all_runs
from shared.operate.books import Settled
from shared.operate.kept import Kept, folder_of
from shared.operate.run import Run
from shared.timestamps import duration


@command("cost")
@graph_option
@json_option
def cost(graph: str, as_json: bool) -> None:
    """Print what a run took, a line a layer and service, beside what its plan said; and keep it."""
    run = open_run(graph)
    assert isinstance(run.backend, GoogleBackend)
    prices = load_prices(PRICES)
    paid, told = _paid(run.backend, run)
    settled = run.books.settle(prices, paid)
    if as_json:
        put_json(_as_json(settled))
        return
    oldest, newest = prices.dates()
    say(_headline(run, settled))
    put_rows(layer_rows(settled.kept.expected, settled.account.layers))
    for remark in [*_remarks(run, settled), *filter(None, [told])]:
        say(f"- {remark}")
    said = "what such a run costs in the cloud" if run.backend.project is None else "what it cost"
    say(f"\n{said}, by list prices of {prices.region} seen {oldest} to {newest} ({PRICES.name})")
    put_rows(settled.cost.as_rows(), texts=(0, 1))


def _paid(backend: GoogleBackend, run: Run) -> tuple[tuple[float, float] | None, str]:
    """The vCPU-seconds and GiB-seconds of the tasks of a project since a run was begun, by Cloud Run's own records,
    and where they are from; nothing without a project, or where they cannot be read, which is said."""
    if backend.project is None:
        return None, ""
    try:
        fleets = read_fleets(backend.storage(backend.scratch))
        begun, ended = run.books.span()
        layers = set(run.record.plan.layers)
        jobs = backend.jobs()
        seconds = [(fleet, jobs.seconds(fleet.job, begun, ended)) for fleet in fleets if layers & set(fleet.layers)]
    except Exception as error:
        return (
            None,
            f"Cloud Run's records of tasks cannot be read ({error}), so tasks are those of the chunks' seconds",
        )
    cpu = sum(fleet.cpu * ran for fleet, ran in seconds)
    memory = sum(fleet.memory_gib * ran for fleet, ran in seconds)
    hours = sum(ran for _, ran in seconds)
    told = f"tasks ran {duration(hours, 1)} in that time by Cloud Run's own records, on work of other graphs too"
    return (cpu, memory), told


def _headline(run: Run, settled: Settled) -> str:
    kept, taken = settled.kept, settled.account
    told = f"{run.graph}: run {run.record.run}, begun {_when(kept.begun_ms)}, {kept.result}"
    planned = f", where the plan said {duration(kept.expected.hours * 3600, 1)}" if kept.expected else ""
    return told + (f" after {duration(taken.seconds, 1)}{planned}" if taken.seconds is not None else "")


def _remarks(run: Run, settled: Settled) -> list[str]:
    """What somebody should know who reads the numbers."""
    found = []
    if settled.kept.expected is None:
        found.append("what the plan said was not kept, as this run was begun by an older release, or not by ingest")
    if not settled.account.known:
        found.append("its workers noted nothing but seconds, as those of an older release, so little is known")
    elif settled.account.sampled:
        found.append(
            "of some layers not all chunks are known (a sample of a large one, or chunks whose progress was "
            "rebuilt); what they took is taken to be the same"
        )
    found.append("the table's nodes and bytes follow from the rows that were written, as in the plan")
    if run.backend.project is None:
        found.append("memory is that of worker processes here, and their waiting that for emulators")
    return found


def _as_json(settled: Settled) -> dict[str, object]:
    expected = settled.kept.expected
    return {
        **_plain(settled.kept),
        "layers": [dataclasses.asdict(layer) for layer in settled.account.layers],
        "expected": expected and expected.as_json(),
        "services": [
            {"service": service, "what": what, "usd_plan": plan, "usd": took}
            for (service, what), (plan, took) in settled.cost.lines().items()
        ],
    }


@command("runs")
@json_option
def runs(as_json: bool) -> None:
    """Print all runs that are known here, the newest first, with their sizes, hours, cost and results."""
    backend = running_backend()
    found, unreadable = all_runs(backend, load_prices(PRICES))
    if as_json:
        put_json([_plain(kept) for kept in found])
        return
    for name in unreadable:
        say(f"{folder_of(backend).folder}/{name} cannot be read, and is left out")
    if not found:
        say(f"no run is known below {backend.scratch}; begin one with: make ingest DATASET=x")
        return
    heading = ("graph", "run", "begun", "schema", "chunks", "supervoxels", "roots", "took", "$ plan", "$", "result")
    put_rows([heading, *map(_row, found)], texts=(0, 1, 2, 10))


def _plain(kept: Kept) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(kept).items() if name != "expected"}


def _row(kept: Kept) -> tuple[str, ...]:
    return (
        kept.graph + (" (test)" if kept.test else ""),
        kept.run,
        _when(kept.begun_ms),
        str(kept.schema),
        f"{kept.chunks:,}",
        f"{kept.supervoxels:,}" if kept.supervoxels else "?",
        f"{kept.roots:,}" if kept.roots else "?",
        "?" if kept.seconds is None else duration(kept.seconds, 1),
        "?" if kept.usd_expected is None else f"{kept.usd_expected:,.2f}",
        "?" if kept.usd is None else f"{kept.usd:,.2f}",
        kept.result,
    )


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
