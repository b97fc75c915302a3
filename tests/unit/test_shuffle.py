"""The shuffled order of layer 2: every chunk once, always the same way, and siblings kept apart."""

from __future__ import annotations

import tracemalloc
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.plan.grid import Grid, parent
from shared.plan.shuffle import BLOCK, shuffled


@pytest.mark.parametrize("count", [*range(70), BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK, 4 * BLOCK + 1, 500_000])
def test_every_number_once(count: int) -> None:
    """The order is a permutation of 0 .. count - 1, for small counts and around every inner limit."""
    assert sorted(shuffled(count)) == list(range(count))


@given(st.integers(0, 3000), st.integers(0, 2**64))
def test_every_number_once_with_any_seed(count: int, seed: int) -> None:
    """Any seed gives a permutation, and the same one when asked again."""
    found = list(shuffled(count, seed))
    assert sorted(found) == list(range(count))
    assert found == list(shuffled(count, seed))


def test_golden_order() -> None:
    """The order is fixed for good: a command that is run again queues chunks the same way."""
    assert list(shuffled(10)) == [0, 9, 6, 4, 8, 2, 7, 1, 5, 3]
    assert list(shuffled(1000, 7))[:5] == [300, 379, 943, 179, 40]


def test_seeds_differ() -> None:
    """Different seeds give different orders."""
    assert len({tuple(shuffled(1000, seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize("shape", [(16, 16, 16), (31, 17, 9), (40, 40, 3), (2000, 1, 1)])
def test_siblings_are_rarely_built_together(shape: tuple[int, int, int]) -> None:
    """In any 16 chunks that workers hold at once, few share a parent; in grid order nearly all would."""
    grid = Grid(shape)
    total = grid.chunk_total(2)

    def sharing(order: list[int]) -> float:
        parents = [parent(grid.chunk_at(2, index)) for index in order]
        windows = [parents[at : at + 16] for at in range(0, total - 16, 16)]
        return sum(16 - len(set(window)) for window in windows) / (16 * len(windows))

    assert sharing(list(range(total))) > 0.4
    assert sharing(list(shuffled(total))) < 0.06


@pytest.mark.parametrize("shape", [(16, 16, 16), (31, 17, 9), (40, 40, 3), (2000, 1, 1)])
def test_neighbours_in_the_order_are_apart_in_the_grid(shape: tuple[int, int, int]) -> None:
    """Chunks next to each other in the order hardly ever touch in the grid."""
    grid = Grid(shape)
    order = [grid.chunk_at(2, index) for index in shuffled(grid.chunk_total(2))]
    touching = sum(max(abs(a - b) for a, b in zip(p, q, strict=True)) <= 1 for p, q in pairwise(order))
    assert touching < 0.02 * len(order)


def test_memory_does_not_grow() -> None:
    """The first numbers out of 10^12 come at once, from a block of fixed size."""
    tracemalloc.start()
    try:
        found = list(islice(shuffled(10**12), 1000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(set(found)) == 1000 and all(0 <= number < 10**12 for number in found)
    assert peak < 200 * BLOCK
