"""Edges and components from raw output: the same as the format's words say, read with dictionaries.

chunk c, its lower neighbour n      shard at (-1, 0, 0)        (c, n): records as they are
  n | c                             shard at (-1,-1, 0)  ...   (n, c): records the other way round
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.example.shards import DTYPES, PAIRS, RawFiles, inside_shards
from shared.chunks.active import active_edges
from shared.errors import DataError, IngestError
from shared.inputs.components import Components
from shared.inputs.edges import EdgeList
from shared.inputs.raw.records import RecordFormat
from shared.inputs.raw.source import RawAgglomeration
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from tests.examples import examples
from tests.raw_shards import MemoryRanges, oracle_components, oracle_edges, random_raw, raw_of_volume
from tests.volumes import random_volume

shapes = st.sampled_from([(1, 1, 1), (2, 1, 1), (1, 3, 2), (3, 2, 2), (2, 2, 5)])


def source_of(raw: RawFiles, cache: int = 1 << 20) -> RawAgglomeration:
    """The files of `raw` in memory."""
    return RawAgglomeration(
        MemoryRanges(raw.files()), raw.grid, raw.ids, RecordFormat(raw.version, raw.resolution), cache
    )


def rows_of(edges: EdgeList) -> list[tuple[int, int, float, int]]:
    """Edges as tuples, after a look at their types."""
    count = len(edges.pairs)
    assert edges.pairs.shape == (count, 2) and edges.pairs.dtype == np.uint64
    assert edges.affinities.shape == (count,) and edges.affinities.dtype == np.float32
    assert edges.areas.shape == (count,) and edges.areas.dtype == np.uint64
    return [
        (*pair, affinity, area)
        for pair, affinity, area in zip(
            edges.pairs.tolist(), edges.affinities.tolist(), edges.areas.tolist(), strict=True
        )
    ]


def parts_of(found: Components) -> set[frozenset[int]]:
    """Components as sets, after a look at their order and numbers."""
    assert found.ids.dtype == np.uint64 and found.labels.dtype == np.int64
    assert (found.ids[1:] > found.ids[:-1]).all()
    _, first = np.unique(found.labels, return_index=True)
    assert (np.diff(first) > 0).all() and len(first) == found.labels.max(initial=-1) + 1
    return {frozenset(found.ids[found.labels == label].tolist()) for label in range(len(first))}


def one_record(raw: RawFiles, name: str, keys: Iterable[int], *rows: tuple[int, int, float, int]) -> None:
    """Adds an entry."""
    raw.entries[name].append((tuple(keys), raw.records(rows)))


@examples(60)
@given(
    st.integers(0, 10**6), shapes, st.sampled_from([2, 3, 4]), st.sampled_from([3, 10]), st.sampled_from([0, 2000])
)
def test_as_the_format_says(
    seed: int, shape: tuple[int, int, int], version: int, spatial_bits: int, cache: int
) -> None:
    """Every chunk's edges and components are the oracle's, whatever the cache keeps."""
    raw = random_raw(seed, shape, version, spatial_bits)
    source = source_of(raw, cache)
    for chunk in raw.grid.chunks(2):
        edges, expected = source.edges(chunk), oracle_edges(raw, chunk)
        for kind in ("inside", "between", "cross"):
            assert rows_of(getattr(edges, kind)) == expected[kind]
        lower = [near for face, near in raw.grid.neighbours(chunk).items() if face % 2 == 0]
        found = source.components(chunk, [chunk, *lower])
        assert set(found) == {chunk, *lower}
        for of, components in found.items():
            assert parts_of(components) == oracle_components(raw, of)


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 4]))
@examples(30)
def test_both_sides_and_every_retry_agree_to_the_bit(seed: int, version: int) -> None:
    """Affinities that a float cannot add without rounding: both chunks of a face have the same bits, and so
    does another worker."""
    raw = random_raw(seed, (2, 3, 2), version, wild=False)
    rng = np.random.default_rng(seed)
    for entries in raw.entries.values():
        for _, records in entries:
            for name in records.dtype.names or ():
                if name.startswith("aff"):
                    records[name] = rng.random(len(records)) * 10.0 ** rng.integers(-6, 6, len(records))
    sources = [source_of(raw), source_of(raw, 0)]
    seen: dict[tuple[int, int], tuple[bytes, int]] = {}
    met = 0
    for source, chunk in itertools.product(sources, raw.grid.chunks(2)):
        edges = source.edges(chunk)
        expected = oracle_edges(raw, chunk)
        for kind in ("inside", "between"):
            part = getattr(edges, kind)
            exact = np.array([row[2] for row in expected[kind]])
            np.testing.assert_allclose(part.affinities, exact, rtol=1e-5)
            for (one, other), affinity, area in zip(
                part.pairs.tolist(), part.affinities, part.areas.tolist(), strict=True
            ):
                key = (one, other) if kind == "inside" else (min(one, other), max(one, other))
                met += key in seen
                assert seen.setdefault(key, (affinity.tobytes(), area)) == (affinity.tobytes(), area)
    assert met


@pytest.mark.parametrize("version", [2, 3, 4])
@pytest.mark.parametrize("seed", range(4))
def test_volume_as_raw_output(seed: int, version: int) -> None:
    """A volume written as raw output has the same active edges and supervoxels as its processed files."""
    volume = random_volume(seed, (3, 2, 2), disagree=0)
    raw = raw_of_volume(volume, version, seed)
    source, plan = source_of(raw), volume.plan
    supervoxels: set[int] = set()
    active: set[tuple[int, int]] = set()
    for chunk in plan.grid.chunks(2):
        lower = {face: near for face, near in plan.grid.neighbours(chunk).items() if face % 2 == 0}
        listed = source.components(chunk, [chunk, *lower.values()])
        found = active_edges(
            plan, chunk, source.edges(chunk), listed[chunk], {face: listed[at] for face, at in lower.items()}, "-"
        )
        supervoxels |= set(found.supervoxels.tolist())
        active |= {tuple(sorted(pair)) for pair in [*found.inside.tolist(), *found.outside.tolist()]}
    assert supervoxels == volume.supervoxels
    assert active == {tuple(sorted(pair)) for pair in volume.active}


GRID = Grid((2, 1, 1))
LEFT, RIGHT = GRID.chunks(2)
BETWEEN = "chunked_rg/between_chunks_0_0_0_0.data"


def pair_of_chunks(version: int = 2) -> tuple[RawFiles, int, int]:
    """Two chunks along x and their layer-1 ids."""
    raw = RawFiles(GRID, IdLayout(GRID.layer_count), version)
    return raw, raw.chunk_id(LEFT), raw.chunk_id(RIGHT)


def test_no_shards() -> None:
    """Where nothing is, a chunk has no edges and no components."""
    raw, _, _ = pair_of_chunks()
    source = source_of(raw)
    edges = source.edges(LEFT)
    assert rows_of(edges.inside) == rows_of(edges.between) == rows_of(edges.cross) == []
    assert parts_of(source.components(LEFT, [LEFT])[LEFT]) == set()


def test_golden_bytes() -> None:
    """A shard put together by hand: one entry (left, right) with one record of version 2."""
    raw, left, right = pair_of_chunks()
    assert (left, right) == (1 << 56, 1 << 56 | 1 << 46)
    payload = struct.pack("<QQfQ", left + 5, right + 7, 0.5, 9)
    payload += struct.pack("<I", crc32(payload))
    index = struct.pack("<4Q", left, right, 20, 32)
    index += struct.pack("<I", crc32(index))
    data = b"SO01" + struct.pack("<QQ", 52, 36) + payload + index
    one_record(raw, BETWEEN, (left, right), (left + 5, right + 7, 0.5, 9))
    assert raw.files() == {BETWEEN: data}
    assert rows_of(source_of(raw).edges(LEFT).between) == [(left + 5, right + 7, 0.5, 9)]
    assert rows_of(source_of(raw).edges(RIGHT).between) == [(right + 7, left + 5, 0.5, 9)]


def test_both_directions_inside_stay_two_edges() -> None:
    """Inside a chunk (a, b) and (b, a) are two edges; two records of (a, b) are one."""
    raw, left, _ = pair_of_chunks()
    name = inside_shards(LEFT)[0]
    one_record(raw, name, (left,), (left + 2, left + 1, 0.25, 1), (left + 1, left + 2, 0.5, 2))
    one_record(raw, name, (left,), (left + 1, left + 2, 1.0, 3))
    expected = [(left + 1, left + 2, 1.5, 5), (left + 2, left + 1, 0.25, 1)]
    assert rows_of(source_of(raw).edges(LEFT).inside) == expected


def test_a_recurring_remap_key_counts_once() -> None:
    """In a remap shard the first entry of a chunk counts, in another shard its own first one."""
    raw, left, _ = pair_of_chunks()
    rows = [[(left + 1, left + 2)], [(left + 3, left + 4)], [(left + 2, left + 5), (left + 9, left + 9)]]
    first, second, third = (np.array(pairs, PAIRS) for pairs in rows)
    raw.entries["remap/done_0_0_0_0.data"] = [((left,), first), ((left,), second)]
    raw.entries["remap/done_1_0_0_0.data"] = [((left,), third)]
    expected = {frozenset({left + 1, left + 2, left + 5}), frozenset({left + 9})}
    assert parts_of(source_of(raw).components(RIGHT, [RIGHT])[RIGHT]) == expected


@pytest.mark.parametrize(("version", "affinity"), [(3, 1e-9), (4, 0.1)])
def test_axes_and_resolution(version: int, affinity: float) -> None:
    """Versions 3 and 4 weigh each axis with the resolution in aff's own type, and cut a fraction of an area off."""
    raw, left, _ = pair_of_chunks(version)
    raw.resolution = (4.5, 4.5, 40.25)
    records = np.zeros(2, DTYPES[version])
    records["sv1"], records["sv2"] = left + 1, left + 2
    for axis, values in zip("xyz", ([affinity, 1.0], [0.0, 2.0], [0.5, 3.0]), strict=True):
        records["aff_" + axis], records["area_" + axis] = values, [1, 2]
    raw.entries[inside_shards(LEFT)[0]].append(((left,), records))
    kind = np.float64 if version == 3 else np.float32
    sums = [kind(affinity) + kind(1), kind(2), kind(3.5)]
    x, y, z = (part * kind(nm) for part, nm in zip(sums, raw.resolution, strict=True))
    expected = [(left + 1, left + 2, float(np.float32(x + y + z)), int(3 * (4.5 + 4.5 + 40.25)))]
    assert rows_of(source_of(raw).edges(LEFT).inside) == expected


