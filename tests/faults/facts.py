"""What input files say, read by the rules of the format alone, one number at a time.

The judge over damaged input: files that break a rule must end in an error, files that are whole must
give the oracle's table, and where two files contradict each other the pipeline has to say so.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from collections import defaultdict
from dataclasses import dataclass, field

import zstandard
from google.protobuf.message import DecodeError

from shared.inputs.components import components_name
from shared.inputs.edges import edges_name
from shared.inputs.schema import ChunkEdgesMessage, ComponentsMessage
from shared.plan.grid import Chunk
from shared.plan.plan import Plan
from tests.volumes import Edge, Volume

WIDTHS = {"node_ids1": 8, "node_ids2": 8, "affinities": 4, "areas": 8}


class Invalid(Exception):
    """A file breaks a rule of the format."""


@dataclass
class Facts:
    """Supervoxels and active edges by what the files say; `sides` has each edge once for each chunk
    that knows it, its own end first."""

    supervoxels: set[int] = field(default_factory=set)
    sides: set[Edge] = field(default_factory=set)
    inside: set[Edge] = field(default_factory=set)

    @property
    def active(self) -> set[Edge]:
        """All active edges."""
        return self.sides | self.inside

    @property
    def agree(self) -> bool:
        """Whether each edge between two chunks stands in both chunks' files."""
        return all((far, near) in self.sides for near, far in self.sides)


def facts_of(volume: Volume) -> Facts:
    """All that the files of a volume say; Invalid if one of them breaks a rule."""
    plan, facts = volume.plan, Facts()
    listed = {chunk: _components(volume.components.get(components_name(chunk))) for chunk in plan.grid.chunks(2)}
    for chunk in plan.grid.chunks(2):
        lists = _edges(volume.edges.get(edges_name(chunk)))
        for pair in lists["in_chunk"]:
            if not all(_chunk(plan, end) == chunk for end in pair):
                raise Invalid(f"{pair} is not in {chunk}")
            facts.supervoxels.update(pair)
            if _same(listed[chunk], pair):
                facts.inside.add(pair)
        for kind in ("between_chunk", "cross_chunk"):
            for pair in lists[kind]:
                near, far = pair if _chunk(plan, pair[0]) == chunk else pair[::-1]
                other = _chunk(plan, far)
                if (
                    other is None
                    or _chunk(plan, near) != chunk
                    or other not in plan.grid.neighbours(chunk).values()
                ):
                    raise Invalid(f"{pair} does not lead from {chunk} to a neighbour")
                facts.supervoxels.add(near)
                if kind == "cross_chunk" or _same(listed[min(chunk, other)], pair):
                    facts.sides.add((near, far))
    return facts


def _chunk(plan: Plan, end: int) -> Chunk | None:
    """The layer-2 chunk of a supervoxel, None for an id that is none."""
    return plan.ids.chunk_of(end)._replace(layer=2) if end >> 56 == 1 else None


def _same(parts: dict[int, int], pair: Edge) -> bool:
    return pair[0] in parts and parts.get(pair[0]) == parts.get(pair[1])


def _components(data: bytes | None) -> dict[int, int]:
    """The component of each listed id."""
    try:
        message = ComponentsMessage.FromString(_content(data or b""))
    except DecodeError as error:
        raise Invalid("components") from error
    flat = list(message.components)
    if not flat and message.ByteSize():
        raise Invalid("components: another message")
    parts: dict[int, int] = {}
    at = 0
    while at < len(flat):
        ids = flat[at + 1 : at + 1 + flat[at]]
        if len(ids) != flat[at] or any(parts.setdefault(one, at) != at for one in ids):
            raise Invalid("components")
        at += 1 + flat[at]
    return parts


def _edges(data: bytes | None) -> dict[str, list[Edge]]:
    """The pairs of each list."""
    if data is None:
        return defaultdict(list)
    content = _content(data)
    try:
        message = ChunkEdgesMessage.FromString(content)
    except DecodeError as error:
        raise Invalid("edges") from error
    if message.ByteSize() < len(content):
        raise Invalid("edges: a list that counts twice")
    if not message.ListFields() and message.ByteSize():
        raise Invalid("edges: another message")
    lists = {}
    for kind in ("in_chunk", "between_chunk", "cross_chunk"):
        columns = {name: getattr(getattr(message, kind), name) for name in WIDTHS}
        count = len(columns["node_ids1"]) // 8
        absent = ("affinities", "areas")
        wrong = (name for name, raw in columns.items() if len(raw) != count * WIDTHS[name])
        if any(name not in absent or columns[name] for name in wrong):
            raise Invalid(f"edges: {kind} has unequal columns")
        first, second = (_numbers(columns[name]) for name in ("node_ids1", "node_ids2"))
        lists[kind] = list(zip(first, second, strict=True))
    return lists


def _content(data: bytes) -> bytes:
    """What is packed in a file; Invalid for what is cut off, or followed by what is no part of it."""
    try:
        if data[:2] == b"\x1f\x8b":
            return _content(gzip.decompress(data))
        if data[:3] == b"BZh":
            return _content(bz2.decompress(data))
        if data[:6] == b"\xfd7zXZ\0":
            return _content(lzma.decompress(data))
        if data[:4] == zstandard.FRAME_HEADER or data[1:4] == b"\x2a\x4d\x18":
            return _content(_frames(data))
    except (zstandard.ZstdError, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
        raise Invalid("not whole") from error
    return data


def _frames(data: bytes) -> bytes:
    found = []
    while data:
        if 0x50 <= data[0] <= 0x5F and data[1:4] == b"\x2a\x4d\x18" and len(data) >= 8:
            length = 8 + int.from_bytes(data[4:8], "little")
            if length > len(data):
                raise Invalid("a frame that is cut off")
            data = data[length:]
            continue
        if not data.startswith(zstandard.FRAME_HEADER):
            raise Invalid("not a frame")
        frame, claimed = zstandard.ZstdDecompressor().decompressobj(), zstandard.frame_content_size(data)
        found.append(frame.decompress(data))
        if not frame.eof or claimed not in (-1, len(found[-1])):
            raise Invalid("a frame that is not whole")
        data = frame.unused_data
    if not found:
        raise Invalid("no frame")
    return found[0] if len(set(found)) == 1 else b"".join(found)


def _numbers(raw: bytes) -> list[int]:
    return [int.from_bytes(raw[at : at + 8], "little") for at in range(0, len(raw), 8)]
