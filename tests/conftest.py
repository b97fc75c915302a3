"""What the tests share: a set of emulators, whose hosts are handed over explicitly, and the README's example.

Why: making them takes seconds, so it is done once, also where two processes test. Invariants: the
environment of the process is read, never changed, so a test cannot reach an emulator (or a service) by
accident. What is made once for some files is made in one process. What this machine lacks is said at the end.
"""

from __future__ import annotations

import gc
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

import tests.examples  # noqa: F401  # the profiles, before any test asks for them
from jobs.example import ExampleParams, make_example
from jobs.local import emulators as manager
from jobs.local.processes import locked
from jobs.paths import REPORTS
from shared.errors import IngestError
from tests.lacking import lacks, summary
from tests.sharing_out import by_groups, group_of, place_in_line

NAMED_BY_TESTS = re.compile("g[0-9a-f]{12}")
"""Graphs of tests, whose runs leave their reports where those of people are."""

PLACE = pytest.StashKey[Path]()
"""The folder of what this run of tests shares, the same one in each process that tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first."""
    items.sort(key=lambda item: place_in_line(group_of(item.nodeid)))


def pytest_collection_finish() -> None:
    """What all tests are made of stays: whoever collects garbage need not look through it each time."""
    gc.freeze()


@pytest.hookimpl(optionalhook=True)  # of xdist, which may not be in use
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares out tests by groups."""
    return by_groups(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Makes a folder that all processes of this run know."""
    shared = getattr(config, "workerinput", {}).get("place")
    config.stash[PLACE] = Path(shared or tempfile.mkdtemp(prefix="shared-by-tests-"))


@pytest.hookimpl(optionalhook=True)  # of xdist, which may not be in use
def pytest_configure_node(node: Any) -> None:
    """Tells a process that tests where that is."""
    node.workerinput["place"] = str(node.config.stash[PLACE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Ends the emulators and removes what was shared, once, when all is over."""
    if not hasattr(config, "workerinput") and PLACE in config.stash:
        manager.stop(config.stash[PLACE] / "emulators")
        shutil.rmtree(config.stash[PLACE], ignore_errors=True)
        for path in REPORTS.glob("*.html"):
            if NAMED_BY_TESTS.fullmatch(path.stem):
                path.unlink(missing_ok=True)


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
        return manager.ensure(pytestconfig.stash[PLACE] / "emulators", os.environ)
    except IngestError as missing:
        lacks("emulators", str(missing))


@pytest.fixture(scope="session")
def whole_example(pytestconfig: pytest.Config) -> Path:
    """The folder of the example of the README; for reading only."""
    place = pytestconfig.stash[PLACE] / "example"
    with locked(place):
        if not (place / "made").exists():
            make_example(place / "making", ExampleParams())
            (place / "making").rename(place / "made")
    return place / "made"
