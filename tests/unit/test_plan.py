"""The plan: whole runs and test runs agree with themselves about which chunks there are and who waits.

A test run builds the middle layer-3 chunk and its children, and nothing around them:

    Grid((6, 6, 1)), layer 3, from above        Grid((5, 3, 1)): the middle one is clipped

        .   .   .                                   .   .   .
        .   P   .    P has 4 children               .   P   .    P has 2 children
        .   .   .
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from tests.examples import examples

shapes = st.tuples(st.integers(1, 7), st.integers(1, 5), st.integers(1, 3))


def plan_of(shape: tuple[int, int, int], test: bool = False, tables: int | None = None) -> Plan:
    """The plan of a grid; with a number of `tables` (0 too) its chunks are cut out of a segmentation."""
    grid = Grid(shape, 2 if tables is None else 1)
    return Plan(grid, IdLayout(grid.layer_count), test=test, tables=tables or 0)


plans = st.builds(plan_of, shapes, st.booleans(), st.sampled_from([None, 0, 1, 5]))
PLANS = examples(40)


def every_chunk(plan: Plan) -> list[Chunk]:
    """All chunks that the run builds, in order of layers and numbers."""
    return [plan.chunk_at(layer, index) for layer in plan.layers for index in range(plan.total(layer))]


def test_run_of_eight_children() -> None:
    """A test run in a large grid builds 8 chunks of layer 2 and their parent."""
    plan = plan_of((6, 6, 6), test=True)
    top = Chunk(3, 1, 1, 1)
    children = [Chunk(2, x, y, z) for x in (2, 3) for y in (2, 3) for z in (2, 3)]
    assert plan.top == top and plan.layers == range(2, 4)
    assert every_chunk(plan) == [*children, top]
    assert plan.dependencies(top) == children
    assert plan.bits(top) == {child: bit for bit, child in enumerate(children)}
    assert all(plan.dependents(child) == [top] for child in children)
    assert plan.dependents(top) == [plan.end] == [Chunk(4, 0, 0, 0)]
    assert plan.bits(plan.end) == {top: 0}


@pytest.mark.parametrize(
    ("shape", "top", "children"),
    [
        ((5, 3, 1), Chunk(3, 1, 1, 0), [Chunk(2, 2, 2, 0), Chunk(2, 3, 2, 0)]),
        ((3, 1, 1), Chunk(3, 1, 0, 0), [Chunk(2, 2, 0, 0)]),
        ((2, 1, 1), Chunk(3, 0, 0, 0), [Chunk(2, 0, 0, 0), Chunk(2, 1, 0, 0)]),
    ],
)
def test_run_clipped_at_the_edge(shape: tuple[int, int, int], top: Chunk, children: list[Chunk]) -> None:
    """At the upper edge of an odd grid a test run has fewer children, and all of them."""
    plan = plan_of(shape, test=True)
    assert every_chunk(plan) == [*children, top]
    assert plan.dependencies(top) == children
    assert [plan.dependents(child) for child in children] == [[top]] * len(children)


@pytest.mark.parametrize("test", [False, True])
def test_single_chunk(test: bool) -> None:
    """A volume of one chunk is one build, whose completion ends the run."""
    plan = plan_of((1, 1, 1), test)
    only = Chunk(2, 0, 0, 0)
    assert every_chunk(plan) == [plan.top] == [only]
    assert plan.dependencies(only) == []
    assert plan.dependents(only) == [plan.end] == [Chunk(3, 0, 0, 0)]
    assert plan.bits(plan.end) == {only: 0}


def test_test_run_of_a_small_volume_is_the_whole_run() -> None:
    """Where one layer-3 chunk is the whole volume, a test run builds the same chunks as a whole one."""
    part, whole = plan_of((2, 2, 2), test=True), plan_of((2, 2, 2))
    assert every_chunk(part) == every_chunk(whole)
    assert part.top == whole.top == whole.grid.root


@given(plans)
@PLANS
def test_chunks_are_counted_and_contained(plan: Plan) -> None:
    """Exactly the chunks that are counted are in the plan, each once; the end is none of them."""
    chunks = every_chunk(plan)
    assert len(set(chunks)) == len(chunks)
    around = {
        Chunk(layer, x, y, z) for layer in range(0, 7) for x in range(-1, 8) for y in range(6) for z in (0, 3)
    }
    for chunk in around | set(chunks):
        assert (chunk in plan) == (chunk in set(chunks))
    assert plan.end not in plan
    assert chunks[-1] == plan.top


@given(plans)
@PLANS
def test_dependents_dependencies_and_bits_agree(plan: Plan) -> None:
    """Each completion is noted with exactly those who have a bit for it; bits count from 0 without a gap."""
    chunks = every_chunk(plan)
    noted: dict[Chunk, set[Chunk]] = {waiting: set() for waiting in [*chunks, plan.end]}
    for chunk in chunks:
        for waiting in plan.dependents(chunk):
            noted[waiting].add(chunk)
    for waiting, dependencies in noted.items():
        bits = plan.bits(waiting)
        assert set(bits) == dependencies
        assert sorted(bits.values()) == list(range(len(bits)))
    assert all(list(plan.bits(chunk)) == plan.dependencies(chunk) for chunk in chunks)


@given(plans)
@PLANS
def test_first_dependent_has_the_chunk_as_child(plan: Plan) -> None:
    """The first record that a completion goes to is the parent's, where it counts as progress once."""
    for chunk in every_chunk(plan):
        first, *others = plan.dependents(chunk)
        if chunk.layer == 0:
            assert (first, others) == (plan.chunk_at(1, 0), [])
            continue
        assert first == plan.end if chunk == plan.top else chunk in plan.grid.children(first)
        assert not any(chunk in plan.grid.children(other) for other in others)


@given(plans, st.integers(0, 2**32 - 1))
@PLANS
def test_any_order_reaches_the_end(plan: Plan, seed: int) -> None:
    """Chunks finished in any order make every chunk of the plan ready once, and the end last; cuts begin all at
    once, when the tables are sorted."""
    rng = random.Random(seed)
    fed = [plan.chunk_at(plan.fed, index) for index in range(plan.total(plan.fed))]
    queue = [plan.chunk_at(0, index) for index in range(plan.tables)] or fed
    done: dict[Chunk, int] = {}
    built: list[Chunk] = []
    while queue:
        chunk = queue.pop(rng.randrange(len(queue)))
        built.append(chunk)
        for waiting in plan.dependents(chunk):
            bits = plan.bits(waiting)
            done[waiting] = done.get(waiting, 0) | 1 << bits[chunk]
            if done[waiting] == (1 << len(bits)) - 1 and waiting != plan.end:
                queue += fed if waiting.layer == 1 else [waiting]
    assert sorted(built) == sorted(every_chunk(plan))
    assert built[-1] == plan.top and done[plan.end] == 1


def test_plan_of_ten_million_chunks() -> None:
    """A plan answers for 10^7 chunks as it does for ten."""
    plan = plan_of((250, 200, 200))
    assert plan.total(2) == 10**7
    last = plan.chunk_at(2, 10**7 - 1)
    assert last == Chunk(2, 249, 199, 199) and last in plan
    assert plan.dependents(last) == [Chunk(3, 124, 99, 99)]
    assert plan.layers == range(2, 11)
