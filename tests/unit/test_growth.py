"""How far a fleet grows: simulated tables that take so many rows a second, and what is kept between rounds."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dispatch.fleet import Fleet
from shared.dispatch.growth import Pace, Seen, most_tasks, paced
from tests.examples import examples

FLEET = Fleet("projects/p/locations/r/jobs/j", (2,), start=10, factor=2, period=300, max=10_000)
HOUR = 60
"""Rounds: one a minute."""

Capacity = Callable[[int], float]
"""Of how many tasks the table takes the rows in a minute of the run."""


def grown(capacity: Capacity, minutes: int, fleet: Fleet = FLEET, chunks: float = 2.0, seed: int = 0) -> list[int]:
    """The tasks of each minute. A task does `chunks` a second where it need not wait for the table; how many are
    done in a minute varies as counts do. Tasks begin half a minute after their start."""
    rng, pace, tasks, before, done = random.Random(seed), None, 0, 0, 0
    sizes = []
    for minute in range(minutes):
        pace = paced(pace, Seen("g.r", 60.0 * minute, tasks, done), fleet.period)
        before, tasks = tasks, max(tasks, min(fleet.max, most_tasks(fleet, pace, 60.0 * minute)))
        mean = 60 * chunks * min((before + tasks) / 2, capacity(minute))
        done += max(0, round(rng.gauss(mean, mean**0.5)))
        sizes.append(tasks)
    return sizes


def test_a_run_that_nothing_limits() -> None:
    """Tasks about double, each time that a rate was taken, until the limit."""
    sizes = grown(lambda _: 10**6, HOUR, replace(FLEET, max=500))
    steps = [size for at, size in enumerate(sizes) if at == 0 or size != sizes[at - 1]]
    assert steps[0] == 10 and steps[-1] == sizes[50] == 500
    assert all(1.6 * low <= high <= 2 * low for low, high in itertools.pairwise(steps[:-1]))


@given(takes=st.integers(10, 3_000), seed=st.integers(0, 1000), chunks=st.sampled_from([0.7, 3.0, 40.0]))
@examples(60)
def test_settles_near_what_the_table_takes(takes: int, seed: int, chunks: float) -> None:
    """A table that takes the rows of N tasks has N to 2 N before it, give or take what counts vary, and in the
    last eight hours of twelve no task more: the fleet never shrinks and never swings."""
    sizes = grown(lambda _: takes, 12 * HOUR, chunks=chunks, seed=seed)
    assert 0.85 * takes <= sizes[-1] <= 2.1 * takes
    assert sizes == sorted(sizes)
    assert sizes[-1] <= 1.15 * sizes[4 * HOUR]


def test_a_table_for_less_than_the_first_tasks() -> None:
    """The first tasks are started anyway, and doubled once, as nothing tells that one does less than it could."""
    assert grown(lambda _: 2, 12 * HOUR)[-1] == 20


def test_nodes_are_added() -> None:
    """A table that takes four times as much after four hours has the tasks for it within the next two."""
    sizes = grown(lambda minute: 100 if minute < 4 * HOUR else 400, 10 * HOUR)
    assert 85 <= sizes[4 * HOUR - 1] <= 210
    assert 340 <= sizes[6 * HOUR] <= sizes[-1] <= 840


def test_a_table_that_warms_up() -> None:
    """A table that takes more by the minute, as its tablets split, is followed."""
    sizes = grown(lambda minute: 10 + 2 * minute, 8 * HOUR)
    for at in range(2 * HOUR, 8 * HOUR, HOUR):
        assert 0.5 * (10 + 2 * at) <= sizes[at] <= 2.1 * (10 + 2 * at)


def test_a_table_that_is_slow_for_an_hour() -> None:
    """Nothing is started while less is done than before, and nothing is lost of what was reached."""
    sizes = grown(lambda minute: 40 if 4 * HOUR < minute < 5 * HOUR else 400, 8 * HOUR)
    assert sizes[4 * HOUR] == sizes[5 * HOUR] and sizes[-1] <= 840


def test_chunks_that_take_long() -> None:
    """Where an hour has a few chunks done nothing can be told, so the fleet grows as if each task did its part."""
    sizes = grown(lambda _: 10**6, 3 * HOUR, replace(FLEET, start=1, max=8), chunks=1 / 2400)
    assert sizes[-1] == 8


def test_tasks_that_ended_are_replaced_up_to_what_is_of_use() -> None:
    """Of 160 tasks before a table for 100, sixty end: a few are started, so that the table is kept at work."""
    pace = Pace("g.r", 160, 0.0, 0.0, 0, measured=160, rate=200.0, best=2.0)
    assert most_tasks(FLEET, pace, 0.0) == 160
    after = paced(pace, Seen("g.r", 60.0, 100, 0), 300)
    assert most_tasks(FLEET, after, 60.0) == 133
    assert most_tasks(FLEET, paced(pace, Seen("g.r", 60.0, 140, 0), 300), 60.0) == 140


def test_a_rate_is_of_one_number_of_tasks() -> None:
    """It begins when the last of them had time to begin, and anew when their number changes."""
    pace = paced(None, Seen("g.r", 0.0, 10, 0), 300)
    pace = paced(pace, Seen("g.r", 60.0, 10, 50), 300)
    assert pace.begun == 0
    pace = paced(pace, Seen("g.r", 120.0, 10, 100), 300)
    assert (pace.begun, pace.done) == (120, 100)
    assert paced(pace, Seen("g.r", 400.0, 10, 1000), 300) == pace
    measured = paced(pace, Seen("g.r", 420.0, 9, 1000), 300)
    assert (measured.measured, measured.rate, measured.best) == (10, 3.0, 0.3)
    changed = paced(pace, Seen("g.r", 420.0, 20, 1000), 300)
    assert (changed.tasks, changed.begun, changed.measured) == (20, 0, 0)


def test_other_runs_are_other_chunks() -> None:
    """A run that comes or goes begins the window anew and keeps the best; others altogether, or no task at all,
    begin everything anew."""
    pace = Pace("a.r b.r", 10, 0.0, 100.0, 500, measured=10, rate=3.0, best=0.3)
    joined = paced(pace, Seen("b.r", 200.0, 10, 20), 300)
    assert (joined.best, joined.begun, joined.measured) == (0.3, 0, 10)
    assert paced(pace, Seen("c.r", 200.0, 10, 20), 300) == Pace("c.r", 10, 200.0)
    assert paced(pace, Seen("a.r b.r", 200.0, 0, 20), 300) == Pace("a.r b.r", 0, 200.0)


def test_what_is_kept_is_small() -> None:
    """A pace is eight plain values, and comes back from them; what another release kept counts as nothing."""
    pace = Pace("g.r", 10, 1.5, 2.5, 3, 4, 5.5, 6.5)
    assert Pace.of_facts(pace.as_facts()) == pace and len(pace.as_facts()) == 8
    assert Pace.of_facts({}) is None and Pace.of_facts({"of": "g", "more": 1}) is None


@pytest.mark.parametrize("factor", [1.2, 2, 4])
def test_growth_is_never_more_than_the_factor(factor: float) -> None:
    """Whatever is measured, and never less than the fleet's first tasks."""
    fleet = replace(FLEET, factor=factor)
    for rate in (0.0, 10.0, 20.0, 30.0):
        pace = Pace("g.r", 100, 0.0, 50.0, 0, measured=100, rate=rate, best=0.2)
        assert 100 <= most_tasks(fleet, pace, 60.0) <= 100 * factor
    assert most_tasks(fleet, Pace("g.r", 0, 0.0), 0.0) == fleet.start
