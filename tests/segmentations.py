"""Small segmentations, and what a run has to make of them: an oracle that knows only numpy, the whole volume at
once."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

Triple = tuple[int, int, int]
Voxels = npt.NDArray[Any]
Place = tuple[int, int, int]
Piece = tuple[Any, ...]

RESOLUTION = (8, 4, 40)


@dataclass
class Scene:
    """A segmentation: its `labels` (x, y, z) and what is known beside them; `way` is the section of the dataset."""

    labels: Voxels
    chunk_size: Triple
    low: Triple = (0, 0, 0)
    objects: Voxels | None = None
    affinities: Voxels | None = None
    mapping: dict[int, int] | None = None
    scores: dict[tuple[int, int], float] | None = None
    threshold: float = 0.0
    together: str = "above"
    split: Triple | None = None
    connectivity: int = 26
    most: bool = False
    mip: int = 0
    missing: list[Triple] = field(default_factory=list)
    """Stored blocks that are not there, by their numbers; background, then."""

    @property
    def flat(self) -> bool:
        return self.objects is None and self.mapping is None and self.scores is None


def write(folder: Path, scene: Scene, block: Triple = (5, 6, 7)) -> Path:
    """Writes the volumes, tables and the dataset file of a scene; the file."""
    _volume(folder / "labels", scene.labels, scene.low, block, scene.mip)
    for number in scene.missing:
        at = [low + part * length for low, part, length in zip(scene.low, number, block, strict=True)]
        ends = [
            min(start + length, low + size)
            for start, length, low, size in zip(at, block, scene.low, scene.labels.shape, strict=True)
        ]
        name = "_".join(f"{start}-{end}" for start, end in zip(at, ends, strict=True))
        for path in (folder / "labels").glob(f"{'_'.join(map(str, RESOLUTION))}/{name}*"):
            path.unlink()
    section: dict[str, Any] = {"supervoxels": "./labels", "connectivity": scene.connectivity}
    if scene.missing:
        section["fill_missing"] = True
    if scene.mip:
        section["mip"] = scene.mip
    if scene.objects is not None:
        _volume(folder / "objects", scene.objects, scene.low, block, scene.mip)
        section["objects"] = "./objects"
    if scene.most:
        section["several_objects"] = "most"
    if scene.affinities is not None:
        _volume(folder / "affinities", scene.affinities, scene.low, block, scene.mip)
        section["affinities"] = "./affinities"
    if scene.split is not None:
        section["split"] = list(scene.split)
    if scene.mapping is not None:
        np.save(folder / "mapping.npy", np.array(sorted(scene.mapping.items()), np.uint64).reshape(-1, 2))
        section["mapping"] = "./mapping.npy"
    if scene.scores is not None:
        rows = [f"{a},{b},{score!r}\n" for (a, b), score in sorted(scene.scores.items())]
        (folder / "edges.csv").write_text("a,b,score\n" + "".join(rows))
        section |= {"edges": "./edges.csv", "threshold": scene.threshold, "together": scene.together}
    dataset = {
        "data_source": {"EDGES": "./out/edges", "COMPONENTS": "./out/components", "WATERSHED": "./out/ws"},
        "graph_config": {"CHUNK_SIZE": list(scene.chunk_size)},
        "chunkedgraph_ingest": {"segmentation": section},
    }
    path = folder / "scene.yml"
    path.write_text(yaml.safe_dump(dataset))
    return path


def _volume(folder: Path, voxels: Voxels, low: Triple, block: Triple, mip: int) -> None:
    """A volume whose voxels are at a mip level; those above it are twice as many along x and y, and not there."""
    from cloudvolume import CloudVolume

    finer = (2**mip, 2**mip, 1)

    layer = "segmentation" if voxels.dtype.kind == "u" else "image"
    info = CloudVolume.create_new_info(
        num_channels=voxels.shape[3] if voxels.ndim == 4 else 1,
        layer_type=layer,
        data_type=str(voxels.dtype),
        encoding="raw",
        resolution=[nm // by for nm, by in zip(RESOLUTION, finer, strict=True)],
        voxel_offset=[at * by for at, by in zip(low, finer, strict=True)],
        volume_size=[length * by for length, by in zip(voxels.shape[:3], finer, strict=True)],
        chunk_size=list(block),
    )
    volume: Any = CloudVolume(f"file://{folder}", info=info, progress=False)
    for _ in range(mip):
        volume.add_scale((2, 2, 1), chunk_size=list(block))
    volume.commit_info()
    volume = CloudVolume(f"file://{folder}", mip=mip, progress=False)
    volume[:, :, :] = voxels if voxels.ndim == 4 else voxels[..., None]


@dataclass
class Expected:
    """What has to come of a scene: the piece at each voxel; edges with kind, area and affinity; roots of pieces."""

    pieces: dict[Place, Piece]
    edges: dict[tuple[Piece, Piece], tuple[str, int, float]]
    active: set[tuple[Piece, Piece]]
    roots: dict[Piece, Piece]


def expected(scene: Scene) -> Expected:
    """By voxels, dictionaries and union-find."""
    labels = scene.labels.copy()
    for number in scene.missing:
        box = tuple(slice(at * length, (at + 1) * length) for at, length in zip(number, (5, 6, 7), strict=True))
        labels[box] = 0
    pieces = _pieces(scene, labels)
    objects = _objects(scene, pieces, labels)
    faces: dict[tuple[Piece, Piece], list[tuple[int, float | None]]] = defaultdict(list)
    for place, piece in pieces.items():
        for axis in range(3):
            other = pieces.get(tuple(at - (n == axis) for n, at in enumerate(place)))  # type: ignore[arg-type]
            if other is not None and other != piece:
                affinity = None if scene.affinities is None else _affinity(scene, place, axis)
                faces[min(piece, other), max(piece, other)].append((axis, affinity))
    edges, active = {}, set()
    for (a, b), touching in faces.items():
        area = int(sum(RESOLUTION[axis] for axis, _ in touching))
        same = objects[a] == objects[b] != 0
        cut_apart = not scene.flat and a[0] != b[0] and a[-1] == b[-1] and objects[a] == objects[b]
        kind = "inside" if a[0] == b[0] else "cross" if cut_apart else "between"
        if kind == "cross":
            value = float("inf")
        elif scene.affinities is not None:
            value = float(np.mean([affinity or 0.0 for _, affinity in touching]))
        elif scene.scores is not None:
            value = _score(scene, a[-1], b[-1])
        else:
            value = float(same)
        edges[a, b] = (kind, area, value)
        if same or kind == "cross":
            active.add((a, b))
    return Expected(pieces, edges, active, _roots(set(pieces.values()), active))


def _affinity(scene: Scene, place: Place, axis: int) -> float:
    assert scene.affinities is not None
    value = scene.affinities[(*place, axis)]
    return float(value) / 255 if scene.affinities.dtype == np.uint8 else float(value)


def _score(scene: Scene, a: int, b: int) -> float:
    assert scene.scores is not None
    found = scene.scores.get((a, b), scene.scores.get((b, a)))
    if found is None:
        return 0.0
    return float(found) if scene.together == "above" else max(0.0, 1.0 - float(found))


def _chunk(scene: Scene, place: Place) -> Triple:
    x, y, z = (at // length for at, length in zip(place, scene.chunk_size, strict=True))
    return x, y, z


def _pieces(scene: Scene, labels: Voxels) -> dict[Place, Piece]:
    """The piece of each voxel: (chunk, …, label)."""
    places = [place for place in np.ndindex(*labels.shape) if labels[place]]
    if not scene.flat:
        return {place: (_chunk(scene, place), int(labels[place])) for place in places}  # type: ignore[arg-type,misc]
    found: dict[Place, Piece] = {}
    for start in places:
        if start in found:
            continue
        name, label = (*_block(scene, start), start, int(labels[start])), labels[start]  # type: ignore[arg-type]
        waiting: list[Any] = [start]
        found[start] = name  # type: ignore[index]
        while waiting:
            at = waiting.pop()
            for other in _around(at, scene.connectivity):
                inside = all(0 <= n < length for n, length in zip(other, labels.shape, strict=True))
                if not inside or other in found or labels[other] != label:
                    continue
                if _block(scene, other) == _block(scene, start):  # type: ignore[arg-type]
                    found[other] = name
                    waiting.append(other)
    return found


def _block(scene: Scene, place: Place) -> tuple[Triple, Triple]:
    chunk = _chunk(scene, place)
    split = scene.split or scene.chunk_size
    x, y, z = (
        (at - number * length) // part
        for at, number, length, part in zip(place, chunk, scene.chunk_size, split, strict=True)
    )
    return chunk, (x, y, z)


def _around(place: Place, connectivity: int) -> list[Place]:
    steps = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]
    if connectivity == 6:
        steps = [step for step in steps if sum(map(abs, step)) == 1]
    x, y, z = place
    return [(x + i, y + j, z + k) for i, j, k in steps]


def _objects(scene: Scene, pieces: dict[Place, Piece], labels: Voxels) -> dict[Piece, int]:
    if scene.flat:
        return {piece: int(piece[-1]) for piece in pieces.values()}
    if scene.objects is not None:
        votes: dict[Piece, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        for place, piece in pieces.items():
            votes[piece][int(scene.objects[place])] += 1
        return {piece: min(found, key=lambda name: (-found[name], name)) for piece, found in votes.items()}
    if scene.mapping is not None:
        return {piece: scene.mapping.get(int(piece[-1]), 0) for piece in pieces.values()}
    assert scene.scores is not None
    joined = [
        pair
        for pair, score in scene.scores.items()
        if (score >= scene.threshold if scene.together == "above" else score < scene.threshold)
    ]
    names = _roots({at for pair in joined for at in pair}, set(joined))
    return {piece: names.get(int(piece[-1]), 0) for piece in pieces.values()}


def _roots(names: set[Any], pairs: set[Any]) -> dict[Any, Any]:
    """The smallest of each connected component."""
    parent = {name: name for name in names}

    def top(name: Any) -> Any:
        while parent[name] != name:
            parent[name] = name = parent[parent[name]]
        return name

    for a, b in pairs:
        one, other = sorted((top(a), top(b)))
        parent[other] = one
    return {name: top(name) for name in names}
