"""The example dataset holds what other tests and readers take for granted about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from click.testing import CliRunner
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jobs.example import ExampleParams, Summary, make_example
from jobs.example.__main__ import main
from jobs.example.params import RESOLUTION, VOXEL_OFFSET
from shared.inputs.components import Components, components_name, decode_components
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, edges_name
from shared.plan.grid import Chunk

TINY = ExampleParams(grid=(3, 2, 1), chunk_size=(20, 18, 16))
MEDIUM = ExampleParams(grid=(5, 4, 2), chunk_size=(24, 20, 22), seed=1)


@dataclass(frozen=True)
class Example:
    """A dataset as its readers see it: everything decoded from the files."""

    folder: Path
    params: ExampleParams
    summary: Summary
    edges: dict[Chunk, ChunkEdges]
    components: dict[Chunk, Components]
    truth: dict[int, int]

    def volume(self) -> Any:
        from cloudvolume import CloudVolume

        return CloudVolume(f"file://{self.folder / 'ws'}", progress=False)

    def voxels(self) -> npt.NDArray[np.uint64]:
        voxels: npt.NDArray[np.uint64] = np.asarray(self.volume()[:])[..., 0]
        return voxels

    def lower(self, pair: tuple[int, int]) -> Chunk:
        """The lower chunk of the two that an edge through a face lies in, as a layer-2 chunk."""
        return min(self.chunk(pair[0]), self.chunk(pair[1]))

    def chunk(self, supervoxel: int) -> Chunk:
        found = self.params.layout.chunk_of(supervoxel)
        assert found.layer == 1
        return Chunk(2, *found.coords)


def load(folder: Path, params: ExampleParams) -> Example:
    """Make a dataset and read its files back."""
    summary = make_example(folder, params)
    edges, components = {}, {}
    for chunk in params.chunks.chunks(2):
        path = folder / "edges" / edges_name(chunk)
        edges[chunk] = decode_edges(path.read_bytes() if path.exists() else None, path.name, chunk)
        path = folder / "components" / components_name(chunk)
        components[chunk] = decode_components(path.read_bytes() if path.exists() else None, path.name, chunk)
    with np.load(folder / "truth.npz", allow_pickle=False) as arrays:
        assert arrays["supervoxel"].dtype == arrays["object"].dtype == np.uint64
        truth = dict(zip(arrays["supervoxel"].tolist(), arrays["object"].tolist(), strict=True))
    return Example(folder, params, summary, edges, components, truth)


@pytest.fixture(scope="module")
def medium(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return load(tmp_path_factory.mktemp("medium"), MEDIUM)


@pytest.fixture(scope="module", params=[TINY, replace(TINY, seed=3), MEDIUM], ids=["tiny", "seed3", "medium"])
def example(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Example:
    return load(tmp_path_factory.mktemp("example"), request.param)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(part: EdgeList) -> Iterator[tuple[tuple[int, int], float, int]]:
    """The edges of a list with the smaller id first."""
    for (a, b), affinity, area in zip(
        part.pairs.tolist(), part.affinities.tolist(), part.areas.tolist(), strict=True
    ):
        yield (min(a, b), max(a, b)), affinity, area


def believed(example: Example, chunk: Chunk) -> dict[tuple[int, int], bool]:
    """Whether a chunk's own files say of each of its between edges that it is active."""
    pairs = example.edges[chunk].between.pairs
    same = example.components[chunk].same(pairs)
    return {(min(p), max(p)): bool(on) for p, on in zip(pairs.tolist(), same, strict=True)}


def touching_voxels(voxels: npt.NDArray[np.uint64]) -> dict[tuple[int, int], int]:
    """Number of voxel faces at which each two different ids touch."""
    found: dict[tuple[int, int], int] = {}
    for axis in range(3):
        line = np.moveaxis(voxels, axis, 0)
        a, b = line[:-1], line[1:]
        touch = (a != b) & (a > 0) & (b > 0)
        for x, y in zip(a[touch].tolist(), b[touch].tolist(), strict=True):
            pair = (min(x, y), max(x, y))
            found[pair] = found.get(pair, 0) + 1
    return found


def test_same_parameters_give_the_same_bytes(tmp_path: Path) -> None:
    """A dataset depends on its parameters only, to the byte; another seed gives another one."""
    first, again, other = (tmp_path / name for name in ("first", "again", "other"))
    assert make_example(first, TINY) == make_example(again, TINY)
    assert contents(first) == contents(again)
    make_example(other, replace(TINY, seed=1))
    assert contents(first)["truth.npz"] != contents(other)["truth.npz"]


