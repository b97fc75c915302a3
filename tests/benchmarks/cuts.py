"""A chunk of a segmentation: its cut from stored voxels to stored voxels, step by step, and what its own job of
layer 2 makes of that cut and the six around it.

The chunk is of 512 x 512 x 128 voxels of uint64 and has some 33,000 supervoxels without gaps, all of which touch
others: the nearest of points of which each cell of a grid has one. It stands in the middle of 27 chunks of which
the others hold nothing; as the cuts behind its faces its own is taken, which has planes of the same size.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.inputs.raw.processed import component_file, edge_file
from shared.inputs.segmentation.box import Volumes
from shared.inputs.segmentation.cut import Cut
from shared.inputs.segmentation.cut_file import decode_cut, encode_cut
from shared.inputs.segmentation.cutting import Made
from shared.inputs.segmentation.source import SegmentationSource
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.segmentation import Segmentation
from shared.run.record import RunRecord
from shared.voxels.contacts import contacts_inside
from shared.voxels.pieces import whole_pieces
from shared.voxels.volume import VoxelVolume, begin_volume
from shared.work.cutter import Cutter
from tests.benchmarks.inputs import record_of
from tests.benchmarks.measure import MB, Spent, grown_mb, show

SIZE = (512, 512, 128)
CELL = (11, 11, 9)
"""Voxels of which one is a point that others are nearest to: about a supervoxel."""
SLAB = 8
OBJECTS = 3_000
RESOLUTION = (8.0, 8.0, 40.0)
MIDDLE = Chunk(1, 1, 1, 1)
CUT, CONTACTS = 15e6, 30e6
"""Voxels a second that a cut, reading and writing included, and its contacts are to come to."""

Voxels = npt.NDArray[Any]


def measure(folder: Path, repeats: int) -> dict[str, object]:
    """Each way to cut the chunk, and what layer 2 takes."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / "labels.npy"
    if not kept.exists():
        np.save(kept, _labels())
    labels, stored = np.load(kept), _Stored(folder)
    supervoxels = stored.volume("labels", "compressed_segmentation", labels[..., None])
    raw = stored.volume("raw", "raw", labels[..., None])
    objects = stored.volume("objects", "compressed_segmentation", (labels % OBJECTS + 1)[..., None])
    affinities = stored.volume("affinities", "raw", _affinities())
    plain = Segmentation(
        supervoxels, f"file://{folder}/out", (0, 0, 0), (1536, 1536, 384), SIZE, RESOLUTION, mapping=("-",)
    )
    of_objects = replace(plain, mapping=(), objects=objects)
    ways = {
        "mapping": plain,
        "mapping, raw volume": replace(plain, supervoxels=raw),
        "objects": of_objects,
        "objects, affinities": replace(of_objects, affinities=affinities),
        "flat": replace(plain, mapping=()),
        "flat, blocks of 64, 64, 32": replace(plain, mapping=(), split=(64, 64, 32)),
    }
    rows = [_cut(name, way, repeats) for name, way in ways.items()]
    note = f"CPU; a cut is to have {CUT / 1e6:.0f} M voxels/s, its contacts {CONTACTS / 1e6:.0f} M voxels/s"
    show("The cut of one chunk, from stored voxels to stored voxels", rows, note)
    layer2 = [_layer2(name, ways[name], repeats) for name in ("mapping", "objects, affinities", "flat")]
    show("Its edges and components, from seven cuts", layer2)
    return {"cuts": rows, "layer 2": layer2}


class _OneObject:
    """Tables that say something of every supervoxel."""

    def objects_of(self, supervoxels: Ids) -> Ids:
        return supervoxels % np.uint64(OBJECTS) + np.uint64(1)

    def scores_of(self, pairs: Ids) -> npt.NDArray[np.float32]:
        return np.ones(len(pairs), np.float32)


def _cut(name: str, way: Segmentation, repeats: int) -> dict[str, object]:
    record = _record(way)
    cutter = Cutter(way, Volumes.of(way), _OneObject() if way.mapping else None)
    begin_volume(way, "-")
    out = VoxelVolume(way.watershed)
    low, _ = way.box(*MIDDLE.coords)

    def cut() -> Made:
        return cutter.cut(record, MIDDLE)

    def whole() -> bytes:
        made = cut()
        # As a job does it: first the bytes of the hand-off, then the voxels are written.
        data = encode_cut(made.cut)
        out.write(low, made.voxels)
        return data

    made, data = cut(), whole()
    voxels = int(np.prod(SIZE))
    box = Volumes.of(way).box(MIDDLE)
    pieces = whole_pieces(box.labels)
    best = {
        step: _best(work, repeats)
        for step, work in {
            "read": lambda: Volumes.of(way).box(MIDDLE),
            "contacts": lambda: contacts_inside(pieces.numbers, way.resolution, box.affinities),
            "write": lambda: out.write(low, made.voxels),
            "hand-off": lambda: encode_cut(made.cut),
            "whole": whole,
        }.items()
    }
    written = sum(path.stat().st_size for path in Path(way.watershed.removeprefix("file://")).glob("*/*"))
    return {
        "way": name,
        "pieces": made.cut.count,
        "read s": best["read"],
        "contacts s": best["contacts"],
        "write s": best["write"],
        "hand-off s": best["hand-off"],
        "all s": best["whole"],
        "M voxels/s": voxels / best["whole"] / 1e6,
        "contacts M/s": voxels / best["contacts"] / 1e6,
        "peak MB": grown_mb(whole),
        "written MB": written / MB,
        "hand-off MB": len(data) / MB,
    }


