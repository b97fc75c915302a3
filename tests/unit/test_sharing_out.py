"""Tests that share what takes long are in one process: what they share is made once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

from tests.conftest import pytest_xdist_make_scheduler
from tests.sharing_out import APART, FIRST, LAST, TOGETHER, group_of, place_in_line

TESTS = Path(__file__).parents[1]


@dataclass(eq=False)
class Process:
    """One of xdist's, that does what it is sent at once."""

    name: str
    sent: list[int] = field(default_factory=list)
    shutting_down: bool = False

    @property
    def gateway(self) -> SimpleNamespace:
        return SimpleNamespace(id=self.name)

    def send_runtest_some(self, indices: list[int]) -> None:
        self.sent += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def shared_out(tests: list[str], count: int) -> list[list[str]]:
    """What each process is given, by what conftest gives xdist."""
    options = SimpleNamespace(loadscopereorder=False)
    given: Any = SimpleNamespace(option=options, getvalue=lambda _name: [f"{count}*popen"])
    scheduler = pytest_xdist_make_scheduler(given, Producer("test", enabled=False))
    processes = [Process(f"p{number}") for number in range(count)]
    for process in processes:
        scheduler.add_node(process)
    for process in processes:
        scheduler.add_node_collection(process, tests)
    scheduler.schedule()
    for turn in range(len(tests)):
        for process in processes:
            if turn < len(process.sent):
                scheduler.mark_test_complete(process, process.sent[turn])
    return [[tests[index] for index in process.sent] for process in processes]


def test_groups_stay_together() -> None:
    """Two tests of each file, for three processes: each runs once, and no group is in two of them."""
    tests = [
        f"{file.relative_to(TESTS.parent).as_posix()}::test_{name}[a@b]"
        for file in sorted(TESTS.rglob("test_*.py"))
        for name in "ab"
    ]
    given = shared_out(tests, 3)
    assert sorted(test for some in given for test in some) == sorted(tests)
    groups = [{group_of(test) for test in some} for some in given]
    assert all(groups) and not any(groups[a] & groups[b] for a, b in ((0, 1), (0, 2), (1, 2)))
    assert {*TOGETHER, *(f"{path}::test_a[a@b]" for path in APART)} <= set.union(*groups)


def test_ids_are_those_of_pytest(request: pytest.FixtureRequest) -> None:
    """What groups are found by is what pytest calls a test, in whatever process."""
    assert group_of(request.node.nodeid) == "unit/test_sharing_out.py"


def test_names_are_there() -> None:
    """What is said of files and folders is said of some that there are; last is after first."""
    for name in (*TOGETHER, *APART, *FIRST, *LAST):
        assert (TESTS / name).exists(), name
    assert place_in_line(FIRST[0]) < place_in_line("contract/test_table.py") < place_in_line(LAST[0])