def test_volume_geometry(example: Example) -> None:
    """The watershed volume has the offset and resolution, and an extent that cuts the last chunks."""
    volume, params = example.volume(), example.params
    assert volume.dtype == "uint64"
    assert tuple(volume.voxel_offset) == VOXEL_OFFSET
    assert tuple(volume.resolution) == RESOLUTION
    extent = np.array(volume.volume_size)
    assert (extent % params.chunk_size > 0).all()
    assert (-(-extent // params.chunk_size) == params.grid).all()


def test_voxels_hold_ids_of_their_chunk(example: Example) -> None:
    """Each voxel is background or has a layer-1 id with the coordinates of the chunk that it is in."""
    voxels, layout = example.voxels(), example.params.layout
    solid = np.argwhere(voxels > 0)
    ids = voxels[voxels > 0]
    assert (layout.layers(ids) == 1).all()
    assert (layout.coords(ids, 1) == solid // example.params.chunk_size).all()


def test_edges_are_what_touches_in_the_volume(example: Example) -> None:
    """The edges of all files are the pairs of ids that share voxel faces, with their number as area."""
    found = {
        pair: area
        for edges in example.edges.values()
        for part in (edges.inside, edges.between, edges.cross)
        for pair, _, area in rows(part)
    }
    assert found == touching_voxels(example.voxels())


def test_ends_of_edges_lie_where_the_kind_says(example: Example) -> None:
    """in_chunk edges have both ends in the chunk, the others one, and the other in a face neighbour."""
    turned = 0
    for chunk, edges in example.edges.items():
        assert all(example.chunk(end) == chunk for end in edges.inside.pairs.ravel().tolist())
        for part in (edges.between, edges.cross):
            for a, b in part.pairs.tolist():
                ends = [example.chunk(a), example.chunk(b)]
                assert ends.count(chunk) == 1
                assert set(ends) - {chunk} <= set(example.params.chunks.neighbours(chunk).values())
                turned += ends[1] == chunk
        assert all(example.chunk(a) == chunk for a, _ in edges.cross.pairs.tolist())
    assert 0 < turned < example.summary.between_edges / 2


def test_edges_through_a_face_stand_in_both_files(example: Example) -> None:
    """Each between and cross edge is in the files of both its chunks, with equal values."""
    for kind, count in (
        ("between", example.summary.between_edges),
        ("cross", example.summary.cross_edges),
    ):
        seen: dict[tuple[int, int], list[tuple[Chunk, float, int]]] = {}
        for chunk, edges in example.edges.items():
            for pair, affinity, area in rows(getattr(edges, kind)):
                seen.setdefault(pair, []).append((chunk, affinity, area))
        assert len(seen) == count > 0
        for pair, places in seen.items():
            assert {place[0] for place in places} == {example.chunk(end) for end in pair}
            assert len(places) == 2
            assert places[0][1:] == places[1][1:]


def test_affinities(example: Example) -> None:
    """Cross edges have an infinite affinity, others one from 0 to 1 that is higher where active."""
    inside = [edges.inside for edges in example.edges.values()]
    assert all(np.isposinf(edges.cross.affinities).all() for edges in example.edges.values())
    affinities = np.concatenate([part.affinities for part in inside])
    assert ((affinities >= 0) & (affinities <= 1)).all()
    active = np.concatenate([example.components[c].same(e.inside.pairs) for c, e in example.edges.items()])
    assert 0 < active.sum() < len(active)
    assert affinities[active].mean() > affinities[~active].mean() + 0.4


def test_truth_follows_from_the_files(example: Example) -> None:
    """The true objects are the components of all supervoxels in edges under cross edges, active
    in_chunk edges, and the between edges that the lower side takes for active."""
    joined: set[tuple[int, int]] = set()
    listed: set[int] = set()
    for chunk, edges in example.edges.items():
        on = example.components[chunk].same(edges.inside.pairs)
        joined.update(map(tuple, edges.inside.pairs[on].tolist()))
        joined.update(map(tuple, edges.cross.pairs.tolist()))
        active = {pair for pair, on in believed(example, chunk).items() if on}
        joined.update(pair for pair in active if example.lower(pair) == chunk)
        for part in (edges.inside, edges.between, edges.cross):
            listed.update(part.pairs.ravel().tolist())
    ids = np.array(sorted(listed), dtype=np.uint64)
    ends = np.searchsorted(ids, np.array(sorted(joined), dtype=np.uint64))
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(ids), len(ids)))
    count, labels = connected_components(graph, directed=False)
    assert example.truth.keys() == listed
    both = {(label, example.truth[at]) for at, label in zip(ids.tolist(), labels.tolist(), strict=True)}
    assert len(both) == count == len(set(example.truth.values())) == example.summary.objects


def test_both_kinds_of_disagreement(medium: Example) -> None:
    """Some between edges are active by the lower side's file only, and some by the upper side's only."""
    found: Counter[tuple[bool, bool]] = Counter()
    for chunk in medium.edges:
        for pair, active in believed(medium, chunk).items():
            if medium.lower(pair) == chunk:
                upper = max(medium.chunk(pair[0]), medium.chunk(pair[1]))
                found[active, believed(medium, upper)[pair]] += 1
    assert set(found) == {(True, True), (False, False), (True, False), (False, True)}
    assert medium.summary.disagreements == found[True, False] + found[False, True] >= 2


def test_ids_in_components_files(medium: Example) -> None:
    """Components list the chunk's and its neighbours' supervoxels, and a few that are in no edge."""
    unknown = 0
    for chunk, components in medium.components.items():
        known = [at for at in components.ids.tolist() if at in medium.truth]
        near = {chunk, *medium.params.chunks.neighbours(chunk).values()}
        assert {medium.chunk(at) for at in known} <= near
        unknown += len(components.ids) - len(known)
    assert unknown == medium.summary.unknown_ids > 0


def test_empty_parent(medium: Example) -> None:
    """All chunks of one layer-3 parent are empty: no voxel, no edge file, no components file."""
    voxels, size = medium.voxels(), medium.params.chunk_size
    grid, empty = medium.params.chunks, []
    for chunk in grid.chunks(2):
        low = [at * length for at, length in zip(chunk.coords, size, strict=True)]
        box = tuple(slice(at, at + length) for at, length in zip(low, size, strict=True))
        if not voxels[box].any():
            empty.append(chunk)
            assert not (medium.folder / "edges" / edges_name(chunk)).exists()
            assert not (medium.folder / "components" / components_name(chunk)).exists()
    parents = [parent for parent in grid.chunks(3) if set(grid.children(parent)) <= set(empty)]
    assert any(len(grid.children(parent)) == 8 for parent in parents)
    assert medium.summary.edge_files <= grid.chunk_total(2) - len(empty)


def test_lone_supervoxels_and_fragments(medium: Example) -> None:
    """Some supervoxels touch nothing; some objects are in one chunk and touch others by inactive edges."""
    ids = set(np.unique(medium.voxels()).tolist()) - {0}
    assert medium.truth.keys() <= ids
    assert len(ids) - len(medium.truth) == medium.summary.lone_supervoxels > 0
    chunks: dict[int, set[Chunk]] = {}
    for supervoxel, number in medium.truth.items():
        chunks.setdefault(number, set()).add(medium.chunk(supervoxel))
    partners: dict[int, set[int]] = {}
    for edges in medium.edges.values():
        for part in (edges.inside, edges.between, edges.cross):
            for (a, b), _, _ in rows(part):
                partners.setdefault(medium.truth[a], set()).add(medium.truth[b])
                partners.setdefault(medium.truth[b], set()).add(medium.truth[a])
    assert any(len(chunks[number]) == 1 and partners[number] - {number} for number in chunks)
    assert any(len(found) > 4 for found in chunks.values())


def test_segment_zero_occurs(medium: Example) -> None:
    """A few chunks number their supervoxels from 0, as real ones do."""
    ids = np.array(sorted(medium.truth), dtype=np.uint64)
    segments = medium.params.layout.segments(ids, 1)
    assert 0 < (segments == 0).sum() < len(medium.edges) / 4


def test_default_size() -> None:
    """The default example has 6 layers and an empty corner of whole layer-3 chunks."""
    params = ExampleParams()
    assert params.chunks.layer_count == 6
    box = params.empty_box()
    assert box is not None
    assert (box[0] % (2 * np.array(params.chunk_size)) == 0).all()


@pytest.mark.parametrize("grid", [(1, 1, 1), (4, 1, 1), (1, 2, 9)])
def test_odd_grids(grid: tuple[int, int, int], tmp_path: Path) -> None:
    """Grids of one chunk and of one row of chunks work, too."""
    summary = make_example(tmp_path, ExampleParams(grid=grid, chunk_size=(8, 9, 10), supervoxel_size=3))
    assert summary.chunks == np.prod(grid)
    assert summary.supervoxels > 0


def test_leftover_files_are_refused(tmp_path: Path) -> None:
    """A folder that holds a dataset is not written to, since its files would mix with the new ones."""
    (tmp_path / "edges").mkdir()
    with pytest.raises(FileExistsError, match="edges exists"):
        make_example(tmp_path, TINY)


@pytest.mark.parametrize(
    "wrong",
    [{"grid": (0, 1, 1)}, {"chunk_size": (4, 16, 16)}, {"supervoxel_size": 1}, {"seed": -1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_impossible_parameters_are_refused(wrong: dict[str, Any]) -> None:
    """Parameters that cannot work are refused at once, with the value."""
    with pytest.raises(ValueError, match=r"at least|negative"):
        ExampleParams(**wrong)


def test_command_line(tmp_path: Path) -> None:
    """The command makes the same dataset as the function, tells its counts, and refuses to repeat it."""
    arguments = [str(tmp_path / "new"), "--grid", "3", "2", "1", "--chunk-size", "20", "18", "16"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    expected = make_example(tmp_path / "same", TINY)
    assert f"supervoxels        {expected.supervoxels}\n" in result.output
    assert contents(tmp_path / "new") == contents(tmp_path / "same")
    assert CliRunner().invoke(main, arguments).exit_code == 1
