"""Schema 3: lifted cross edges of objects that wind around corners and of nodes that skip layers."""

from __future__ import annotations

import random

import numpy as np
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.plan.grid import Chunk, Grid
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY
from shared.table.decode import decode_pairs
from tests.examples import examples
from tests.harness import MemoryRun, Shuffling
from tests.oracle import Oracle
from tests.volumes import Point, Volume, traced_volume
from tests.whole.walk import Report, Walk


def ingested(volume: Volume) -> MemoryRun:
    return MemoryRun.of(volume).start().work()


def violations(run: MemoryRun) -> list[str]:
    run.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    report = Report()
    Walk(run.record.plan, run.table, report, keep_links=False).run()
    return report.violations


def family_4(run: MemoryRun) -> dict[int, dict[str, list[tuple[int, int]]]]:
    """Every node's cells of family 4."""
    found: dict[int, dict[str, list[tuple[int, int]]]] = {}
    for key, row in run.decoded_table().items():
        cells = {column: value for column, value in row.items() if column.startswith("4:")}
        if cells:
            found[int(key)] = cells
    return found


@st.composite
def winding(draw: st.DrawFn) -> Volume:
    """Objects that wander from chunk to chunk through any face, back into chunks that they left too."""
    sides = st.integers(1, 5)
    shape = draw(st.tuples(sides, sides, st.integers(1, 4)).filter(lambda shape: max(shape) > 1))
    grid = Grid(shape)
    rng = random.Random(draw(st.integers(0, 2**32 - 1)))
    traces: list[list[Point]] = []
    number = 0
    for _ in range(draw(st.integers(1, 6))):
        chunk = grid.chunk_at(2, rng.randrange(grid.chunk_total(2)))
        trace: list[Point] = []
        for _ in range(draw(st.integers(2, 30))):
            number += 1
            trace.append((chunk.coords, number))
            if rng.random() < 0.8:
                chunk = rng.choice(list(grid.neighbours(chunk).values()))
        traces.append(trace)
    return traced_volume(shape, traces)


@examples(100)
@given(winding())
def test_winding_objects(volume: Volume) -> None:
    """Every cell is what the format says, and verify finds nothing, for objects that wind around corners."""
    run = ingested(volume)
    table = run.decoded_table()
    assert table == Oracle(volume.plan, volume.supervoxels, volume.active).table()
    assert violations(run) == []
    assert len([row for row in table.values() if "0:children" in row and "0:parents" not in row]) == len(
        {trace for trace in objects(volume).values()}
    )


def objects(volume: Volume) -> dict[int, int]:
    """The smallest supervoxel that each one hangs together with."""
    name = {sv: sv for sv in volume.supervoxels}
    for _ in volume.active:
        for a, b in volume.active:
            name[a] = name[b] = min(name[a], name[b])
    return name


@examples(30)
@given(winding(), st.integers(0, 2**32 - 1))
def test_order_of_winding_objects(volume: Volume, seed: int) -> None:
    """Messages twice and in any order give the same table to the byte."""
    calm = MemoryRun.of(volume).start().work()
    rough = MemoryRun.of(volume).start().work(lambda queue: Shuffling(queue, random.Random(seed)))
    assert rough.raw_table() == calm.raw_table()


@examples(100)
@given(winding(), st.integers(0, 2**32 - 1))
def test_every_change_of_family_4_is_found(volume: Volume, seed: int) -> None:
    """Verify compares family 4 exactly: one id changed, one row lost or added anywhere is reported."""
    run, rng = ingested(volume), random.Random(seed)
    cells = [(key, column) for key, row in run.table._rows.items() for column in row.cells if column[:2] == "4:"]
    assume(cells)
    key, column = rng.choice(sorted(cells))
    pairs = decode_pairs(run.table._rows[key].cells[column]).copy()
    known = sorted(int(other) for other in run.table._rows if other.isdigit())
    row, side = rng.randrange(len(pairs)), rng.randrange(2)
    match rng.randrange(3):
        case 0:
            other = rng.choice([node for node in known if node != pairs[row, side]])
            pairs[row, side] = other
        case 1:
            pairs = np.delete(pairs, row, axis=0)
        case 2:
            there = set(pairs[:, 1].tolist())
            added = np.array([[int(key), rng.choice([node for node in known if node not in there])]], np.uint64)
            pairs = np.concatenate([pairs, added])
    run.table._rows[key].cells[column] = zstandard.compress(pairs.astype("<u8").tobytes())
    assert any(key.decode() in line for line in violations(run))


def test_layers_skipped_on_one_side() -> None:
    """The far end is named as high as the row's own layer allows, and lower where it skips layers.

    chunks of layer 2:  0 . . | x | y = v | . .      x - y has cross layer 4, y - v cross layer 2
    layer 3:                      |   z   |          x skips layer 3
    layer 4:                    p |   w              both sides are in layer 4 by themselves
    """
    volume = traced_volume((8, 1, 1), [[((3, 0, 0), 7), ((4, 0, 0), 8), ((5, 0, 0), 9)]])
    x, y, v = 0x0200C00000000001, 0x0201000000000001, 0x0201400000000001
    z, p, w = 0x0380000000000001, 0x0400000000000001, 0x0480000000000001
    run = ingested(volume)
    assert family_4(run) == {
        x: {"4:cross_edges_4": [(x, y)]},
        y: {"4:cross_edges_2": [(y, v)], "4:cross_edges_4": [(y, x)]},
        v: {"4:cross_edges_2": [(v, y)]},
        z: {"4:cross_edges_4": [(z, x)]},
        p: {"4:cross_edges_4": [(p, w)]},
        w: {"4:cross_edges_4": [(w, p)]},
    }
    table = run.decoded_table()
    above = {x: p, y: z, v: z, z: w}
    assert {node: table[f"{node:020d}"]["0:parents"] for node in above} == above
    assert violations(run) == []


