"""Connected components and grouping, against plain Python and numpy.

0 - 3   1   2 - 4 - 5      labels 0 1 2 0 2 2: components count by their smallest vertex
"""

from __future__ import annotations

from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.labels import distinct, grouped, places, split_rows, unique_rows
from shared.inputs.connected import connected_labels
from tests.examples import examples

Pair = tuple[int, int]
ids = st.integers(0, 2**64 - 1) | st.integers(0, 3) | st.integers(2**53, 2**53 + 3)


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Pair]]:
    """A number of vertices and edges between them, loops and repeated ones among them."""
    count = draw(st.integers(1, 30))
    vertex = st.integers(0, count - 1)
    return count, draw(st.lists(st.tuples(vertex, vertex), max_size=40))


def union_find(count: int, pairs: list[Pair]) -> list[int]:
    """The component of each vertex, numbered by the smallest vertex, one edge at a time."""
    leader = list(range(count))

    def find(vertex: int) -> int:
        while leader[vertex] != vertex:
            vertex = leader[vertex]
        return vertex

    for a, b in pairs:
        low, high = sorted((find(a), find(b)))
        leader[high] = low
    leaders = sorted({find(vertex) for vertex in range(count)})
    return [leaders.index(find(vertex)) for vertex in range(count)]


def labels(count: int, pairs: list[Pair]) -> list[int]:
    found = connected_labels(count, np.array(pairs, np.int64).reshape(-1, 2))
    assert found.dtype == np.int64 and found.shape == (count,)
    labels: list[int] = found.tolist()
    return labels


def test_drawing() -> None:
    """The graph drawn above."""
    assert labels(6, [(4, 5), (3, 0), (2, 4)]) == [0, 1, 2, 0, 2, 2]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, np.uint64])
def test_any_array(dtype: type[np.integer[Any]], order: Literal["C", "F"]) -> None:
    """Whatever whole numbers the edges are, and however they lie in memory, in order or not."""
    for pairs in ([(0, 1), (2, 3), (4, 5)], [(4, 5), (2, 3), (0, 1)]):
        assert connected_labels(7, np.array(pairs, dtype, order=order)).tolist() == [0, 0, 1, 1, 2, 2, 3]


def test_no_edges() -> None:
    """Without edges each vertex is a component of its own; without vertices there is none."""
    assert labels(4, []) == [0, 1, 2, 3]
    assert labels(0, []) == []


def test_loop() -> None:
    """A loop joins nothing, and vertices after the last edge are counted."""
    assert labels(4, [(1, 1)]) == [0, 1, 2, 3]


@given(graphs())
def test_components(graph: tuple[int, list[Pair]]) -> None:
    """Components of random graphs are those of a plain union-find, numbered by their smallest vertex."""
    count, pairs = graph
    assert labels(count, pairs) == union_find(count, pairs)


@given(graphs(), st.randoms(use_true_random=False))
def test_order_of_edges_does_not_matter(graph: tuple[int, list[Pair]], rng: Random) -> None:
    """Permuted, flipped and repeated edges give the same labels."""
    count, pairs = graph
    mixed = [pair[::-1] for pair in pairs] + pairs
    rng.shuffle(mixed)
    assert labels(count, mixed) == labels(count, pairs)


def test_numbers_are_not_those_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Components count by their smallest vertex even if the library numbers them otherwise."""
    from scipy.sparse import csgraph

    label = csgraph.connected_components

    def backwards(graph: object, directed: bool) -> tuple[int, np.ndarray[Any, Any]]:
        count, found = label(graph, directed=directed)
        return count, found.max() - found

    monkeypatch.setattr(csgraph, "connected_components", backwards)
    assert labels(6, [(4, 5), (3, 0), (2, 4)]) == [0, 1, 2, 0, 2, 2]


def test_large_graph() -> None:
    """A path through 100,000 vertices in random order is one component, and what is off it stays apart."""
    rng = np.random.default_rng(0)
    path = rng.permutation(100_000)
    pairs = rng.permutation(np.stack([path[:-1], path[1:]], axis=1), axis=0)
    found = connected_labels(100_002, pairs)
    assert found[:100_000].max() == 0
    assert found[100_000:].tolist() == [1, 2]


@given(st.lists(st.integers(0, 6)), st.integers(0, 4) | st.just(1 << 16))
def test_grouped(labels: list[int], more: int) -> None:
    """Each label's positions, in order, are those between its start and the next; labels may be without any."""
    count = max(labels, default=-1) + 1 + more
    order, starts = grouped(np.array(labels, np.int64), count)
    assert len(starts) == count + 1 and starts[-1] == len(labels)
    for label in range(min(count, 12)):
        found = order[starts[label] : starts[label + 1]].tolist()
        assert found == [at for at, other in enumerate(labels) if other == label]


@given(st.lists(st.tuples(st.integers(0, 5), ids)))
def test_split_rows(rows: list[tuple[int, int]]) -> None:
    """The rows of each number are those that have it, in their order, and only numbers with rows are there."""
    rows = sorted(set(rows))
    found = split_rows(unique_rows(*np.array(rows, np.uint64).reshape(-1, 2).T))
    assert {number: column.tolist() for number, (column,) in found.items()} == {
        number: [other for first, other in rows if first == number] for number in {first for first, _ in rows}
    }


@pytest.mark.parametrize("width", [1, 2, 3])
@given(data=st.data())
def test_unique_rows(width: int, data: st.DataObject) -> None:
    """Distinct rows, sorted, are those of numpy's own unique, exact for all 64-bit ids."""
    rows = data.draw(st.lists(st.tuples(*[ids] * width), max_size=30))
    table = np.array(rows, np.uint64).reshape(-1, width)
    found = unique_rows(*table.T)
    assert all(column.dtype == np.uint64 for column in found)
    assert np.stack(found, axis=1).tolist() == np.unique(table, axis=0).tolist()


def test_unique_rows_of_mixed_columns() -> None:
    """Positions and ids may stand side by side, and keep their types; the columns given stay as they were."""
    near, far = np.array([1, 0, 1], np.uint32), np.array([2**63 + 1, 5, 2**63 + 1], np.uint64)
    found = unique_rows(near, far)
    assert [column.tolist() for column in found] == [[0, 1], [5, 2**63 + 1]]
    assert [column.dtype for column in found] == [np.uint32, np.uint64]
    assert near.tolist() == [1, 0, 1]


near = st.lists(st.integers(2**56, 2**56 + 40) | st.integers(2**56, 2**56 + 3), min_size=1)


@given(near | st.lists(ids, min_size=1), st.data())
@examples(200)
def test_table_by_number_is_a_sort(values: list[int], data: st.DataObject) -> None:
    """Distinct ids and their places are those of sorting and searching, however far apart the ids lie."""
    array = np.array(values, np.uint64)
    found, at = distinct(array)
    wanted, wanted_at = np.unique(array, return_inverse=True)
    assert found.dtype == np.uint64 and at.dtype == np.int64
    assert found.tolist() == wanted.tolist() and at.tolist() == wanted_at.tolist()
    asked = np.array(data.draw(st.lists(st.tuples(*[st.sampled_from(values)] * 2))), np.uint64).reshape(-1, 2)
    assert places(found, asked).tolist() == np.searchsorted(found, asked).tolist()


def test_no_ids() -> None:
    """Of no ids none are distinct, and none are looked up."""
    empty = np.zeros(0, np.uint64)
    assert [len(part) for part in distinct(empty)] == [0, 0]
    assert places(empty, empty).shape == (0,) and places(np.array([5], np.uint64), empty).shape == (0,)
