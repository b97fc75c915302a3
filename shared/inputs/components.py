"""Component files: `components_{x}_{y}_{z}.proto`, what the agglomeration joined around a chunk.

A protobuf message, packed or not, with the flat list [n, id_1 .. id_n, n', id'_1 ..] (source: PyChunkedGraph's
chunkComponents.proto). Invariants: an id is in one component at most; a file that says otherwise
is refused, since whether an edge is active would depend on the order of reading.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from shared.errors import DataError
from shared.inputs.names import COMPONENTS
from shared.inputs.packing import unpacked
from shared.inputs.schema import ComponentsMessage, parsed
from shared.plan.grid import Chunk
from shared.plan.ids import NO_IDS, Ids


def components_name(chunk: Chunk) -> str:
    """The name of a layer-2 chunk's component file."""
    return COMPONENTS.name(chunk)


@dataclass(frozen=True)
class Components:
    """The component of every listed supervoxel: `ids` sorted (n,) uint64, `labels` (n,) int64 from 0."""

    ids: Ids = field(default_factory=lambda: NO_IDS)
    labels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))

    def labels_of(self, ids: Ids) -> npt.NDArray[np.int64]:
        """The component of each id, -1 for those that are not listed; same shape as `ids`."""
        if not len(self.ids):
            return np.full(ids.shape, -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[at] == ids, self.labels[at], -1)

    def same(self, pairs: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Whether both ends of each pair (n, 2) are listed, and in the same component."""
        labels = self.labels_of(pairs)
        same: npt.NDArray[np.bool_] = (labels[:, 0] == labels[:, 1]) & (labels[:, 0] >= 0)
        return same


def decode_components(data: bytes | None, file: str, chunk: Chunk) -> Components:
    """The components in a file's bytes; None stands for a missing file, which means none.

    Raises DataError, naming `file` and `chunk`, for anything that is not such a file.
    """
    if data is None:
        return Components()
    try:
        message = parsed(ComponentsMessage, unpacked(data))
    except (DecodeError, ValueError) as error:
        raise DataError(file, chunk, f"not a Components message ({error})") from error
    flat = np.array(message.components, dtype=np.uint64)
    heads = _heads(flat, file, chunk)
    listed = np.ones(len(flat), dtype=bool)
    listed[heads] = False
    ids = flat[listed]
    labels = np.repeat(np.arange(len(heads)), flat[heads].view(np.int64))
    order = np.argsort(ids)
    ids, labels = ids[order], labels[order]
    again = ids[1:] == ids[:-1]
    if not again.any():
        return Components(ids, labels)
    clash = np.flatnonzero(again & (labels[1:] != labels[:-1]))
    if len(clash):
        raise DataError(file, chunk, f"supervoxel {ids[clash[0]]} is in two components")
    first = np.concatenate([[True], ~again])
    return Components(ids[first], labels[first])


def encode_components(components: Iterable[Ids]) -> bytes:
    """The bytes of a component file with the given components, each an array of supervoxel ids."""
    message = ComponentsMessage()
    for ids in components:
        message.components.append(len(ids))
        message.components.extend(ids.tolist())
    data: bytes = message.SerializeToString()
    return data


def _heads(flat: Ids, file: str, chunk: Chunk) -> npt.NDArray[np.int64]:
    """Positions of the lengths in the flat list; DataError if they do not end where it ends."""
    heads: list[int] = []
    counts = flat.tolist()
    at = 0
    while at < len(counts):
        heads.append(at)
        at += counts[at] + 1
    if at != len(counts):
        raise DataError(
            file,
            chunk,
            f"component {len(heads) - 1} claims {counts[heads[-1]]} supervoxels, "
            f"{at - len(counts)} more than the file has",
        )
    return np.array(heads, dtype=np.int64)