def test_areas_are_exact() -> None:
    """Areas beyond the 53 bits of a float are added exactly, with whole numbers of nanometres too."""
    for version, area, expected in ((2, 2**61 + 1, 2**62 + 2), (3, 2**56 + 1, 4 * (2**57 + 2))):
        raw, left, _ = pair_of_chunks(version)
        for _ in range(2):
            one_record(raw, inside_shards(LEFT)[0], (left,), (left + 1, left + 2, 0.0, area))
        assert rows_of(source_of(raw).edges(LEFT).inside) == [(left + 1, left + 2, 0.0, expected)]


@pytest.mark.parametrize("version", [2, 3])
def test_areas_that_run_over(version: int) -> None:
    """Areas that add up to more than fits are refused, with shard, entry and edge; a single one is kept."""
    raw, left, _ = pair_of_chunks(version)
    name = inside_shards(LEFT)[0]
    one_record(raw, name, (left,), (left + 3, left + 4, 0.0, 1))
    one_record(raw, name, (left,), (left + 1, left + 2, 0.0, 2**63), (left + 1, left + 2, 0.0, 2**63))
    with pytest.raises(
        DataError, match=rf"in_chunk_0_0_0_0.data: chunk 2/0_0_0: entry 1 .*\({left + 1}, "
    ) as caught:
        source_of(raw).edges(LEFT)
    assert caught.value.chunk == LEFT
    raw, left, _ = pair_of_chunks(2)
    one_record(raw, name, (left,), (left + 1, left + 2, 0.0, 2**64 - 1))
    assert rows_of(source_of(raw).edges(LEFT).inside) == [(left + 1, left + 2, 0.0, 2**64 - 1)]


