"""A small example dataset and the command line, as people use it, on the session's emulators."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

import jobs.cli
from jobs.example import ExampleParams, make_example
from jobs.paths import REPOSITORY

Run = Callable[..., subprocess.CompletedProcess[str]]

SECONDS = 600.0
"""After which a process that has not ended is taken to hang; bounds only keep a test from waiting forever."""

PARAMS = ExampleParams(grid=(9, 5, 3), chunk_size=(24, 24, 20))
"""Layers 2 to 6 of 135, 30, 6, 2 and 1 chunks: enough of them that somebody can be in time to end a run halfway."""

FEW = ExampleParams(grid=(9, 3, 2), chunk_size=(24, 24, 20))
"""The same layers, of 54, 10, 3, 2 and 1 chunks."""

DATASET = """
data_source: {{EDGES: {0}/edges, COMPONENTS: {0}/components, WATERSHED: "file://{0}/ws"}}
graph_config: {{CHUNK_SIZE: [24, 24, 20], FANOUT: 2, SPATIAL_BITS: 10}}
backend_client: {{TYPE: bigtable, CONFIG: {{ADMIN: true, READ_ONLY: false, PROJECT: p, INSTANCE: i}}}}
"""


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small example of 6 layers, with its dataset.yml."""
    return made(tmp_path_factory.mktemp("example") / "small", PARAMS)


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a smaller one."""
    return made(tmp_path_factory.mktemp("example") / "few", FEW)


def made(folder: Path, params: ExampleParams) -> Path:
    """Makes an example with its dataset.yml."""
    make_example(folder, params)
    (folder / "dataset.yml").write_text(DATASET.format(folder))
    return folder


@pytest.fixture
def variables(emulators: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a command: the emulators, all else of its own, one worker unless more are asked for."""
    own = uuid.uuid4().hex[:12]
    return {
        **inherited(),
        **emulators,
        "INGEST_SCRATCH": f"file://{tmp_path}/scratch",
        "INGEST_PREFIX": f"p-{own}",
        "INGEST_DATABASE": f"d-{own}",
        "INGEST_WORKERS": "1",
    }


def inherited() -> dict[str, str]:
    """What commands get of the environment that the tests run in."""
    kept = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
    return {name: value for name, value in os.environ.items() if name in kept}


@pytest.fixture
def cli(variables: dict[str, str]) -> Run:
    """Runs a command of the command line to its end, in this process: as its program does, but for the start."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        words, out, err = list(map(str, arguments)), io.StringIO(), io.StringIO()
        with (
            open(os.devnull) as nobody,
            patch.dict(os.environ, {**variables, **more}, clear=True),
            patch.object(sys, "stdin", nobody),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = jobs.cli.run(words)
        return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture
def program(variables: dict[str, str]) -> Run:
    """The same as a process: for what ends it, and what of it reaches whoever started it."""

    def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jobs.cli", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**variables, **more},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            stdin=subprocess.DEVNULL,
        )

    return run