def _layer2(name: str, way: Segmentation, repeats: int) -> dict[str, object]:
    record = _record(way)
    tables = _OneObject() if way.mapping else None
    data = encode_cut(Cutter(way, Volumes.of(way), tables).cut(record, MIDDLE).cut)
    around = [MIDDLE, *record.plan.grid.neighbours(MIDDLE).values()]

    def decoded() -> dict[Chunk, Cut]:
        return {chunk: replace(decode_cut(data, "-", MIDDLE), chunk=chunk) for chunk in around}

    chunk, cuts = MIDDLE._replace(layer=2), decoded()
    source = SegmentationSource(way, record.plan, lambda _: cuts, "-", tables)
    edges, parts = source.edges(chunk, [chunk])[chunk], source.components(chunk, [chunk])[chunk]
    assert edges is not None and parts is not None
    files = edge_file(edges), component_file(parts)

    def whole() -> object:
        found = SegmentationSource(way, record.plan, partial(_given, decoded()), "-", tables)
        made, labels = found.edges(chunk, [chunk])[chunk], found.components(chunk, [chunk])[chunk]
        assert made is not None and labels is not None
        return edge_file(made), component_file(labels)

    return {
        "way": name,
        "pieces": len(cuts[MIDDLE].original),
        "edges": sum(len(part.pairs) for part in (edges.inside, edges.between, edges.cross)),
        "decode s": _best(decoded, repeats),
        "edges s": _best(lambda: source.edges(chunk, [chunk]), repeats),
        "components s": _best(lambda: source.components(chunk, [chunk]), repeats),
        "files s": _best(lambda: (edge_file(edges), component_file(parts)), repeats),
        "all s": _best(whole, repeats),
        "peak MB": grown_mb(whole),
        "edge file MB": len(files[0] or b"") / MB,
        "component file MB": len(files[1] or b"") / MB,
    }


def _given(cuts: dict[Chunk, Cut], _: object) -> dict[Chunk, Cut]:
    return cuts


def _record(way: Segmentation) -> RunRecord:
    return record_of((3, 3, 3), segmentation=way)


def _best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of CPU of the quickest of some times."""
    found = []
    for _ in range(repeats):
        with (spent := Spent()).more():
            work()
        found.append(spent.cpu)
    return min(found)


@dataclass(frozen=True)
class _Stored:
    """Volumes on this machine's disk, made once."""

    folder: Path

    def volume(self, name: str, encoding: str, voxels: Voxels) -> str:
        """One with these voxels (x, y, z, channels) in the middle of 27 chunks; its location."""
        from cloudvolume import CloudVolume

        place = f"file://{self.folder / name}"
        if not (self.folder / name / "done").exists():
            info = CloudVolume.create_new_info(
                num_channels=voxels.shape[3],
                layer_type="segmentation" if voxels.shape[3] == 1 else "image",
                data_type=str(voxels.dtype),
                encoding=encoding,
                resolution=list(map(int, RESOLUTION)),
                voxel_offset=[0, 0, 0],
                volume_size=[3 * length for length in SIZE],
                chunk_size=[64, 64, 64],
            )
            volume: Any = CloudVolume(place, info=info, progress=False, compress="gzip")
            volume.commit_info()
            volume[tuple(slice(length, 2 * length) for length in SIZE)] = voxels
            (self.folder / name / "done").touch()
        return place


def _labels() -> Voxels:
    """The supervoxel at each voxel, (x, y, z): the nearest of the points of 27 cells, by ids in no order."""
    random = np.random.default_rng(1)
    cells = [-(-length // cell) + 2 for length, cell in zip(SIZE, CELL, strict=True)]
    points = np.stack(np.meshgrid(*map(np.arange, cells), indexing="ij"), axis=-1).astype(np.float32) - 1
    points = (points + random.random(points.shape, np.float32)) * np.array(CELL, np.float32)
    ids = random.permutation(np.arange(1, points[..., 0].size + 1, dtype=np.uint64)) * np.uint64(123_456_789)
    found = np.empty(SIZE, np.uint64, order="F")
    x, y = (np.arange(length) for length in SIZE[:2])
    for start in range(0, SIZE[2], SLAB):
        z = np.arange(start, start + SLAB)
        at = np.ix_(x // CELL[0] + 1, y // CELL[1] + 1, z // CELL[2] + 1)
        nearest = np.full((len(x), len(y), len(z)), np.inf, np.float32)
        for step in itertools.product((-1, 0, 1), repeat=3):
            cell = tuple(axis + by for axis, by in zip(at, step, strict=True))
            point = points[cell]
            far = (point[..., 0] - x[:, None, None]) ** 2 + (point[..., 1] - y[None, :, None]) ** 2
            far += (point[..., 2] - z[None, None, :]) ** 2
            closer = far < nearest
            nearest[closer] = far[closer]
            found[:, :, start : start + SLAB][closer] = ids.reshape(cells)[cell][closer]
    return found


def _affinities() -> Voxels:
    """Three channels of noise that is smooth along x, as bytes."""
    random = np.random.default_rng(2)
    return np.repeat(random.integers(0, 256, (SIZE[0] // 8, *SIZE[1:], 3), np.uint8), 8, axis=0)
