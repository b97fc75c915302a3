"""What the tests share: one set of emulators a run, whose hosts are handed over explicitly.

Why: starting the three takes seconds, so it is done once, also where two processes test. Invariants: the
environment of the process is read, never changed, so a test cannot reach an emulator (or a service) by
accident. What is made once for some files is made in one process. What this machine lacks is said at the end.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tests.examples  # noqa: F401  # the profiles, before any test asks for them
from jobs.local import emulators as manager
from shared.errors import IngestError
from tests.lacking import lacks, summary

TOGETHER = ("functions", "image", "terraform", "walk")
"""Folders whose files share what takes long to make: environments, the image, Terraform's plans, a deployment."""

FIRST = (
    "image",
    "faults/test_crash_processes.py",
    "faults/test_worker_process.py",
    "e2e/test_failures.py",
    "e2e/test_ingest.py",
    "terraform",
    "e2e",
    "faults",
    "functions",
    "contract",
    "property",
)
"""What takes long is begun first, so that two processes are done at about the same time."""

PLACE = pytest.StashKey[Path]()
"""The folder of the emulators of this run, the same one in each process that tests."""


def group_of(item: pytest.Item) -> str:
    """The tests that stay in one process: those of a file, or of a folder in `TOGETHER`."""
    path = item.path.relative_to(Path(__file__).parent)
    return path.parts[0] if path.parts[0] in TOGETHER else path.as_posix()


def place_in_line(group: str) -> int:
    """How early a group is begun."""
    return next((number for number, first in enumerate(FIRST) if group.startswith(first)), len(FIRST))


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups tests for the processes that share them out, the long ones first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group_of(item)))
    items.sort(key=lambda item: place_in_line(group_of(item)))


def pytest_configure(config: pytest.Config) -> None:
    """Makes a folder for the emulators that all processes of this run know."""
    shared = getattr(config, "workerinput", {}).get("emulators")
    config.stash[PLACE] = Path(shared or tempfile.mkdtemp(prefix="test-emulators-"))


@pytest.hookimpl(optionalhook=True)  # of xdist, which may not be in use
def pytest_configure_node(node: Any) -> None:
    """Tells a process that tests where the emulators are."""
    node.workerinput["emulators"] = str(node.config.stash[PLACE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the emulators, once, when all is over."""
    if not hasattr(config, "workerinput") and PLACE in config.stash:
        manager.stop(config.stash[PLACE])
        shutil.rmtree(config.stash[PLACE], ignore_errors=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists what was left out, by what this machine lacks."""
    if lines := summary(terminalreporter.stats.get("skipped", [])):
        terminalreporter.section("left out here; with CI=true nothing is")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def emulators(pytestconfig: pytest.Config) -> dict[str, str]:
    """The host of each emulator by its variable: those that the environment names, the rest started."""
    try:
        return manager.ensure(pytestconfig.stash[PLACE], os.environ)
    except IngestError as missing:
        lacks("emulators", str(missing))