def test_edges_that_are_in_the_wrong_entry() -> None:
    """An edge whose ends are not in the entry's chunks is refused from both sides of the face."""
    raw, left, right = pair_of_chunks()
    wrong = [
        (left + 1, left + 2),
        (right + 1, right + 2),
        (0, right + 1),
        (left + 1, 0),
        (left + 1, right + (1 << 57)),
    ]
    for chunk, pair in itertools.product((LEFT, RIGHT), wrong):
        for keys in ((left, right), (right, left)):
            raw.entries.clear()
            one_record(raw, BETWEEN, keys, (left + 7, right + 8, 0.5, 1), (*pair, 0.5, 1))
            with pytest.raises(DataError) as caught:
                source_of(raw).edges(chunk)
            assert caught.value.file == f"mem://raw/{BETWEEN}" and caught.value.chunk == chunk
            assert f"entry 0 ({keys[0]}, {keys[1]})" in caught.value.reason
            assert f"({pair[0]}, {pair[1]})" in caught.value.reason
    raw.entries.clear()
    one_record(raw, inside_shards(LEFT)[0], (left,), (left + 1, right + 1, 0.5, 1))
    with pytest.raises(DataError, match="in_chunk_0_0_0_0"):
        source_of(raw).edges(LEFT)


def test_background_joins_nothing() -> None:
    """A pair of background and a supervoxel is refused, as it would make one object of all that have one."""
    raw, left, _ = pair_of_chunks()
    name = "remap/done_1_0_0_0.data"
    for pair, fine in (((0, left + 1), False), ((left + 1, 0), False), ((0, 0), True)):
        raw.entries[name] = [((left,), np.array([(left + 5, left + 6), pair], PAIRS))]
        if fine:
            assert frozenset({left + 5, left + 6}) in parts_of(source_of(raw).components(LEFT, [LEFT])[LEFT])
            continue
        with pytest.raises(DataError) as caught:
            source_of(raw).components(RIGHT, [RIGHT])
        assert (caught.value.file, caught.value.chunk) == (f"mem://raw/{name}", RIGHT)
        assert f"entry 0 ({left})" in caught.value.reason and f"({pair[0]}, {pair[1]})" in caught.value.reason


@pytest.mark.parametrize("version", [1, 5, None])
def test_unknown_version(version: int) -> None:
    """Another data version is refused with what to set."""
    with pytest.raises(IngestError, match="DATA_VERSION"):
        RecordFormat(version, (1.0, 1.0, 1.0))


def test_what_is_shared_is_read_once() -> None:
    """A chunk's edges and the components of four chunks read no part of a shard twice, and the next chunk
    reads no index again."""
    raw = random_raw(5, (3, 3, 3), wild=False)
    reader = MemoryRanges(raw.files())
    source = RawAgglomeration(reader, raw.grid, raw.ids, RecordFormat(2, raw.resolution))
    chunk = Chunk(2, 1, 1, 1)
    lower = [near for face, near in raw.grid.neighbours(chunk).items() if face % 2 == 0]
    source.edges(chunk)
    source.components(chunk, [chunk, *lower])
    assert len(reader.asked) == len(set(reader.asked))
    reader.asked.clear()
    source.edges(chunk)
    source.components(chunk, [chunk, *lower])
    missing = {name for name, start, _ in reader.asked if start == 0}
    assert missing.isdisjoint(reader.files)
