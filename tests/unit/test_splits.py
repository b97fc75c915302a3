"""A new table is split where its rows will be, whatever the shape of the volume."""

from __future__ import annotations

import bisect
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.table.columns import META_KEY, VERSION_KEY, Family, counter_key, node_key
from shared.table.splits import MOST, NODES, ROOTS, SUPERVOXELS, splits
from tests.harness import MemoryRun
from tests.volumes import random_volume

SHAPES = {
    "cube": (12, 12, 12),
    "uneven": (17, 11, 9),
    "slab in x": (1, 40, 40),
    "slab in y": (40, 1, 40),
    "slab in z": (40, 40, 1),
    "column in x": (1500, 1, 1),
    "column in y": (1, 1500, 1),
    "column in z": (1, 1, 1500),
}


def plan_of(shape: tuple[int, int, int], test: bool = False) -> Plan:
    grid = Grid(shape)
    return Plan(grid, IdLayout(grid.layer_count, 11), 3, test)


def rows_of(plan: Plan) -> list[tuple[bytes, float]]:
    """Keys with how many rows are written around them: of each layer-2 chunk its supervoxels, nodes and roots,
    with the shares of the example; of each chunk above a few nodes and roots."""
    found = []
    for layer in plan.layers:
        for index in range(plan.total(layer)):
            chunk = plan.chunk_at(layer, index)
            root = int(plan.roots.root_ids(chunk, 1)[0])
            if layer == 2:
                found.append((node_key(plan.ids.chunk_id(Chunk(1, *chunk.coords)) + 7), 83.0))
            found.append((node_key(plan.ids.chunk_id(chunk) + 7), 12.0 if layer == 2 else 6.0))
            found.append((node_key(root), 5.0 if layer == 2 else 8.0))
            found.append((counter_key(plan.ids.chunk_id(chunk)), 1.0))
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_rows_are_spread(shape: tuple[int, int, int]) -> None:
    """No tablet has more than 3 % of all rows; with one it would have all of them, and a layer most."""
    plan, shares = plan_of(shape), defaultdict[int, float](float)
    keys = splits(plan)
    for key, rows in rows_of(plan):
        shares[bisect.bisect_right(keys, key)] += rows
    assert max(shares.values()) <= 0.03 * sum(shares.values())
    assert len(keys) > 90
    # Those of the supervoxels alone are as even as whole chunks allow.
    first = node_key(plan.ids.chunk_id(Chunk(1, 0, 0, 0)))
    ours = sorted(shares[at] for at, key in enumerate(keys[:SUPERVOXELS], start=1) if key >= first)
    assert ours[-1] - ours[0] <= 2 * 83


@given(
    shape=st.tuples(*[st.integers(1, 30)] * 3) | st.sampled_from([(216, 216, 216), (1, 3000, 3000)]),
    test=st.booleans(),
)
def test_keys(shape: tuple[int, int, int], test: bool) -> None:
    """Sorted, each once, at most a hundred, before no more than the rows that a run writes; quickly, for 10^7
    chunks as well."""
    grid = Grid(shape)
    plan = Plan(grid, IdLayout(grid.layer_count, 12), 3, test)
    keys = splits(plan)
    assert keys == sorted(set(keys)) and 1 <= len(keys) <= MOST
    assert keys[0] >= node_key(plan.ids.chunk_id(Chunk(1, 0, 0, 0)))
    assert keys[-1] < min(META_KEY, VERSION_KEY)
    of_layer = Counter(int(key) >> 56 for key in keys if key != b"i")
    assert of_layer[1] == min(SUPERVOXELS, plan.total(2)) and of_layer[2] >= min(NODES, plan.total(2))
    assert of_layer[grid.layer_count] >= min(ROOTS[2], plan.total(2))


def test_a_run_begins_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of a run is made with the splits of its plan."""
    run, found = MemoryRun.of(random_volume(1, (4, 2, 2), size=4)), list[bytes]()
    create = run.table.create

    def noted(families: Sequence[Family], splits: Sequence[bytes] = ()) -> None:
        found.extend(splits)
        create(families)

    monkeypatch.setattr(run.table, "create", noted)
    run.start()
    assert found == splits(run.record.plan) and len(found) > 20
