"""Processed files that are written from raw output: reading them gives the same arrays, and so the same graph."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.active import active_edges
from shared.chunks.codec import encode_handoff
from shared.chunks.layer2 import build_layer2
from shared.gcp.bigtable.wire import encode_rows
from shared.inputs.components import Components, decode_components, encode_components
from shared.inputs.edges import ChunkEdges, decode_edges
from shared.inputs.raw.processed import component_file, edge_file
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from tests.examples import examples
from tests.raw_shards import random_raw, raw_of_volume
from tests.unit.test_edges import assert_equal
from tests.unit.test_raw_reading import source_of
from tests.volumes import random_volume

CHUNK = Chunk(2, 0, 0, 0)


def assert_same(one: Components, other: Components) -> None:
    for column in ("ids", "labels"):
        assert getattr(one, column).dtype == getattr(other, column).dtype
        np.testing.assert_array_equal(getattr(one, column), getattr(other, column))


def test_nothing_is_no_file() -> None:
    """A chunk without edges gets no edge file, one without components no component file."""
    assert edge_file(ChunkEdges()) is None
    assert component_file(Components()) is None


@given(st.integers(0, 10**6), st.sampled_from([2, 3, 4]), st.sampled_from([1, 3, 17]))
@examples(30)
def test_reading_back(seed: int, version: int, level: int) -> None:
    """Files read back give the arrays they were written from, numbers of components included; writing again
    gives the same bytes."""
    raw = random_raw(seed, (2, 2, 1), version)
    source, another = source_of(raw), source_of(raw, 0)
    for chunk in raw.grid.chunks(2):
        edges, listed = source.edges(chunk), source.components(chunk, [chunk])[chunk]
        data, part = edge_file(edges, level), component_file(listed)
        assert_equal(decode_edges(data, "-", chunk), edges)
        assert_same(decode_components(part, "-", chunk), listed)
        assert (data is None) == (not any(len(kind.pairs) for kind in (edges.inside, edges.between, edges.cross)))
        assert (part is None) == (not len(listed.ids))
        assert edge_file(another.edges(chunk), level) == data
        assert component_file(another.components(chunk, [chunk])[chunk]) == part


def test_golden_components() -> None:
    """Components in the order of their numbers, ids of each one sorted, as the example's writer does it."""
    listed = Components(np.array([3, 4, 9, 300], np.uint64), np.array([0, 1, 1, 0]))
    assert component_file(listed) == bytes([0x0A, 7, 2, 3, 0x80 | 44, 2, 2, 4, 9])
    assert component_file(listed) == encode_components([np.array([3, 300]), np.array([4, 9])])


def test_the_frame_says_its_size() -> None:
    """An edge file is one frame that says how much it holds, which is read in one go."""
    edges = source_of(random_raw(1, (1, 1, 1))).edges(CHUNK)
    data = edge_file(edges)
    assert data is not None and zstandard.frame_content_size(data) == len(zstandard.decompress(data))


@pytest.mark.parametrize("seed", range(4))
def test_the_same_rows(seed: int) -> None:
    """Raw output and the processed files written from it build the same rows and hand-offs, to the byte."""
    volume = random_volume(seed, (3, 2, 2), size=6, schema=3)
    plan = volume.plan
    source = source_of(raw_of_volume(volume, 4, seed))
    edges: dict[Chunk, bytes | None] = {}
    parts: dict[Chunk, bytes | None] = {}
    for chunk in plan.grid.chunks(2):
        edges[chunk] = edge_file(source.edges(chunk))
        parts[chunk] = component_file(source.components(chunk, [chunk])[chunk])
    for chunk in plan.grid.chunks(2):
        near = [chunk, *(at for face, at in plan.grid.neighbours(chunk).items() if face % 2 == 0)]
        raw = built(plan, chunk, source.edges(chunk), source.components(chunk, near))
        listed = {at: decode_components(parts[at], "-", chunk) for at in near}
        assert raw == built(plan, chunk, decode_edges(edges[chunk], "-", chunk), listed)


def built(plan: Plan, chunk: Chunk, edges: ChunkEdges, listed: dict[Chunk, Components]) -> list[bytes]:
    """Requests and hand-off of a chunk."""
    lower = {face: listed[at] for face, at in plan.grid.neighbours(chunk).items() if face % 2 == 0}
    result = build_layer2(plan, chunk, active_edges(plan, chunk, edges, listed[chunk], lower, "-"))
    rows = [part.request("table") for part in encode_rows(result.cells, 1_700_000_000_000_000)]
    return [*rows, encode_handoff(result.handoff)]
