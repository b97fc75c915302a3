"""Which tests stay together in one process, and which are begun first.

Why: what tests share takes long to make, and is made once in each process that has one of them. xdist's own groups
are a mark that it writes into a test's id, which pytest no longer reads: every test went its own way, and the plans
of Terraform were made three times. Invariants: a group is said by a test's id alone, which every process has.
"""

from __future__ import annotations

from typing import Any

import pytest

TESTS = "tests/"

TOGETHER = ("browser", "functions", "image", "terraform", "walk")
"""Folders whose files share what takes long to make: a browser, environments, the image, plans, a deployment."""

APART = ("e2e/test_failures.py", "e2e/test_ingest.py", "e2e/test_raw.py")
"""Files whose tests share nothing and take long, so that each goes where there is time for it."""

FIRST = (
    "e2e/test_outages.py",
    "faults/test_crash_cutting.py",
    "image",
    "faults/test_crash_processes.py",
    "terraform",
    "faults/test_worker_process.py",
    "faults/test_bad_volumes.py",
    "e2e/test_failures.py",
    "walk",
    "contract/test_queue.py",
    "e2e/test_ingest.py",
    "unit/test_looking_inside.py",
    "browser",
    "faults/test_bad_raw.py",
    "e2e",
    "faults",
    "surroundings",
    "property",
)
LAST = ("unit",)
"""What takes long is begun first, and small files last: so the processes are done at about the same time. What
mostly waits (for services, processes, a browser) and what computes take turns, so that no core is idle."""


def group_of(test: str) -> str:
    """The tests that stay in one process: those of a file, or of a folder in `TOGETHER`; each one of `APART`.

    `test` is a test's id from the repository's folder: tests/room/test_file.py::test_name[parameters].
    """
    path, _, name = test.removeprefix(TESTS).partition("::")
    if path in APART:
        return f"{path}::{name}"
    room = path.split("/")[0]
    return room if room in TOGETHER else path


def place_in_line(group: str) -> int:
    """How early a group is begun."""
    after = len(FIRST) + group.startswith(LAST)
    return next((number for number, first in enumerate(FIRST) if group.startswith(first)), after)


def by_groups(config: pytest.Config, log: Any) -> Any:
    """What hands out tests to xdist's processes, one group after the other."""
    from xdist.scheduler import LoadScopeScheduling  # only where xdist is in use

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler
