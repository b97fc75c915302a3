"""What the tests share: one set of emulators a session, whose hosts are handed over explicitly.

Why: starting the three takes seconds, so it is done once. Invariants: the environment of the
process is read, never changed, so a test cannot reach an emulator (or a service) by accident. Where
several processes test, what is made once for some files is made in one of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from jobs.local import emulators as manager

# No test may fail for being slow: how long an example takes says more of the machine than of the code.
settings.register_profile("daily", deadline=None)
settings.register_profile("ci", settings.get_profile("daily"), max_examples=200)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "daily")

TOGETHER = ("functions", "image", "terraform")
"""Folders whose files share what takes long to make: environments, the image, Terraform's plans."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Says which tests stay in one process: those of a file, or of a folder in `TOGETHER`."""
    root = Path(__file__).parent
    for item in items:
        path = item.path.relative_to(root)
        group = path.parts[0] if path.parts[0] in TOGETHER else str(path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def emulators(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The host of each emulator by its variable: those that the environment names, the rest started."""
    folder = tmp_path_factory.mktemp("emulators")
    try:
        yield manager.start(manager.SERVICES, folder, os.environ)
    except manager.EmulatorsMissing as missing:
        # A run that is to prove something must not pass because half of it was left out.
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
    finally:
        manager.stop(folder)
