"""Where a node's parent stands: the rule as a function, against its words and against whole graphs.

A node of layer k, root layer r, and the cross layers >= k of its edges:

{k, ..}    joined with others at layer k + 1
{m, ..}    m > k the lowest: its parent has this one child, at layer m
{}         its parent is a root with this one child
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.oracle import Oracle
from tests.volumes import Volume, random_volume
from tests.whole.rules import parent_rule


def mask_of(*layers: int) -> int:
    return sum(1 << layer for layer in layers)


@pytest.mark.parametrize(
    ("own_layer", "cross_layers", "expected"),
    [
        (2, [2], (3, True)),
        (2, [2, 4], (3, True)),
        (2, [3], (3, False)),
        (2, [4], (4, False)),
        (2, [4, 5], (4, False)),
        (2, [], (6, False)),
        (3, [3, 5], (4, True)),
        (3, [5], (5, False)),
        (4, [5], (5, False)),
        (5, [5], (6, True)),
        (5, [], (6, False)),
    ],
)
def test_examples(own_layer: int, cross_layers: list[int], expected: tuple[int, bool]) -> None:
    """Parents in a graph whose root layer is 6."""
    assert parent_rule(own_layer, mask_of(*cross_layers), 6) == expected


def test_edges_below_do_not_count() -> None:
    """Edges of lower cross layers were used up below the node."""
    assert parent_rule(4, mask_of(2, 3), 7) == (7, False)
    assert parent_rule(4, mask_of(2, 3, 6), 7) == (6, False)
    assert parent_rule(4, mask_of(2, 4), 7) == (5, True)


@given(st.integers(3, 20), st.data())
def test_words_of_the_format(root: int, data: st.DataObject) -> None:
    """Layer by layer from the node's own, the first layer that gives it a parent is the one of the rule."""
    own = data.draw(st.integers(2, root - 1))
    crossing = data.draw(st.sets(st.integers(2, root - 1)))

    def first() -> tuple[int, bool]:
        for layer in range(own + 1, root + 1):
            if layer - 1 in crossing and layer - 1 == own:
                return layer, True
            if layer in crossing or layer == root:
                return layer, False
        raise AssertionError

    assert parent_rule(own, mask_of(*crossing), root) == first()


@given(
    st.builds(
        random_volume,
        seed=st.integers(0, 2**32 - 1),
        shape=st.tuples(st.integers(2, 9), st.integers(1, 3), st.integers(1, 2)),
        size=st.integers(1, 4),
        density=st.sampled_from([0.1, 0.3]),
    )
)
@examples(25)
def test_whole_graphs(volume: Volume) -> None:
    """Every node of a graph built edge by edge has its parent where the rule says, with as many children."""
    oracle = Oracle(volume.plan, volume.supervoxels, volume.active)
    root = volume.plan.grid.layer_count
    for node in oracle.children:
        if node >> 56 == root:
            assert node not in oracle.parents
            continue
        crossing = {layer for supervoxel in oracle.below[node] for layer, _, _ in oracle.edges_of[supervoxel]}
        where, joined = parent_rule(node >> 56, mask_of(*crossing), root)
        assert oracle.parents[node] >> 56 == where
        assert (len(oracle.children[oracle.parents[node]]) > 1) == joined
