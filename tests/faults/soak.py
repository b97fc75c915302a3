"""A long soak: `python -m tests.faults.soak [MINUTES]` has run after run done under chaos, each of another volume.

Run number n is made from seed n alone: its volume, when its workers die, which connections break. Now and
then a service is gone for a whole minute. The exit code is 1 at the first run whose table is not the
undisturbed one's, or that does not end; the seed is printed, and its logs are kept.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random

import click

from jobs.example import ExampleParams
from jobs.local import emulators
from shared.operate.replay import current_failures
from tests.faults.chaos import Stuck, Tally, chaos, example_volume
from tests.faults.emulated import EmulatedRun

CALM, SECONDS = 300.0, 900.0
"""When the faults of one run end at the latest, and the run: far more than any takes."""

SMALLEST, LARGEST = 6, 14
"""Chunks along the longest side; volumes grow from one to the other."""

OUTAGE_EVERY, OUTAGE_SECONDS = 5, 60.0


def params_of(seed: int) -> ExampleParams:
    """The example of a seed: of any shape, and larger every few seeds."""
    rng = Random(seed)
    longest = min(LARGEST, SMALLEST + seed // 4)
    grid = (longest, rng.randint(2, longest - 2), rng.randint(1, longest // 2))
    return ExampleParams(grid=grid, chunk_size=(24, 24, 20), seed=seed)


def run_one(seed: int, hosts: Mapping[str, str], folder: Path) -> Tally:
    """One run under chaos; AssertionError if it does not end as the undisturbed one."""
    params = params_of(seed)
    run = EmulatedRun(example_volume(folder / "example", params), folder, hosts)
    outage = OUTAGE_SECONDS if seed % OUTAGE_EVERY == 0 else 0.0
    tally = chaos(run, hosts, Random(seed), CALM, SECONDS, outage)
    if run.raw_table() != run.expected_table():
        raise Stuck(f"another table than the undisturbed run's; {tally}\n{run.logs()}")
    left = current_failures(run.record, run.opened.completion)
    if left:
        raise Stuck(f"failures are left of a run that is done: {left}")
    print(f"seed {seed}, {' x '.join(map(str, params.grid))} chunks: {tally}", flush=True)
    return tally


@click.command()
@click.argument("minutes", type=click.FloatRange(0), default=30.0)
@click.option("--seed", type=click.IntRange(0), help="Only the run of this seed.")
@click.option("--first", type=click.IntRange(0), default=1, show_default=True, help="The seed to begin with.")
def main(minutes: float, seed: int | None, first: int) -> None:
    """Soak for MINUTES (the last run is done to its end), or repeat the run of one seed."""
    folder, total = Path(tempfile.mkdtemp(prefix="soak-")), Tally()
    until, at = time.monotonic() + 60 * minutes, first if seed is None else seed
    try:
        hosts = emulators.start(emulators.SERVICES, folder / "emulators", os.environ)
        while True:
            (folder / str(at)).mkdir()
            total.add(run_one(at, hosts, folder / str(at)))
            shutil.rmtree(folder / str(at))
            at += 1
            if seed is not None or time.monotonic() > until:
                break
    except Exception as error:
        print(f"seed {at}: {error}", flush=True)
        print(f"logs are in {folder / str(at)}; again: python -m tests.faults.soak --seed {at}\n{total}")
        sys.exit(1)
    finally:
        emulators.stop(folder / "emulators")
    shutil.rmtree(folder)
    print(f"every table was the undisturbed run's to the byte; {total}")


if __name__ == "__main__":
    main()
