"""Files that the format does not allow, built as the dataset says: against the oracle and the files' own facts.

drop    the table is that of the same files without those edges; supervoxels keep their rows
nothing a run that finds nothing does not end as done
"""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.codec import decode_handoff
from shared.chunks.ends import BEYOND, ELSEWHERE, ID_0, LEAVING, NO_FACE, OTHER_LAYER, UNUSABLE, WITHIN
from shared.inputs.components import components_name, encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, edges_name, encode_edges
from shared.inputs.source import ProcessedSource
from shared.operate.remarks import remarks
from shared.plan.grid import Chunk, neighbour
from shared.run.done import is_finished
from shared.table.cells import Cells
from shared.table.columns import META, META_KEY, VERSION, VERSION_KEY
from shared.work.layer2_inputs import NO_COMPONENT_FILE, NO_EDGE_FILE, ONE_SIDED
from tests.examples import examples
from tests.harness import MemoryRun, Shuffling, content, storage_of
from tests.oracle import Oracle
from tests.property.test_oracle import volumes
from tests.volumes import Volume, edge_list, random_volume
from tests.whole.partition import compare, input_partition, table_partition
from tests.whole.walk import Report, Walk

LISTS = {"inside": "in_chunk", "between": "between_chunk", "cross": "cross_chunk"}


def totals_of(run: MemoryRun) -> dict[str, int]:
    """The counts of layer 2 in the top hand-off."""
    top = run.record.plan.top
    name = run.record.handoff_name(top)
    return decode_handoff(content(run.scratch, name), name, top).totals[2]


def changed(volume: Volume, chunk: Chunk, **more: list[tuple[int, int]]) -> Volume:
    """The volume with more edges in one chunk's file, which may be none before."""
    name = edges_name(chunk)
    edges = decode_edges(volume.edges.get(name), name, chunk)
    lists = {
        kind: EdgeList(np.concatenate([getattr(edges, kind).pairs, np.array(pairs, np.uint64).reshape(-1, 2)]))
        for kind, pairs in more.items()
    }
    return replace(volume, edges=volume.edges | {name: encode_edges(replace(edges, **lists))})


def wrong_edges(volume: Volume, chunk: Chunk, rng: random.Random) -> dict[str, list[tuple[str, tuple[int, int]]]]:
    """Edges of each kind that no build can use, for a chunk, with the list that they stand in."""
    ids, grid = volume.plan.ids, volume.plan.grid
    own = [sv for sv in sorted(volume.supervoxels) if ids.chunk_of(sv)._replace(layer=2) == chunk]
    first = own[0] if own else ids.chunk_id(chunk._replace(layer=1)) + 900

    def of(coords: tuple[int, int, int], layer: int = 1) -> int:
        return (ids.chunk_id(Chunk(1, *coords)) & (1 << 56) - 1 | layer << 56) + 901

    out = rng.choice(("between", "cross"))
    x, y, z = chunk.coords
    found = {
        ID_0: [(out, (first, 0)), ("inside", (0, first))],
        OTHER_LAYER: [(out, (first, of((x, y, z), 2))), ("inside", (first, of((x, y, z), 3)))],
        ELSEWHERE: [
            (out, (of((x + 1, y, z)), of((x + 2, y, z)))),
            ("inside", (of((x, y + 1, z)), of((x, y + 2, z)))),
        ],
        WITHIN: [(out, (first, first))],
        NO_FACE: [(out, (first, of((x + 1, y + 1, z)))), (out, (of((x, y, z + 2)), first))],
        LEAVING: [("inside", (first, of((x + 1, y, z))))],
        BEYOND: [
            (out, (first, of(other.coords))) for face in (1, 3, 5) if (other := neighbour(chunk, face)) not in grid
        ],
    }
    return {kind: edges for kind, edges in found.items() if edges}


