"""How many tasks are started: examples by hand, and what holds for all numbers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dispatch.decide import CHUNKS_A_TASK, MAX_EXECUTIONS, MAX_TASKS, Running, tasks_to_start
from shared.dispatch.fleet import Fleet

FLEET = Fleet("projects/p/locations/r/jobs/j", (2,), start=10, factor=2, period=300, max=500)

EXAMPLES = {
    "nothing waits": (0, Running(), 0),
    "the first tasks of a large run": (10**7, Running(), 10),
    "a task a chunk at the start": (3, Running(), 3),
    "doubled": (10**7, Running(1, 10), 10),
    "doubled again": (10**7, Running(2, 20), 20),
    "up to the limit": (10**7, Running(6, 320), 180),
    "at the limit": (10**7, Running(7, 500), 0),
    "more than the limit, after it was lowered": (10**7, Running(7, 900), 0),
    "those who run are enough": (200, Running(1, 20), 0),
    "a few more are of use": (250, Running(1, 20), 5),
    "after most of them ended": (10**7, Running(3, 4), 6),
    "too many executions are open": (10**7, Running(MAX_EXECUTIONS, MAX_EXECUTIONS), 0),
}


@pytest.mark.parametrize(("waiting", "running", "wanted"), EXAMPLES.values(), ids=EXAMPLES)
def test_examples(waiting: int, running: Running, wanted: int) -> None:
    """The decision in situations of a run's life, while growth brings something."""
    assert tasks_to_start(FLEET, waiting, running, grown(FLEET, running)) == wanted


def grown(fleet: Fleet, running: Running) -> int:
    """What a fleet may have whose tasks all do their part."""
    return max(fleet.start, int(running.tasks * fleet.factor))


fleets = st.builds(
    lambda start, more, factor: replace(FLEET, start=start, max=start + more, factor=factor),
    st.integers(1, 2000),
    st.integers(0, 30_000),
    st.floats(1.01, 10),
)


@given(fleets, st.integers(0, 10**7), st.integers(0, 1000), st.integers(0, 40_000), st.integers(0, 80_000))
def test_limits(fleet: Fleet, waiting: int, executions: int, tasks: int, allowed: int) -> None:
    """Never beyond the fleet's limit, what it is allowed, Cloud Run's quotas, or what can be of use."""
    started = tasks_to_start(fleet, waiting, Running(executions, tasks), allowed)
    assert 0 <= started <= MAX_TASKS
    if started:
        assert executions < MAX_EXECUTIONS
        assert tasks + started <= fleet.max
        assert tasks + started <= allowed
        assert started <= waiting and tasks + started <= max(fleet.start, -(-waiting // CHUNKS_A_TASK))


@given(fleets, st.integers(1, 10**7))
def test_work_is_never_left_alone(fleet: Fleet, waiting: int) -> None:
    """Where chunks wait and nothing runs, something is started."""
    assert tasks_to_start(fleet, waiting, Running(), grown(fleet, Running())) > 0
