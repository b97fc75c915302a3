"""Whatever a segmentation looks like, a run makes of it what an oracle of numpy and dictionaries says."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.inputs.edges import decode_edges
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.check import check
from shared.operate.run import Run
from shared.plan.grid import Chunk
from tests.examples import examples
from tests.segmentations import Expected, Scene, expected, write
from tests.whole.partition import table_partition
from tests.whole.walk import Report, Walk

NOW = 1_700_000_000_000


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Segmentations of a few hundred voxels, of all four kinds."""
    shape = tuple(draw(st.integers(1, 11)) for _ in range(3))
    chunk = tuple(draw(st.integers(2, 6)) for _ in range(3))
    low = tuple(draw(st.integers(-20, 20)) for _ in range(3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    cells = draw(st.integers(1, 4))
    coarse = rng.integers(0, draw(st.integers(2, 12)), [-(-length // cells) for length in shape])
    small = np.kron(coarse, np.ones((cells,) * 3, int))[: shape[0], : shape[1], : shape[2]]
    noise = draw(st.sampled_from([0.0, 0.1]))
    small = np.where(rng.random(shape) < noise, rng.integers(0, 12, shape), small)
    dtype = draw(st.sampled_from(["uint8", "uint16", "uint32", "uint64"]))
    most = np.iinfo(dtype).max
    names = np.array([0, *rng.choice(min(most, 10**6), 12, replace=False)], dtype)
    names[1:] = np.array(most, dtype) - names[1:] if draw(st.booleans()) else names[1:] + np.ones(1, dtype)
    scene = Scene(names[small], chunk, low, connectivity=draw(st.sampled_from([6, 26])))  # type: ignore[arg-type]
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["uint8", "float32"]))
        values = rng.random((*shape, 3))
        scene.affinities = (values * 255).astype("uint8") if kind == "uint8" else values.astype("float32")
    scene.mip = draw(st.sampled_from([0, 0, 1]))
    blocks = [at for at in np.ndindex(*(-(-length // side) for length, side in zip(shape, (5, 6, 7), strict=True)))]
    scene.missing = [(x, y, z) for x, y, z in blocks if draw(st.integers(0, 9)) == 9]
    way = draw(st.sampled_from(WAYS))
    labels = sorted(set(scene.labels.ravel().tolist()) - {0})
    if way == "objects":
        of = {label: int(rng.integers(0, 5)) for label in labels}
        scene.objects = np.vectorize(lambda label: of.get(label, 0), otypes=["uint32"])(scene.labels)
        if draw(st.booleans()):
            scene.most = True
            scene.objects = np.where(rng.random(shape) < 0.2, rng.integers(0, 5, shape), scene.objects).astype(
                "uint32"
            )
    elif way == "mapping":
        scene.mapping = {label: int(rng.integers(1, 5)) for label in labels if rng.random() < 0.9} or {1: 1}
    elif way == "scores":
        scene.threshold, scene.together = 0.5, draw(st.sampled_from(["above", "below"]))
        pairs = {(a, b) for a in labels for b in labels if a < b and rng.random() < 0.5} or {(1, 2)}
        scene.scores = {
            (b, a) if rng.random() < 0.5 else (a, b): float(np.float32(rng.random())) for a, b in sorted(pairs)
        }
    elif draw(st.booleans()):
        scene.split = tuple(draw(st.integers(1, 6)) for _ in range(3))  # type: ignore[assignment]
    return scene


WAYS = ["objects", "mapping", "scores", "flat"]


@given(scenes())
@examples(40)
def test_a_segmentation_becomes_its_graph(scene: Scene) -> None:
    """Voxels, edges, components and roots are the oracle's; a second run, from the written files, gives the same
    table to the byte."""
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), scene)
        wanted = expected(scene)
        if not wanted.pieces:
            return
        run, table = built(path)
        names = voxels_are(run, scene, wanted)
        edges_are(run, wanted, names)
        roots_are(run, wanted, names)
        again, other = built(path)
        assert again.record.segmentation is None
        assert other == table


def built(path: Path) -> tuple[Run, Any]:
    """A run of a dataset in memory, from its begin to its end, and its rows."""
    backend = MemoryBackend()
    run, _ = begin(backend, check(path, "graph"), "graph", now_ms=NOW)
    run.work()
    failed = run.failures()
    assert not failed, failed[0].traceback
    assert run.finished
    found = run.verify()
    assert found.violations == []
    return run, {key: row for key, row in rows(backend).items() if key not in (b"meta", b"version")}


def rows(backend: MemoryBackend) -> dict[bytes, Any]:
    """All rows of the one table."""
    (table,) = backend.tables.values()
    return {
        row.key: (sorted(row.cells.items(), key=str), sorted(row.timestamps.items(), key=str))
        for row in table.read([(b"", b"\xff")])
    }


def voxels_are(run: Run, scene: Scene, wanted: Expected) -> dict[Any, int]:
    """The written volume has the oracle's pieces; the id of each."""
    from cloudvolume import CloudVolume

    folder = run.record.dataset["data_source"]["WATERSHED"]
    volume: Any = CloudVolume(folder, progress=False)
    written = np.asarray(volume[:, :, :])[..., 0]
    assert tuple(volume.voxel_offset) == scene.low and written.shape == scene.labels.shape
    names: dict[Any, int] = {}
    for x, y, z in np.ndindex(*written.shape):
        piece, found = wanted.pieces.get((x, y, z)), int(written[x, y, z])
        assert (piece is None) == (found == 0)
        if piece is not None:
            assert names.setdefault(piece, found) == found
    assert len(set(names.values())) == len(names)
    for piece, found in names.items():
        assert run.record.plan.ids.chunk_of(found) == Chunk(1, *piece[0])
    return names


def edges_are(run: Run, wanted: Expected, names: dict[Any, int]) -> None:
    """The written edge files have the oracle's edges, in the files of both chunks; and pieces that touch
    nothing."""
    data = run.record.dataset["data_source"]
    found: dict[Any, Any] = {}
    alone: set[int] = set()
    for chunk in run.record.plan.grid.chunks(2):
        where = Path(data["EDGES"].removeprefix("file://")) / f"edges_{chunk.x}_{chunk.y}_{chunk.z}.proto.zst"
        if not where.exists():
            continue
        edges = decode_edges(where.read_bytes(), str(where), chunk)
        for kind in ("inside", "between", "cross"):
            part = getattr(edges, kind)
            for (a, b), affinity, area in zip(
                part.pairs.tolist(), part.affinities.tolist(), part.areas.tolist(), strict=True
            ):
                if a == b:
                    alone.add(a)
                    continue
                key = (min(a, b), max(a, b))
                assert found.setdefault(key, (kind, area, affinity)) == (kind, area, affinity)
    expected_edges = {
        (min(names[a], names[b]), max(names[a], names[b])): what for (a, b), what in wanted.edges.items()
    }
    assert {key: what[:2] for key, what in found.items()} == {key: what[:2] for key, what in expected_edges.items()}
    for key, what in expected_edges.items():
        assert np.isclose(found[key][2], what[2], rtol=1e-5), (key, found[key], what)
    assert alone == {names[piece] for piece in wanted.roots} - {end for pair in expected_edges for end in pair}


def roots_are(run: Run, wanted: Expected, names: dict[Any, int]) -> None:
    """The roots of the table are the oracle's connected components, and every piece has its row."""
    walk = Walk(run.record.plan, run.opened.table, Report(), keep_links=True)
    walk.run()
    supervoxels, roots = table_partition(run.record.plan, walk.links)
    of = dict(zip(supervoxels.tolist(), roots.tolist(), strict=True))
    assert set(of) == set(names.values())
    groups = {(of[names[piece]], root) for piece, root in wanted.roots.items()}
    assert len(groups) == len({root for root, _ in groups}) == len({root for _, root in groups})
