"""Volumes of voxels, read and written by boxes through cloud-volume.

Invariants: a box comes back whole, or an error says why: DataError for what is damaged or not there, anything else
as libraries raise it, which says nothing of the data. Blocks of a volume that is written do not reach over
chunk borders, so no two chunks write one object; the same voxels are written as the same bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.plan.grid import Chunk
from shared.plan.segmentation import Segmentation, Triple
from shared.version import VERSION
from shared.voxels.reading import BadBlock, at_once, files_below, read_box

LONGEST = (128, 128, 64)
"""Voxels of a stored block, at most: some MiB, which viewers load at once."""
SHORTEST = 32
"""Along an axis; below it the chunk's own length is taken, as so small blocks are too many objects."""

ENCODING, COMPRESSION = "compressed_segmentation", "gzip"
"""What every viewer reads; compresso and crackle are smaller and need codecs that not all have."""
COMPRESSION_LEVEL = 6
"""Of gzip. The 9 that cloud-volume has takes four times as long, for 1 % of the bytes."""

CACHED = "max-age=3600, s-max-age=3600"
"""How long what reads a block may keep it; as cloud-volume says it."""

Voxels = npt.NDArray[Any]


def stored_block(chunk_size: Triple) -> Triple:
    """The blocks of a volume that is written by chunks: of each axis the longest part that divides the chunk's."""
    x, y, z = (_divisor(length, longest) for length, longest in zip(chunk_size, LONGEST, strict=True))
    return x, y, z


def _divisor(length: int, longest: int) -> int:
    if length <= longest:
        return length
    found = next(part for part in range(longest, 0, -1) if length % part == 0)
    if found >= SHORTEST:
        return found
    return next(part for part in range(longest, length + 1) if length % part == 0)


def volume_info(segmentation: Segmentation) -> dict[str, Any]:
    """The `info` of the volume that a segmentation is cut into (source: the precomputed format of Neuroglancer)."""
    from cloudvolume import CloudVolume  # imported here since it takes seconds

    info: dict[str, Any] = CloudVolume.create_new_info(
        num_channels=1,
        layer_type="segmentation",
        data_type="uint64",
        encoding=ENCODING,
        resolution=[int(nm) if nm == int(nm) else nm for nm in segmentation.resolution],
        voxel_offset=list(segmentation.low),
        volume_size=list(segmentation.size),
        chunk_size=list(stored_block(segmentation.chunk_size)),
    )
    return info


@dataclass(frozen=True)
class VoxelVolume:
    """A volume at one mip level; `fill_missing` takes blocks that are not there for 0."""

    location: str
    mip: int = 0
    fill_missing: bool = False

    @cached_property
    def _volume(self) -> Any:
        from cloudvolume import CloudVolume

        return CloudVolume(
            self.location,
            mip=self.mip,
            fill_missing=self.fill_missing,
            bounded=True,
            progress=False,
            cache=False,
            compress=COMPRESSION,
        )

    def read(self, low: Triple, high: Triple, chunk: Chunk) -> npt.NDArray[Any]:
        """The voxels of a box, (x, y, z) or (x, y, z, channels), which `chunk` is built from.

        DataError for blocks that are damaged or not there; Unreachable for a volume that is not there any more.
        """
        try:
            voxels = read_box(self._volume, self.mip, low, high)
        except BadBlock as error:
            raise DataError(self.location, chunk, self._told(error)) from error
        except Exception:
            # Opened anew next time: what it holds, as a key, may be what is wrong.
            self.__dict__.pop("_volume", None)
            raise
        return voxels[..., 0] if voxels.shape[3] == 1 else voxels

    def _told(self, error: BadBlock) -> str:
        told = f"its block {error.name} {error.reason}"
        if error.missing:
            told += "; where missing blocks are background, set chunkedgraph_ingest.segmentation.fill_missing"
        return told

    def write(self, low: Triple, voxels: npt.NDArray[np.uint64]) -> None:
        """Stores the voxels of a chunk, (x, y, z), from its lower corner on, which is that of a block."""
        meta = self._volume.meta
        folder, part = meta.key(self.mip), meta.compressed_segmentation_block_size(self.mip)
        blocks = packed_blocks(low, voxels, tuple(map(int, meta.chunk_size(self.mip))), part)
        files = [{"path": f"{folder}/{name}", "content": content} for name, content in blocks]
        how = {"compress": COMPRESSION, "content_type": "application/octet-stream", "cache_control": CACHED}
        for some in at_once(meta.cloudpath, files):
            files_below(meta.cloudpath).puts(some, raw=True, **how)


def packed_blocks(
    low: Triple, voxels: Voxels, stored: Sequence[int], part: Sequence[int] = (8, 8, 8)
) -> Iterator[tuple[str, bytes]]:
    """The objects of a chunk's voxels, from its lower corner on, by name: blocks of `stored` voxels, as bytes;
    `part` are the voxels of a part of a block in compressed_segmentation, which is 8 along each axis here."""
    return ((name, _stored(block, part)) for name, block in _blocks(low, voxels, stored))


def _blocks(low: Triple, voxels: Voxels, stored: Sequence[int]) -> Iterator[tuple[str, Voxels]]:
    """The blocks of a chunk's voxels with the names of their objects."""
    starts = (range(0, length, step) for length, step in zip(voxels.shape, stored, strict=True))
    for corner in itertools.product(*starts):
        block = voxels[tuple(slice(at, at + step) for at, step in zip(corner, stored, strict=True))]
        sides = zip(low, corner, block.shape, strict=True)
        yield "_".join(f"{origin + at}-{origin + at + length}" for origin, at, length in sides), block


def _stored(block: Voxels, part: Sequence[int]) -> bytes:
    """What is stored of a block. cloud-volume would do the same, but at a level of its own."""
    from cloudfiles.compression import compress

    found: bytes = compress(encoded_block(block, part), COMPRESSION, COMPRESSION_LEVEL)
    return found


def encoded_block(block: Voxels, part: Sequence[int] = (8, 8, 8)) -> bytes:
    """A block (x, y, z) of labels as compressed_segmentation, with a table of labels for each `part`."""
    from cloudvolume.chunks import encode_compressed_segmentation

    found: bytes = encode_compressed_segmentation(np.asfortranarray(block)[..., None], part)
    return found


def begin_volume(segmentation: Segmentation, date: str) -> None:
    """Writes `info` and `provenance` of the volume that a segmentation is cut into."""
    from cloudvolume import CloudVolume

    volume: Any = CloudVolume(
        segmentation.watershed, info=volume_info(segmentation), progress=False, cache=False, compress=COMPRESSION
    )
    volume.commit_info()
    volume.provenance.description = "supervoxels of a chunked graph, cut by chunks"
    volume.provenance.sources = [
        location for location in (segmentation.supervoxels, segmentation.objects) if location is not None
    ]
    volume.provenance.processing = [
        {"method": {"task": "chunkedgraph-ingest", "version": VERSION, "mip": segmentation.mip}, "date": date}
    ]
    volume.commit_provenance()
