"""Voxels of a chunk against plain loops: pieces, contacts, objects; and the blocks that are stored of them."""

from __future__ import annotations

import gzip
import itertools
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.plan.segmentation import Segmentation
from shared.voxels import meeting
from shared.voxels.contacts import AXES, contacts_inside
from shared.voxels.meeting import objects_at
from shared.voxels.pieces import connected_pieces, whole_pieces
from shared.voxels.volume import VoxelVolume, begin_volume, stored_block

RESOLUTION = (8.0, 4.0, 40.5)


@st.composite
def labelled(draw: st.DrawFn) -> npt.NDArray[Any]:
    """Some voxels with few labels, in either order of memory."""
    shape = draw(st.tuples(*[st.integers(1, 5)] * 3))
    bits = draw(st.sampled_from([8, 16, 32, 64]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    names = np.array([0, 1, 2, 200, 2**bits - 2, 2**bits - 1], f"uint{bits}")
    found = names[random.integers(0, draw(st.integers(1, len(names))), shape)]
    return np.asfortranarray(found) if draw(st.booleans()) else found


@given(labelled(), st.sampled_from([0, 2]))
def test_pieces_are_numbered_by_their_labels(labels: npt.NDArray[Any], background: int) -> None:
    """Numbers rise with labels, without gaps; sizes are those that are counted; background is no piece."""
    found = whole_pieces(labels, background)
    sizes = Counter(label for label in labels.ravel().tolist() if label not in (0, background))
    assert found.original.tolist() == sorted(sizes)
    assert found.voxels.tolist() == [sizes[label] for label in sorted(sizes)]
    number = {label: at for at, label in enumerate(sorted(sizes), 1)}
    wanted = [number.get(label, 0) for label in labels.ravel().tolist()]
    assert found.numbers.dtype == np.uint32 and found.numbers.ravel().tolist() == wanted


def test_a_label_for_each_value_of_a_byte() -> None:
    """The narrowest labels, all of them used."""
    found = whole_pieces(np.arange(256, dtype=np.uint8).reshape(16, 16, 1))
    assert found.original.tolist() == list(range(1, 256)) and set(found.voxels.tolist()) == {1}


@given(labelled(), st.sampled_from([6, 26]), st.sampled_from([0, 2]))
def test_connected_pieces_are_of_one_label(labels: npt.NDArray[Any], connectivity: int, background: int) -> None:
    """Each voxel but background has a piece, of its own label, also where that is above 2^63; and each piece has as
    many voxels as have its number."""
    found = connected_pieces(labels, (2, 3, 2), connectivity, background)
    counts = Counter(found.numbers.ravel().tolist())
    assert found.voxels.tolist() == [counts[number] for number in range(1, len(found.original) + 1)]
    empty = (labels == 0) | (labels == background)
    assert ((found.numbers == 0) == empty).all()
    assert (found.original[found.numbers[~empty].astype(np.int64) - 1] == labels[~empty]).all()


@given(labelled(), st.booleans())
def test_contacts_are_those_of_each_voxel(labels: npt.NDArray[Any], weighted: bool) -> None:
    """Pairs, areas and mean affinities are what a walk over all voxels finds, at borders too."""
    numbers = whole_pieces(labels).numbers
    random = np.random.default_rng(labels.size)
    affinities = random.random((*numbers.shape, 3)).astype(np.float32) if weighted else None
    touching: dict[tuple[int, int], list[tuple[float, float]]] = defaultdict(list)
    for place, axis in itertools.product(np.ndindex(numbers.shape), AXES):
        other = tuple(at + (n == axis) for n, at in enumerate(place))
        if other[axis] == numbers.shape[axis] or 0 in (ends := (int(numbers[place]), int(numbers[other]))):
            continue
        if ends[0] != ends[1]:
            weight = 0.0 if affinities is None else float(affinities[(*other, axis)])
            touching[min(ends), max(ends)].append((RESOLUTION[axis], weight))
    found = contacts_inside(numbers, RESOLUTION, affinities)
    assert [tuple(pair) for pair in found.pairs.tolist()] == sorted(touching)
    assert found.areas.tolist() == [int(sum(size for size, _ in touching[pair])) for pair in sorted(touching)]
    if found.affinities is not None:
        means = [np.mean([weight for _, weight in touching[pair]]) for pair in sorted(touching)]
        assert found.affinities.tolist() == pytest.approx(means, rel=1e-6)


@given(labelled(), st.integers(1, 3), st.integers(0, 2**32))
def test_objects_are_those_of_most_voxels(labels: npt.NDArray[Any], kinds: int, seed: int) -> None:
    """A piece goes to the object that most of its voxels are in, of equals to the smallest; one that meets several
    is told of, with counts. However few voxels are compared at a time."""
    pieces = whole_pieces(labels)
    objects = np.random.default_rng(seed).integers(0, kinds, labels.shape).astype(np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meeting, "COMPARED_AT_ONCE", 7)
        found, several = objects_at(pieces, objects)
    met: dict[int, Counter[int]] = defaultdict(Counter)
    for place in np.ndindex(labels.shape):
        met[int(pieces.numbers[place])][int(objects[place])] += 1
    met.pop(0, None)
    assert found.tolist() == [min(met[at], key=lambda one: (-met[at][one], one)) for at in sorted(met)]
    mixed = [at for at in sorted(met) if len(met[at]) > 1]
    assert (several.count if several else 0) == len(mixed)
    if several is not None:
        assert several.original == pieces.original[mixed[0] - 1]
        assert dict(several.objects) == dict(met[mixed[0]])
        assert int(pieces.numbers[several.voxel]) == mixed[0]


def test_stored_blocks_are_those_of_cloud_volume(tmp_path: Path) -> None:
    """Objects have the names and, but for the level of compression, the bytes that cloud-volume gives them, where a
    volume begins below 0 and ends within a chunk; and it reads them back. Written again they are the same."""
    from cloudvolume import CloudVolume

    low, size, chunk = (-7, 3, 10), (150, 70, 40), (64, 64, 32)
    voxels = np.random.default_rng(0).integers(0, 5, size).astype(np.uint64) << np.uint64(50)
    folders = {name: tmp_path / name for name in ("ours", "theirs")}
    for folder in folders.values():
        begin_volume(Segmentation("-", f"file://{folder}", low, size, chunk, RESOLUTION), "-")
    ours, theirs = VoxelVolume(f"precomputed://file://{folders['ours']}"), _opened(CloudVolume, folders["theirs"])
    assert stored_block(chunk) == chunk
    for x, y, z in np.ndindex(3, 2, 2):
        start, end = Segmentation("-", "-", low, size, chunk, RESOLUTION).box(x, y, z)
        box = tuple(slice(a - b, c - b) for a, b, c in zip(start, low, end, strict=True))
        for _ in range(2):
            ours.write(start, voxels[box])
        place = tuple(itertools.starmap(slice, zip(start, end, strict=True)))
        theirs[place] = np.asfortranarray(voxels[box])[..., None]
    stored = {name: _stored(folder) for name, folder in folders.items()}
    assert len(stored["ours"]) == 12 and stored["ours"] == stored["theirs"]
    assert (np.asarray(_opened(CloudVolume, folders["ours"])[:])[..., 0] == voxels).all()


def _opened(volume: Any, folder: Path) -> Any:
    return volume(f"file://{folder}", progress=False, compress="gzip")


def _stored(folder: Path) -> dict[str, bytes]:
    return {path.name: gzip.decompress(path.read_bytes()) for path in folder.glob("*_*_*/*")}
