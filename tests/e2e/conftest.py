"""A small example dataset and the command line, run as people run it, on the session's emulators."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.example import ExampleParams, make_example
from jobs.paths import REPOSITORY

Run = Callable[..., subprocess.CompletedProcess[str]]

PARAMS = ExampleParams(grid=(9, 5, 3), chunk_size=(24, 24, 20))
DATASET = """
data_source: {{EDGES: {0}/edges, COMPONENTS: {0}/components, WATERSHED: "file://{0}/ws"}}
graph_config: {{CHUNK_SIZE: [24, 24, 20], FANOUT: 2, SPATIAL_BITS: 10}}
backend_client: {{TYPE: bigtable, CONFIG: {{ADMIN: true, READ_ONLY: false, PROJECT: p, INSTANCE: i}}}}
"""


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small example of 6 layers, with its dataset.yml."""
    folder = tmp_path_factory.mktemp("example") / "small"
    make_example(folder, PARAMS)
    (folder / "dataset.yml").write_text(DATASET.format(folder))
    return folder


@pytest.fixture
def variables(emulators: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a command: the emulators, and topics and a scratch folder of its own."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    prefix = f"p-{tmp_path.name}".replace("_", "-")[:60]
    return {
        **kept,
        **emulators,
        "INGEST_SCRATCH": f"file://{tmp_path}/scratch",
        "INGEST_PREFIX": prefix,
        "PYTHONWARNINGS": "ignore",
    }


@pytest.fixture
def cli(variables: dict[str, str]) -> Run:
    """Runs a command of the command line to its end."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**variables, **more},
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )

    return run