@examples(60)
@given(volumes, st.integers(0, 2**32 - 1))
def test_dropped_edges(volume: Volume, seed: int) -> None:
    """Edges of every kind are refused, each with file and chunk; dropped they change nothing but that their
    supervoxels have rows, and are counted by kind."""
    rng = random.Random(seed)
    chunk = rng.choice(list(volume.plan.grid.chunks(2)))
    wrong = wrong_edges(volume, chunk, rng)
    kind = rng.choice(sorted(wrong))
    where, pair = rng.choice(wrong[kind])
    one = changed(volume, chunk, **{where: [pair if rng.random() < 0.5 else pair[::-1]]})
    refused = MemoryRun.of(one).start().work()
    (failure, *_) = refused.completion.failures()
    assert failure.chunk == chunk and f"{edges_name(chunk)}: chunk {chunk}: {LISTS[where]} edge" in failure.message

    more: dict[str, list[tuple[int, int]]] = {}
    for edges in wrong.values():
        for name, edge in edges:
            more.setdefault(name, []).append(edge)
    run = (
        MemoryRun.of(changed(volume, chunk, **more), edges_beyond_volume="drop", unusable_edges="drop")
        .start()
        .work()
    )
    assert is_finished(run.record, run.completion)
    counts = totals_of(run)
    assert {name: counts.get(name, 0) for name in (BEYOND, *UNUSABLE)} == {
        name: len(wrong.get(name, [])) for name in (BEYOND, *UNUSABLE)
    }
    ends = {end for edges in wrong.values() for _, edge in edges for end in edge}
    ids = volume.plan.ids
    own = {end for end in ends if end >> 56 == 1 and ids.chunk_of(end)._replace(layer=2) == chunk}
    assert run.decoded_table() == Oracle(volume.plan, volume.supervoxels | own, volume.active).table()
    assert len([line for line in remarks({2: counts}) if "left out" in line]) == len(wrong)


@pytest.mark.parametrize("setting", ["edges_beyond_volume", "unusable_edges"])
def test_each_setting_is_for_its_own_edges(setting: str) -> None:
    """Dropping the one kind leaves the other refused."""
    volume = random_volume(1, (2, 1, 1), size=5, density=0.9)
    chunk = Chunk(2, 1, 0, 0)
    wrong = wrong_edges(volume, chunk, random.Random(0))
    for kind, edges in wrong.items():
        run = (
            MemoryRun.of(changed(volume, chunk, **{edges[0][0]: [edges[0][1]]}), **{setting: "drop"}).start().work()
        )
        assert is_finished(run.record, run.completion) == (
            (kind == BEYOND) == (setting == "edges_beyond_volume")
        ), kind


@examples(30)
@given(volumes, st.integers(0, 2**32 - 1))
def test_missing_files_are_counted(volume: Volume, seed: int) -> None:
    """The top hand-off knows how many chunks had no edge file, and how many had edges and no component file."""
    rng = random.Random(seed)
    components = {name: data for name, data in volume.components.items() if rng.random() < 0.5}
    run = MemoryRun.of(replace(volume, components=components)).start().work()
    chunks = list(volume.plan.grid.chunks(2))
    with_rows = {volume.plan.ids.chunk_of(sv)._replace(layer=2) for sv in volume.supervoxels}
    counts = totals_of(run)
    assert counts.get(NO_EDGE_FILE, 0) == sum(edges_name(chunk) not in volume.edges for chunk in chunks)
    assert counts.get(NO_COMPONENT_FILE, 0) == sum(components_name(chunk) not in components for chunk in with_rows)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 1), (5, 3, 1)])
@pytest.mark.parametrize("test", [False, True])
def test_a_graph_of_nothing_is_an_error(shape: tuple[int, int, int], test: bool) -> None:
    """A run without a single supervoxel ends with its top chunk in the dead letters, and says what it found."""
    volume = random_volume(1, shape)
    grid = volume.plan.grid
    empty = encode_edges(ChunkEdges(edge_list([]), edge_list([]), edge_list([])))
    listed = {components_name(chunk): encode_components([]) for chunk in grid.chunks(2)}
    run = (
        MemoryRun.of(Volume(volume.plan, {edges_name(Chunk(2, 0, 0, 0)): empty}, listed), test=test).start().work()
    )
    assert not is_finished(run.record, run.completion)
    (failure,) = run.completion.failures()
    assert failure.chunk == run.record.plan.top and failure.dead
    total = run.record.plan.total(2)
    there = int(Chunk(2, 0, 0, 0) in run.record.plan)
    assert (
        f"of the {total} chunks of the {'test' if test else 'grid'}, {there} have an edge file" in failure.message
    )


