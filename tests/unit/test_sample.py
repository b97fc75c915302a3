"""What an ingest looks at before it creates anything: whole datasets on disk, changed in one way each.

file names -> counts -> a dozen files through the build's own reading -> one sentence for each thing
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard

from shared.inputs.components import encode_components
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, encode_edges
from shared.operate.sample import FILES, _choose
from shared.plan.grid import Chunk, Grid
from shared.plan.ids import IdLayout
from tests.on_disk import OnDisk, component_path, edge_path, supervoxel, threads_volume
from tests.volumes import edge_list

SHAPE = (4, 2, 2)


@pytest.fixture
def data(tmp_path: Path) -> OnDisk:
    """Threads through 4 x 2 x 2 chunks."""
    return OnDisk.write(tmp_path, threads_volume(SHAPE))


def renumbered(ids: np.ndarray[Any, Any], layout: IdLayout) -> np.ndarray[Any, Any]:
    """The same supervoxels under another id layout."""
    plan = threads_volume(SHAPE).plan
    coords, segments = plan.ids.coords(ids, 1), plan.ids.segments(ids, 1)
    chunks = [layout.chunk_id(Chunk(1, *at)) for at in coords.reshape(-1, 3).tolist()]
    return (np.array(chunks, np.uint64).reshape(ids.shape) + segments).astype(np.uint64)


def rewrite(data: OnDisk, change: Callable[[Chunk, ChunkEdges], ChunkEdges]) -> None:
    """Puts `change(chunk, edges)` in place of each edge file."""
    for chunk in data.volume.plan.grid.chunks(2):
        path = edge_path(data, *chunk.coords)
        path.write_bytes(encode_edges(change(chunk, decode_edges(path.read_bytes(), path.name, chunk))))


def test_whole(data: OnDisk) -> None:
    """Nothing is wrong with a whole dataset, whatever the settings."""
    for setting in ("report", "refuse", 0.1):
        assert data.refusal(missing_files=setting) == ""
    assert dict(data.check().inventory.totals())["no edge file"] == "0 of 16 chunks"


def test_sparse_volume(tmp_path: Path) -> None:
    """A volume with edges in one corner and along one side passes by default, and not with `refuse`."""
    volume = threads_volume((8, 4, 2))
    for name in [*volume.edges, *volume.components]:
        if "_0_0." not in name and "_3_1." not in name:
            volume.edges.pop(name, None)
            volume.components.pop(name, None)
    data = OnDisk.write(tmp_path, volume)
    assert data.refusal() == "" and "have no edge file" in data.refusal(missing_files="refuse")


def test_names(data: OnDisk) -> None:
    """Files of almost the right name are named with what they are, edges and components."""
    for path in data.folder.glob("edges/*"):
        path.rename(path.with_suffix(""))
    for path in data.folder.glob("components/*"):
        path.rename(path.with_name(path.name + ".zst"))
    assert "holds no edges_*.proto.zst" in data.refusal() and "holds no components_*.proto" in data.refusal()
    edge_path(data, 0, 0, 0).touch()
    component_path(data, 0, 0, 0).touch()
    for setting in (0.1, "report"):
        refusal = data.refusal(missing_files=setting)
        assert "30 chunks have no file of the right name" in refusal
        assert (
            "edges_0_0_1.proto is probably edges_0_0_1.proto.zst with another ending" in refusal
            or "components" in refusal
        )


def test_packed_once_more(data: OnDisk) -> None:
    """Files that a tool packed on disk are the same dataset."""
    for path in [*data.folder.glob("edges/*"), *data.folder.glob("components/*")]:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert data.refusal() == data.refusal(missing_files="refuse") == ""


def test_broken_copy_of_components(data: OnDisk) -> None:
    """Component files of which most are gone are refused by their number, and of which one is gone by what its
    neighbours' files say."""
    for path in list(data.folder.glob("components/*"))[:12]:
        path.unlink()
    refusal = data.refusal()
    assert "12 of 16 chunks with an edge file have no component file" in refusal
    assert data.refusal(missing_files="report") == ""


def test_one_lost_component_file(data: OnDisk) -> None:
    """One lost file of sixteen is few enough to pass by number."""
    component_path(data, 1, 1, 1).unlink()
    refusal = data.refusal()
    assert "have no component file" not in refusal
    assert "lists supervoxels of 2/1_1_1, and components_1_1_1.proto is not there" in refusal
    assert data.refusal(missing_files="report") == ""


def test_broken_copy_of_edges(data: OnDisk) -> None:
    """Edge files that lead to chunks whose files are gone are refused, with both chunks."""
    edge_path(data, 2, 0, 0).unlink()
    refusal = data.refusal(missing_files="report")
    assert "1 active ones lead from 2/1_0_0 to 2/2_0_0, and edges_2_0_0.proto.zst has to have them" in refusal
    assert data.refusal(one_sided_edges="join") == ""


@pytest.mark.parametrize("size", [[4, 4, 4], [16, 16, 16]])
def test_wrong_chunk_size(data: OnDisk, size: list[int]) -> None:
    """Half or twice the right chunk size is refused with the numbers of the grid."""
    refusal = data.refusal(chunk=size)
    if size[0] == 4:
        assert "grid of 8 x 4 x 4 chunks, but the edge files fill 4 x 2 x 2 chunks" in refusal
    else:
        assert "beyond the volume, whose grid has 2 x 1 x 1 chunks" in refusal


