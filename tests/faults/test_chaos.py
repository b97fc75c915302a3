"""The chaos run: workers killed about every second and connections that break, until an example is done."""

from __future__ import annotations

from pathlib import Path
from random import Random

from jobs.example import ExampleParams
from shared.operate.replay import current_failures
from tests.faults.chaos import chaos, example_volume
from tests.faults.emulated import EmulatedRun

PARAMS = ExampleParams(grid=(8, 5, 3), chunk_size=(24, 24, 20))
"""Layers 2 to 5 of 120, 24, 4 and 1 chunks."""

CALM, SECONDS = 45.0, 1200.0
"""When faults end at the latest, and the whole run; on an idle machine it takes half of the first."""


def test_chaos(emulators: dict[str, str], tmp_path: Path) -> None:
    """Whatever is killed and cut, the run is done in the end, and its table is that of the undisturbed run."""
    run = EmulatedRun(example_volume(tmp_path / "example", PARAMS), tmp_path, emulators)
    tally = chaos(run, emulators, Random(1), CALM, SECONDS)
    print(tally)
    assert tally.kills >= 1 and tally.cuts.total() >= 1
    assert run.raw_table() == run.expected_table()
    assert current_failures(run.record, run.opened.completion) == []