def without(volume: Volume, rng: random.Random, share: float) -> tuple[Volume, int, bool]:
    """The volume with edges between chunks taken out of one of the two files each; how many, and whether an
    active one was among them."""
    taken: set[frozenset[int]] = set()
    active = {frozenset(pair) for pair in volume.active}
    files = {}
    for chunk in volume.plan.grid.chunks(2):
        name = edges_name(chunk)
        edges = decode_edges(volume.edges.get(name), name, chunk)
        lists = {}
        for kind in ("between", "cross"):
            kept = []
            for pair in getattr(edges, kind).pairs.tolist():
                if frozenset(pair) not in taken and rng.random() < share:
                    taken.add(frozenset(pair))
                else:
                    kept.append(pair)
            lists[kind] = EdgeList(np.array(kept, np.uint64).reshape(-1, 2))
        if name in volume.edges:
            files[name] = encode_edges(replace(edges, **lists))
    return replace(volume, edges=files), len(taken), bool(taken & active)


@examples(80)
@given(volumes, st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.3, 1.0]))
def test_one_sided_edges_are_found_while_building(volume: Volume, seed: int, share: float) -> None:
    """If an active edge is in one of the two files alone, no run ends, whatever else joins the same nodes; the
    failure names both files. Inactive ones decide nothing."""
    harmed, _, active = without(volume, random.Random(seed), share)
    run = MemoryRun.of(harmed).start().work()
    assert is_finished(run.record, run.completion) == (not active)
    for failure in run.completion.failures():
        assert failure.chunk.layer == 3
        names = [name for name in map(edges_name, volume.plan.grid.chunks(2)) if name in failure.message]
        assert len(names) == 2 and "one_sided_edges: join" in failure.message


@examples(80)
@given(volumes, st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.3, 1.0]), st.booleans())
def test_joined_edges(volume: Volume, seed: int, share: float, shuffled: bool) -> None:
    """With `join` the table is that of whole files, to the byte; the edges are counted, and `verify` agrees."""
    rng = random.Random(seed)
    harmed, count, _ = without(volume, rng, share)
    run = MemoryRun.of(harmed, one_sided_edges="join").start()
    run.work((lambda queue: Shuffling(queue, rng)) if shuffled else (lambda queue: queue))
    assert run.raw_table() == MemoryRun.of(volume).start().work().raw_table()
    assert run.decoded_table() == Oracle(volume.plan, volume.supervoxels, volume.active).table()
    counts = totals_of(run)
    assert counts.get(ONE_SIDED, 0) == count and counts["disagreements"] == volume.disagreements
    assert any(line.startswith(ONE_SIDED) for line in remarks({2: counts})) == (count > 0)
    _verified(run, harmed)


@examples(30)
@given(volumes, st.integers(0, 2**32 - 1))
def test_verify_agrees_with_what_was_left_out(volume: Volume, seed: int) -> None:
    """A table built without edges that no rule allows is what `verify` expects of the same files."""
    rng = random.Random(seed)
    chunk = rng.choice(list(volume.plan.grid.chunks(2)))
    more: dict[str, list[tuple[int, int]]] = {}
    for edges in wrong_edges(volume, chunk, rng).values():
        for name, edge in edges:
            more.setdefault(name, []).append(edge)
    harmed = changed(volume, chunk, **more)
    _verified(MemoryRun.of(harmed, edges_beyond_volume="drop", unusable_edges="drop").start().work(), harmed)


def _verified(run: MemoryRun, volume: Volume) -> None:
    run.table.write([Cells(META, [META_KEY], [b""]), Cells(VERSION, [VERSION_KEY], [b""])], 1)
    report = Report()
    walk = Walk(run.record.plan, run.table, report, keep_links=True)
    walk.run()
    found = table_partition(run.record.plan, walk.links)
    files = storage_of(volume.edges), storage_of(volume.components)
    compare(found, input_partition(run.record.plan, ProcessedSource(*files)), report.complain)
    assert report.violations == []