def test_part_of_a_larger_volume(tmp_path: Path) -> None:
    """Edges that lead out of the volume are found at its side, with the grid's numbers and the way out."""
    volume = threads_volume(SHAPE)
    data = OnDisk.write(tmp_path, volume)
    for j in range(2):
        for k in range(2):
            path = edge_path(data, 3, j, k)
            edges = decode_edges(path.read_bytes(), path.name, Chunk(2, 3, j, k))
            out = (supervoxel(volume, (3, j, k), 2), supervoxel(volume, (4, j, k), 1))
            pairs = np.concatenate([edges.between.pairs, np.array([out], np.uint64)])
            path.write_bytes(encode_edges(ChunkEdges(edges.inside, EdgeList(pairs), edges.cross)))
    refusal = data.refusal()
    assert "chunkedgraph_ingest.edges_beyond_volume = 'refuse'" in refusal
    assert re.search(r"chunk 2/4_\d_\d, beyond the volume, whose grid has 4 x 2 x 2 chunks", refusal)
    assert "edges_beyond_volume: drop" in refusal
    assert data.refusal(edges_beyond_volume="drop") == ""


def test_other_bits(data: OnDisk) -> None:
    """Ids made with other SPATIAL_BITS are refused with those that fit."""
    layout = IdLayout(4, 8)

    def change(_: Chunk, edges: ChunkEdges) -> ChunkEdges:
        inside, between = (renumbered(part.pairs, layout) for part in (edges.inside, edges.between))
        return ChunkEdges(EdgeList(inside), EdgeList(between))

    rewrite(data, change)
    for path in data.folder.glob("components/*"):
        path.unlink()
    refusal = data.refusal(missing_files="report")
    assert "graph_config.SPATIAL_BITS = 10" in refusal and "made with SPATIAL_BITS 8; set it so" in refusal
    assert data.refusal(missing_files="report", bits=8) == ""


def test_other_layer(data: OnDisk) -> None:
    """Ids that are no supervoxels are said to be of their layer."""
    rewrite(data, lambda _, edges: ChunkEdges(EdgeList(edges.inside.pairs + np.uint64(1 << 56))))
    assert "are of layer 2, and supervoxels are of layer 1" in data.refusal()


def test_another_chunks_files(data: OnDisk) -> None:
    """Files whose names have the axes in another order are said to be another chunk's."""
    files = {path: path.read_bytes() for path in data.folder.glob("edges/*")}
    for path in files:
        path.unlink()
    for path, content in files.items():
        x, y, z = map(int, path.name.removesuffix(".proto.zst").split("_")[1:])
        edge_path(data, x, z, y).write_bytes(content)
    refusal = data.refusal(missing_files="report", one_sided_edges="join")
    assert "its ids are of chunk" in refusal and "as its name says" in refusal


def test_components_of_another_dataset(data: OnDisk) -> None:
    """Component files whose ids are in no edge are not of the same dataset."""
    for chunk in data.volume.plan.grid.chunks(2):
        ids = np.array([supervoxel(data.volume, chunk.coords, 100 + n) for n in range(3)], np.uint64)
        component_path(data, *chunk.coords).write_bytes(encode_components([ids]))
    assert "none of the 36 supervoxels that 12 sampled files list for their chunks is in an edge" in data.refusal()


@pytest.mark.parametrize(
    "content", [b"version https://git-lfs.github.com/spec/v1\n", b"<html>", zstandard.compress(b"\xff")]
)
def test_files_that_are_none(data: OnDisk, content: bytes) -> None:
    """Files that cannot be read are refused with the first of them."""
    for path in data.folder.glob("edges/*"):
        path.write_bytes(content)
    assert "of 12 sampled chunks 12 cannot be built; the first:" in data.refusal(missing_files="report")


def test_unreadable(data: OnDisk) -> None:
    """A file that is there and cannot be read is a refusal, and not taken for missing."""
    edge_path(data, 0, 0, 0).unlink()
    edge_path(data, 0, 0, 0).symlink_to("gone")
    assert "edges_0_0_0.proto.zst is a link to a file that is not there" in data.refusal()


def test_a_graph_without_agglomeration(data: OnDisk) -> None:
    """No component file at all passes where the dataset says that files may be missing."""
    for path in data.folder.glob("components/*"):
        path.unlink()
    assert "holds no components_*.proto" in data.refusal()
    assert data.refusal(missing_files="report") == ""


def test_empty_files(data: OnDisk) -> None:
    """Empty files are chunks with nothing in them."""
    for path in [edge_path(data, 3, 1, 1), component_path(data, 3, 1, 1)]:
        path.write_bytes(b"")
    rewritten = edge_path(data, 2, 1, 1)
    edges = decode_edges(rewritten.read_bytes(), "", Chunk(2, 2, 1, 1))
    inner = edges.between.pairs[(edges.between.pairs >> np.uint64(46) & np.uint64(1023) != 3).all(axis=1)]
    rewritten.write_bytes(encode_edges(ChunkEdges(edges.inside, EdgeList(inner), edge_list([]))))
    assert data.refusal(missing_files="refuse") == ""


def test_sampled_chunks_are_at_every_side() -> None:
    """A dozen chunks, one at each side of what is there among them, the same ones each time."""
    chunks = tuple(Grid((30, 20, 10)).chunks(2))
    chosen = _choose(chunks)
    assert len(chosen) == FILES == len(set(chosen)) and chosen == _choose(chunks)
    assert {0, 29} <= {chunk.x for chunk in chosen} and {0, 19} <= {chunk.y for chunk in chosen}
    assert {0, 9} <= {chunk.z for chunk in chosen}
    assert _choose(chunks[:5]) == list(chunks[:5]) and _choose(()) == []
