"""Reads a box of voxels block by block, as a volume stores them: as objects of their own, or in shards.

Why not by cloud-volume's own cut-outs: they take an empty object for one that is not there, unpack whatever an
object says, and decode it unseen (shared.voxels.stored). Its ways to names, shards and buckets are used.
Invariants: what is wrong with what is stored is a BadBlock; any other error says nothing of the data.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from shared.errors import Unreachable
from shared.plan.segmentation import Triple
from shared.voxels.stored import BlockFormat

Voxels = npt.NDArray[Any]
Item = TypeVar("Item")

THREADS = 20
"""Blocks of a bucket that are read or written at once."""


class BadBlock(Exception):
    """A block that is damaged, or `missing`."""

    def __init__(self, name: str, reason: str, missing: bool = False) -> None:
        super().__init__(f"{name} {reason}")
        self.name, self.reason, self.missing = name, reason, missing


@dataclass(frozen=True)
class _Block:
    """A stored block: its place in the grid of blocks, and its lower and upper corner in voxels."""

    at: Triple
    low: Triple
    high: Triple

    @property
    def name(self) -> str:
        """The name of its object, where it has one."""
        return "_".join(f"{low}-{high}" for low, high in zip(self.low, self.high, strict=True))

    @property
    def shape(self) -> Triple:
        """Its voxels along each axis."""
        x, y, z = (high - low for low, high in zip(self.low, self.high, strict=True))
        return x, y, z


def read_box(volume: Any, mip: int, low: Triple, high: Triple) -> Voxels:
    """The voxels (x, y, z, channels) of a box of an open `volume`, 0 in missing blocks if it fills those.

    BadBlock; Unreachable if the volume is gone; whatever cloud-volume and cloud-files raise.
    """
    from cloudvolume.frontends.precomputed import CloudVolumePrecomputed

    if not isinstance(volume, CloudVolumePrecomputed):
        return np.asarray(volume[tuple(map(slice, low, high))])
    meta, bounds = volume.meta, volume.meta.bounds(mip)
    box = zip(low, high, bounds.minpt, bounds.maxpt, strict=True)
    if any(start < least or end > most for start, end, least, most in box):
        raise BadBlock(f"of {low} to {high}", f"is not within the volume, which has {bounds} by now")
    form = BlockFormat(meta.encoding(mip), np.dtype(meta.dtype), _part(meta, mip))
    sides = [end - start for start, end in zip(low, high, strict=True)]
    found = np.zeros((*sides, meta.num_channels), form.dtype, order="F")
    blocks = {block.name: block for block in _blocks(meta, mip, low, high)}
    stored = _from_shards(volume, mip, blocks) if volume.image.is_sharded(mip) else _objects(meta, mip, blocks)
    missing = None
    for name, data, packing in stored:
        block = blocks[name]
        if data is None:
            missing = name
            continue
        try:
            voxels = form.decoded(data, packing, (*block.shape, meta.num_channels))
        except ValueError as error:
            raise BadBlock(f"{meta.key(mip)}/{name}", f"cannot be read: {error}") from error
        _put(found, voxels, low, high, block)
    if missing is not None:
        _need_volume(volume)
        if not volume.fill_missing:
            raise BadBlock(f"{meta.key(mip)}/{missing}", "is not there", missing=True)
    return found


def _part(meta: Any, mip: int) -> Triple:
    x, y, z = meta.compressed_segmentation_block_size(mip) or (8, 8, 8)
    return int(x), int(y), int(z)


def _blocks(meta: Any, mip: int, low: Triple, high: Triple) -> Iterator[_Block]:
    """The blocks that a box meets; they begin at the lower corner of the volume, and end at its upper one."""
    bounds, size = meta.bounds(mip), [int(side) for side in meta.chunk_size(mip)]
    least, most = ([int(at) for at in corner] for corner in (bounds.minpt, bounds.maxpt))
    axes = list(zip(low, high, least, size, strict=True))
    numbers = [range((start - origin) // side, -(-(end - origin) // side)) for start, end, origin, side in axes]
    for x, y, z in itertools.product(*numbers):
        at = (x, y, z)
        begins = [origin + number * side for number, origin, side in zip(at, least, size, strict=True)]
        ends = [min(begin + side, end) for begin, side, end in zip(begins, size, most, strict=True)]
        yield _Block(at, (begins[0], begins[1], begins[2]), (ends[0], ends[1], ends[2]))


Stored = Iterator[tuple[str, bytes | None, str | None]]
"""Names of blocks, their bytes, None where there are none, and how these are packed."""


def files_below(folder: str) -> Any:
    """The objects below a folder."""
    from cloudfiles import CloudFiles

    return CloudFiles(folder, progress=False, num_threads=THREADS)


def at_once(folder: str, items: Sequence[Item]) -> Iterator[list[Item]]:
    """What is asked of cloud-files in one call: all of a bucket, and each alone of a disk, where it would have a
    thread do that, and look at it ten times a second."""
    step = 1 if folder.partition("://")[0] in ("file", "mem") else max(1, len(items))
    return (list(items[at : at + step]) for at in range(0, len(items), step))


def _objects(meta: Any, mip: int, blocks: dict[str, _Block]) -> Stored:
    files = files_below(meta.join(meta.cloudpath, meta.key(mip)))
    for names in at_once(meta.cloudpath, list(blocks)):
        for answer in files.get(names, raw=True):
            yield answer["path"], answer["content"], answer["compress"]


_SHARD_DAMAGE = (ValueError, IndexError, EOFError, zlib.error)
"""What libraries raise, beside errors of their own, at an index that says what cannot be."""


def _from_shards(volume: Any, mip: int, blocks: dict[str, _Block]) -> Stored:
    from cloudfiles import exceptions as files
    from cloudvolume import exceptions as volumes
    from cloudvolume.datasource.precomputed.common import compressed_morton_code

    meta, spec = volume.meta, volume.image.shard_spec(mip)
    sides = zip(meta.volume_size(mip), meta.chunk_size(mip), strict=True)
    grid = np.array([-(-int(length) // int(side)) for length, side in sides], np.uint32)
    codes = {int(compressed_morton_code(block.at, grid)): name for name, block in blocks.items()}
    try:
        found = volume.image.shard_reader(mip).get_data(list(codes), meta.key(mip), progress=False, raw=True)
    except (
        ValueError,
        IndexError,
        EOFError,
        volumes.DecodingError,
        volumes.SpecViolation,
        files.DecompressionError,
    ) as e:
        told = f"is in a shard that cannot be read ({type(e).__name__}: {e!s:.200})"
        raise BadBlock(f"{meta.key(mip)}/{next(iter(blocks))}", told) from e
    for code, data in found.items():
        yield codes[int(code)], data, None if spec.data_encoding == "raw" else spec.data_encoding


def _put(found: Voxels, voxels: Voxels, low: Triple, high: Triple, block: _Block) -> None:
    into, of = [], []
    for start, end, least, most in zip(low, high, block.low, block.high, strict=True):
        begin, stop = max(start, least), min(end, most)
        into.append(slice(begin - start, stop - start))
        of.append(slice(begin - least, stop - least))
    found[tuple(into)] = voxels[tuple(of)]


def _need_volume(volume: Any) -> None:
    """Unreachable if the volume is gone: then blocks that are not there say nothing of what was there."""
    if files_below(volume.meta.cloudpath).get("info", raw=True) is None:
        raise Unreachable(f"{volume.cloudpath}: it was a volume, and its info is not there any more")
