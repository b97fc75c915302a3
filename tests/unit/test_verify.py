"""`verify` finds what it is for: each kind of damage to a good table is reported with its row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import zstandard

from shared.operate.verification import Verification, verify_here
from shared.plan.grid import Chunk
from shared.run.ports import Row
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY, node_key
from shared.table.decode import decode_ids, decode_pairs
from shared.verify.truth import compare
from tests.harness import MemoryRun
from tests.volumes import Volume, random_volume
from tests.whole.both import by_chunks

Rows = dict[bytes, Row]
Damage = Callable[[Rows, Volume], None]


def ingested(schema: int = 2) -> MemoryRun:
    run = MemoryRun.of(random_volume(4, (5, 3, 1), size=10, density=0.25, schema=schema)).start().work()
    run.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    return run


def verified(run: MemoryRun) -> Verification:
    return verify_here(run.volume.plan, run.table, None)


def pick(rows: Rows, layer: int, *columns: str) -> bytes:
    """A row of a layer that has these columns."""
    return next(
        key
        for key, row in sorted(rows.items())
        if key.isdigit() and int(key) >> 56 == layer and all(column in row.cells for column in columns)
    )


def frame(values: list[int]) -> bytes:
    return zstandard.compress(np.array(values, "<u8").tobytes())


def lose_a_node(rows: Rows, _: Volume) -> None:
    del rows[pick(rows, 3)]


def lose_a_supervoxel(rows: Rows, _: Volume) -> None:
    del rows[pick(rows, 1)]


def second_parent(rows: Rows, _: Volume) -> None:
    wrong = int(pick(rows, 2)) + 1
    rows[pick(rows, 1)].cells["0:parents"] = wrong.to_bytes(8, "little")


def orphan(rows: Rows, volume: Volume) -> None:
    key = pick(rows, 3)
    free = b"%020d" % (volume.plan.ids.chunk_id(Chunk(3, 0, 0, 0)) + 999)
    rows[free] = Row(free, dict(rows[key].cells))


def row_outside_the_grid(rows: Rows, volume: Volume) -> None:
    key = b"%020d" % (volume.plan.ids.chunk_id(Chunk(2, 0, 7, 7)) + 1)
    rows[key] = Row(key, {"0:children": frame([1])})


def strange_row(rows: Rows, _: Volume) -> None:
    rows[b"zebra"] = Row(b"zebra", {"0:parents": b"12345678"})


def strange_column(rows: Rows, _: Volume) -> None:
    rows[pick(rows, 3)].cells["3:atomic_cross_edges_2"] = frame([1, 2])


def damaged_children(rows: Rows, _: Volume) -> None:
    rows[pick(rows, 3)].cells["0:children"] = b"no frame"


def short_parent(rows: Rows, _: Volume) -> None:
    rows[pick(rows, 1)].cells["0:parents"] = b"1234"


def low_counter(rows: Rows, volume: Volume) -> None:
    chunk = volume.plan.ids.chunk_of(int(pick(rows, 2)))
    rows[b"i%020d" % volume.plan.ids.chunk_id(chunk)].cells["1:counter"] = bytes(8)


def low_root_counter(rows: Rows, volume: Volume) -> None:
    rows[b"i%020d_17" % volume.plan.ids.chunk_id(volume.plan.grid.root)].cells["1:counter"] = bytes(8)


def no_version(rows: Rows, _: Volume) -> None:
    del rows[VERSION_KEY]


def root_with_a_parent(rows: Rows, volume: Volume) -> None:
    rows[pick(rows, volume.plan.grid.layer_count)].cells["0:parents"] = bytes([1] * 8)


def edge_under_another_layer(rows: Rows, _: Volume) -> None:
    cells = rows[pick(rows, 2, "3:atomic_cross_edges_2")].cells
    cells["3:atomic_cross_edges_3"] = cells.pop("3:atomic_cross_edges_2")


def edge_from_elsewhere(rows: Rows, _: Volume) -> None:
    rows[pick(rows, 2, "3:atomic_cross_edges_2")].cells["3:atomic_cross_edges_2"] = frame([5, 6])


def lose_all_cross_edges(rows: Rows, _: Volume) -> None:
    del rows[pick(rows, 2, "3:atomic_cross_edges_2")].cells["3:atomic_cross_edges_2"]


def lifted(rows: Rows, layer: int = 3) -> tuple[bytes, str]:
    """A row of a layer and its first column of family 4."""
    return next(
        (key, column)
        for key, row in sorted(rows.items())
        if key.isdigit() and int(key) >> 56 == layer
        for column in sorted(row.cells)
        if column.startswith("4:")
    )


def lifted_to_another_node(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    pairs = decode_pairs(rows[key].cells[column]).ravel().tolist()
    rows[key].cells[column] = frame([*pairs[:-1], pairs[-1] + 1])


def lifted_too_low(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    pairs = decode_pairs(rows[key].cells[column]).ravel().tolist()
    below = decode_ids(rows[b"%020d" % pairs[-1]].cells["0:children"]).tolist()
    rows[key].cells[column] = frame([*pairs[:-1], below[0]])


def lifted_edge_missing(rows: Rows, _: Volume) -> None:
    key, column = next(
        (key, column)
        for key, row in sorted(rows.items())
        for column, value in row.cells.items()
        if column.startswith("4:") and len(decode_pairs(value)) > 1
    )
    rows[key].cells[column] = frame(decode_pairs(rows[key].cells[column])[1:].ravel().tolist())


def lifted_cell_missing(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    del rows[key].cells[column]


def lifted_edge_added(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    pairs = decode_pairs(rows[key].cells[column]).ravel().tolist()
    rows[key].cells[column] = frame([*pairs, int(key), int(lifted(rows, 2)[0])])


def lifted_edge_twice(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    pairs = decode_pairs(rows[key].cells[column]).ravel().tolist()
    rows[key].cells[column] = frame([*pairs, *pairs[-2:]])


def lifted_from_another_node(rows: Rows, _: Volume) -> None:
    key, column = lifted(rows)
    pairs = decode_pairs(rows[key].cells[column]).ravel().tolist()
    rows[key].cells[column] = frame([pairs[0] + 1, *pairs[1:]])


def lifted_under_the_next_layer(rows: Rows, _: Volume) -> None:
    cells = rows[lifted(rows)[0]].cells
    cells["4:cross_edges_4"] = cells.pop("4:cross_edges_3")


def lifted_under_a_lower_layer(rows: Rows, _: Volume) -> None:
    cells = rows[lifted(rows)[0]].cells
    cells["4:cross_edges_2"] = cells["4:cross_edges_3"]


def lifted_at_a_root(rows: Rows, volume: Volume) -> None:
    key = pick(rows, volume.plan.grid.layer_count)
    rows[key].cells["4:cross_edges_4"] = frame([int(key), int(key)])


def lifted_under_a_number_that_is_none(rows: Rows, _: Volume) -> None:
    cells = rows[lifted(rows)[0]].cells
    cells["4:cross_edges_03"] = cells["4:cross_edges_3"]


def lifted_in_schema_2(rows: Rows, _: Volume) -> None:
    key = pick(rows, 2, "3:atomic_cross_edges_2")
    rows[key].cells["4:cross_edges_2"] = frame([int(key), int(key) + 1])


DAMAGES = [
    lose_a_node,
    lose_a_supervoxel,
    second_parent,
    orphan,
    row_outside_the_grid,
    strange_row,
    strange_column,
    damaged_children,
    short_parent,
    low_counter,
    low_root_counter,
    no_version,
    root_with_a_parent,
    edge_under_another_layer,
    edge_from_elsewhere,
    lose_all_cross_edges,
]
DAMAGES_OF_FAMILY_4 = [
    lifted_to_another_node,
    lifted_too_low,
    lifted_edge_missing,
    lifted_cell_missing,
    lifted_edge_added,
    lifted_edge_twice,
    lifted_from_another_node,
    lifted_under_the_next_layer,
    lifted_under_a_lower_layer,
    lifted_at_a_root,
    lifted_under_a_number_that_is_none,
]


@pytest.mark.parametrize(
    ("schema", "damage"),
    [
        *((schema, damage) for schema in (2, 3) for damage in DAMAGES),
        *((3, damage) for damage in DAMAGES_OF_FAMILY_4),
        (2, lifted_in_schema_2),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_damage_is_found(schema: int, damage: Damage) -> None:
    """A table that was good is reported after one damage, with the row in the words of the report."""
    run = ingested(schema)
    assert verified(run).violations == []
    before = {key: dict(row.cells) for key, row in run.table._rows.items()}
    damage(run.table._rows, run.volume)
    report = verified(run)
    changed = {k for k, row in run.table._rows.items() if before.get(k) != row.cells} | (
        before.keys() - run.table._rows.keys()
    )
    assert report.violation_count > 0
    assert any(key.decode().lstrip("0") in line for key in changed for line in report.violations)


def test_edge_of_one_side_is_found() -> None:
    """An atomic edge that only one of its two nodes has is reported with the node that lacks it."""
    run = ingested()
    column, rows = "3:atomic_cross_edges_2", run.table._rows
    nodes = [int(key) for key, row in rows.items() if column in row.cells]
    node = next(node for node in nodes if len(decode_pairs(rows[node_key(node)].cells[column])) > 1)
    (_, far), *rest = decode_pairs(rows[node_key(node)].cells[column]).tolist()
    rows[node_key(node)].cells[column] = frame([end for pair in rest for end in pair])
    found = by_chunks(run)
    assert f"row {node:020d}: lacks the active edge to {far} that the input has" in found.violations
    # Without the input it is known that the two chunks contradict each other.
    assert any("which has not the same" in text for text in verified(run).violations)


@pytest.mark.parametrize(
    ("found", "expected", "said"),
    [
        ([7, 7, 8], [1, 2, 3], "joins supervoxels that belong apart"),
        ([7, 8, 9], [1, 1, 2], "is one of several roots of one object"),
    ],
)
def test_another_partition_is_found(found: list[int], expected: list[int], said: str) -> None:
    """A merger and a split are told apart, and the root is named."""
    complaints: list[str] = []
    ids = np.arange(1, 4, dtype=np.uint64)
    pairs = [(ids, np.array(labels, np.uint64)) for labels in (found, expected)]
    compare(pairs[0], pairs[1], lambda key, reason: complaints.append(f"{int(key)} {reason}"))
    assert f"7 {said}" in complaints


def test_missing_and_additional_supervoxels_are_found() -> None:
    """A supervoxel that only the table or only the input has is named."""
    complaints: list[str] = []
    one = np.array([1, 2], np.uint64), np.array([5, 5], np.uint64)
    two = np.array([2, 3], np.uint64), np.array([5, 5], np.uint64)
    compare(one, two, lambda key, reason: complaints.append(f"{int(key)} {reason}"))
    assert complaints == [
        "1 is in the table, but in no edge of the input",
        "3 is in an edge of the input, but not in the table",
    ]
