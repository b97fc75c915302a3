"""`python -m tests.benchmarks [NAME ...]`: prints tables and keeps the numbers in build/bench.json."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from jobs.local import emulators, processes
from jobs.paths import REPOSITORY
from shared.gcp.clients import Endpoints
from shared.operate.check import check
from shared.run.record import RunRecord
from tests.benchmarks import building, chunks, cuts, grids, lanes, raw, samples, tables, verifying, view
from tests.benchmarks.inputs import TIMESTAMP_MS
from tests.benchmarks.measure import console

NAMES = (
    *("write", "chunk", "raw", "cut", "tables", "parents", "boundary", "verify", "lanes", "view", "queue"),
    *("coordination", "sample"),
)


@contextmanager
def emulated(*names: str) -> Iterator[tuple[dict[str, str], dict[str, int], Path]]:
    """Emulators of our own: hosts and process ids by variable, and a folder that goes with them."""
    with tempfile.TemporaryDirectory(prefix="bench") as place:
        folder = Path(place)
        try:
            hosts = emulators.start([s for s in emulators.SERVICES if s.name in names], folder, {})
            servers = processes.recorded(folder / "emulators.json")
            yield hosts, {name: server.pid for name, server in servers.items()}, folder
        finally:
            emulators.stop(folder)


@contextmanager
def empty_table() -> Iterator[tuple[Endpoints, int]]:
    """A Bigtable emulator of our own, and its process id."""
    with emulated("bigtable") as (hosts, pids, _):
        (pid,) = pids.values()
        yield Endpoints.emulated(hosts), pid


@click.command(context_settings={"show_default": True})
@click.argument("names", nargs=-1, type=click.Choice(NAMES))
@click.option("--dataset", type=click.Path(path_type=Path), default=REPOSITORY / "configs" / "example.yml")
@click.option("--out", type=click.Path(path_type=Path), default=REPOSITORY / "build" / "bench.json")
@click.option("--threads", default=3, help="Chunks at a time in one process, for `write`.")
@click.option("--rounds", default=3, help="Of so many rounds the quickest counts.")
@click.option("--sides", default="4,8,16", help="Chunks along an axis of the grids of `parents`.")
@click.option("--pairs", default="100000,1000000", help="Pairs on the boundaries of `boundary`.")
@click.option("--rows", default=10_000_000, help="Rows of `tables`.")
@click.option("--total", default=10_000, help="Layer-2 chunks of `coordination`, about.")
def main(
    names: tuple[str, ...],
    dataset: Path,
    out: Path,
    threads: int,
    rounds: int,
    sides: str,
    pairs: str,
    rows: int,
    total: int,
) -> None:
    """Measure all, or what NAMES say: write, chunk, raw, cut, tables, parents, boundary, verify, lanes, view,
    queue, coordination, sample."""
    found = json.loads(out.read_text()) if out.exists() and names else {}

    def records() -> dict[int, RunRecord]:
        return {
            schema: check(dataset, "bench", False, schema).record("bench", "run", TIMESTAMP_MS) for schema in (2, 3)
        }

    def write() -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="bench") as place:
            one = building.measure(records(), empty_table, Path(place), 1, rounds)
            return {"one": one, "several": building.measure(records(), empty_table, Path(place), threads, rounds)}

    def queue() -> dict[str, Any]:
        from tests.benchmarks import coordination

        with emulated("bigtable", "pubsub", "firestore") as (hosts, pids, folder):
            return coordination.measure_queue(hosts, pids, folder)

    def coordinate() -> dict[str, Any]:
        from tests.benchmarks import coordination

        with emulated("bigtable", "pubsub", "firestore") as (hosts, pids, folder):
            return coordination.measure_run(hosts, pids, folder, total)

    def shown() -> dict[str, Any]:
        with empty_table() as (endpoints, _):
            return view.measure(REPOSITORY / "build" / "bench" / "view", endpoints)

    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "write": write,
        "chunk": lambda: chunks.measure(REPOSITORY / "build" / "bench", 5),
        "raw": lambda: raw.measure(REPOSITORY / "build" / "bench", 5),
        "tables": lambda: tables.measure(REPOSITORY / "build" / "bench" / "tables", rows),
        "cut": lambda: cuts.measure(REPOSITORY / "build" / "bench" / "cut", 5),
        "parents": lambda: grids.measure(tuple(map(int, sides.split(",")))),
        "boundary": lambda: grids.measure_boundary(tuple(map(int, pairs.split(",")))),
        "verify": lambda: verifying.measure(records(), empty_table, rounds),
        "lanes": lambda: lanes.measure(check(dataset, "bench", False, 3), (1, 2, 4, 8)),
        "view": shown,
        "queue": queue,
        "coordination": coordinate,
        "sample": lambda: samples.measure(REPOSITORY / "build" / "bench" / "sample"),
    }
    for name in names or NAMES:
        load = os.getloadavg()[0]
        found[name] = {"load_before": load, "when": int(time.time()), **measures[name]()}
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(
            json.dumps({"machine": platform.platform(), "cores": os.cpu_count()} | found, indent=1) + "\n"
        )
    console.print(f"\n{out} has all numbers", highlight=False)


if __name__ == "__main__":
    main()