def test_layers_skipped_on_both_sides() -> None:
    """Two nodes that skip layer 3 have each other in layers 2 and 4, and no row in between.

    chunks of layer 2:  . . . x | y . . .     one edge of cross layer 4
    layer 4:                  p | w
    """
    volume = traced_volume((8, 1, 1), [[((3, 0, 0), 0), ((4, 0, 0), 0)]])
    x, y, p, w = 0x0200C00000000001, 0x0201000000000001, 0x0400000000000001, 0x0480000000000001
    run = ingested(volume)
    assert family_4(run) == {
        x: {"4:cross_edges_4": [(x, y)]},
        y: {"4:cross_edges_4": [(y, x)]},
        p: {"4:cross_edges_4": [(p, w)]},
        w: {"4:cross_edges_4": [(w, p)]},
    }
    assert not [key for key in run.decoded_table() if key.isdigit() and int(key) >> 56 == 3]
    assert violations(run) == []


def test_far_end_that_is_carried_while_the_near_end_climbs() -> None:
    """Each row names the far end by the node that it is then, in whichever layer that was made.

    layer 2:   n3 | n4 - n5 | n6 - n7 | n8     cross layers: 4, 2, 3, 2, 5
    layer 3:      |   t2    |   t3    |
    layer 4:   f0 |        f1         |
    layer 5:             g0           | g1
    """
    volume = traced_volume((16, 1, 1), [[((x, 0, 0), 1) for x in range(3, 9)]])
    n3, n4, n5 = 0x0200C00000000001, 0x0201000000000001, 0x0201400000000001
    n6, n7, n8 = 0x0201800000000001, 0x0201C00000000001, 0x0202000000000001
    t2, t3 = 0x0340000000000001, 0x0360000000000001
    f0, f1 = 0x0400000000000001, 0x0440000000000001
    g0, g1 = 0x0500000000000001, 0x0580000000000001
    run = ingested(volume)
    assert family_4(run) == {
        n3: {"4:cross_edges_4": [(n3, n4)]},
        n4: {"4:cross_edges_2": [(n4, n5)], "4:cross_edges_4": [(n4, n3)]},
        n5: {"4:cross_edges_2": [(n5, n4)], "4:cross_edges_3": [(n5, n6)]},
        n6: {"4:cross_edges_2": [(n6, n7)], "4:cross_edges_3": [(n6, n5)]},
        n7: {"4:cross_edges_2": [(n7, n6)], "4:cross_edges_5": [(n7, n8)]},
        n8: {"4:cross_edges_5": [(n8, n7)]},
        t2: {"4:cross_edges_3": [(t2, t3)], "4:cross_edges_4": [(t2, n3)]},
        t3: {"4:cross_edges_3": [(t3, t2)], "4:cross_edges_5": [(t3, n8)]},
        f0: {"4:cross_edges_4": [(f0, f1)]},
        f1: {"4:cross_edges_4": [(f1, f0)], "4:cross_edges_5": [(f1, n8)]},
        g0: {"4:cross_edges_5": [(g0, g1)]},
        g1: {"4:cross_edges_5": [(g1, g0)]},
    }
    assert violations(run) == []


def test_around_the_middle_corner() -> None:
    """An object through all eight chunks at the middle of the volume, each edge of the highest cross layer."""
    corner = [(1, 1, 1), (2, 1, 1), (2, 2, 1), (1, 2, 1), (1, 2, 2), (2, 2, 2), (2, 1, 2), (1, 1, 2)]
    volume = traced_volume((4, 4, 4), [[(coords, 5) for coords in corner]])
    run = ingested(volume)
    ids = volume.plan.ids
    for layer, shift in ((2, 0), (3, 1)):
        nodes = [ids.chunk_id(Chunk(layer, *(at >> shift for at in coords))) + 1 for coords in corner]
        for at, node in enumerate(nodes):
            beside = [nodes[other] for other in (at - 1, at + 1) if 0 <= other < len(nodes)]
            assert family_4(run)[node] == {"4:cross_edges_3": sorted((node, other) for other in beside)}
    assert len(family_4(run)) == 16
    assert violations(run) == []


@examples(30)
@given(winding(), st.booleans())
def test_test_run(volume: Volume, damaged: bool) -> None:
    """A test run has family 4 for edges between its chunks alone; verify knows, and finds others."""
    run = MemoryRun.of(volume, test=True).start().work()
    plan = run.record.plan
    inner = set(plan.grid.children(plan.top)) if plan.grid.layer_count > 2 else set()
    for node, cells in family_4(run).items():
        assert set(cells) == {"4:cross_edges_2"} and node >> 56 == 2
        assert {plan.ids.chunk_of(far) for pairs in cells.values() for _, far in pairs} <= inner
    assert violations(run) == []
    nodes = sorted(key for key in run.table._rows if key.isdigit() and int(key) >> 56 == 2)
    if damaged and nodes and plan.grid.layer_count > 3:
        wrong = np.array([[int(nodes[0]), 77]], "<u8").tobytes()
        run.table._rows[nodes[0]].cells["4:cross_edges_3"] = zstandard.compress(wrong)
        assert any("leads out of the test run" in line for line in violations(run))
