"""Damage to everything that the pipeline reads: input files, messages, hand-offs and the run record.

Each generator yields (kind, damaged bytes) from whole ones and a source of chance; the same seed gives
the same damage. Kinds say what was done, not what has to come of it: that is for `facts` and the tests
to say, as damage can by chance leave something well-formed.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import methodcaller
from random import Random
from typing import Any

import zstandard

from shared.inputs.schema import ChunkEdgesMessage, ComponentsMessage
from shared.plan.grid import Chunk, neighbour
from shared.plan.ids import IdLayout
from tests.volumes import Volume

LISTS = ("in_chunk", "between_chunk", "cross_chunk")
COLUMNS = ("node_ids1", "node_ids2", "affinities", "areas")
BIG = (1 << 31, 1 << 53, (1 << 63) - 1, 1 << 63, (1 << 64) - 1, 10**30)
PATHS = (
    "../other",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    "a\0b",
    "%2e%2e%2fa",
    "a\\b",
    "gs://b/c",
    "a b",
    "",
    "é",
    "$(id)",
)


@dataclass(frozen=True)
class Damage:
    """Files that stand in place of the volume's own; None: no such file."""

    kind: str
    files: dict[str, bytes | None]


# ---- bytes of any kind


def flipped(data: bytes, rng: Random) -> bytes:
    """One to three bits the other way."""
    raw = bytearray(data)
    for _ in range(rng.randint(1, 3)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    return bytes(raw)


def truncated(data: bytes, rng: Random) -> bytes:
    """A beginning of the file."""
    return data[: rng.randrange(len(data))]


def raw_damage(data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """What happens to any file, whatever is in it."""
    for _ in range(14):
        yield "bits flipped", flipped(data, rng)
    for _ in range(7):
        yield "cut off", truncated(data, rng)
    at = rng.randrange(len(data))
    yield "bytes lost", data[:at] + data[at + rng.randint(1, 9) :]
    yield "bytes doubled", data[:at] + data[max(0, at - 5) :]
    yield "zeros in the middle", data[:at] + bytes(min(512, len(data) - at)) + data[at + 512 :]
    yield "bytes follow", data + rng.randbytes(rng.randint(1, 40))
    yield "twice in one file", data + data
    yield "noise", rng.randbytes(len(data))
    yield "compressed again", gzip.compress(data)
    yield "compressed again", zstandard.compress(data)
    yield "compressed again", bz2.compress(data)
    yield "compressed again", lzma.compress(data)
    yield "compressed again", gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :])
    yield "a pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 1234\n"
    yield "a page", b"<!DOCTYPE html><html><body>503 Service Unavailable</body></html>"
    yield "text", b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>"
    yield "JSON", json.dumps({"chunk": [2, 0, 0, 0]}).encode()


# ---- edge files


class EdgeFile:
    """An edge file taken apart, to be put together differently."""

    def __init__(self, data: bytes) -> None:
        self.message = ChunkEdgesMessage.FromString(zstandard.decompress(data))

    def column(self, of: str, name: str) -> list[int]:
        """A column of 8-byte numbers."""
        raw = getattr(getattr(self.message, of), name)
        return [number for (number,) in struct.iter_unpack("<Q", raw)]

    def pairs(self, of: str) -> list[tuple[int, int]]:
        """Both ends of all edges of a list."""
        return list(zip(self.column(of, "node_ids1"), self.column(of, "node_ids2"), strict=True))

    def set(self, of: str, name: str, numbers: list[int]) -> None:
        """Replaces a column of 8-byte numbers."""
        setattr(getattr(self.message, of), name, b"".join(struct.pack("<Q", number) for number in numbers))

    def add(self, of: str, first: int, second: int) -> None:
        """One edge more."""
        edges = getattr(self.message, of)
        edges.node_ids1 += struct.pack("<Q", first)
        edges.node_ids2 += struct.pack("<Q", second)
        edges.affinities += struct.pack("<f", 0.5)
        edges.areas += struct.pack("<Q", 1)

    def drop(self, of: str, at: int) -> None:
        """One edge less."""
        edges = getattr(self.message, of)
        for name in COLUMNS:
            width = 4 if name == "affinities" else 8
            raw = getattr(edges, name)
            setattr(edges, name, raw[: at * width] + raw[(at + 1) * width :])

    def bytes(self) -> bytes:
        """The file."""
        return zstandard.ZstdCompressor(level=1).compress(self.message.SerializeToString())


def edge_damage(volume: Volume, rng: Random) -> Iterator[Damage]:
    """One round of every kind of damage to edge files."""
    names = sorted(name for name, data in volume.edges.items() if EdgeFile(data).column("in_chunk", "node_ids1"))
    name = rng.choice(names)
    chunk = Chunk(2, *map(int, name.removeprefix("edges_").removesuffix(".proto.zst").split("_")))
    data = volume.edges[name]

    def damage(kind: str, content: bytes | None) -> Damage:
        return Damage(f"edges: {kind}", {name: content})

    for kind, content in raw_damage(data, rng):
        yield damage(kind, content)
    yield damage("no such file", None)
    message = zstandard.decompress(data)
    compress = zstandard.ZstdCompressor(level=1, write_content_size=rng.random() < 0.5).compress
    for _ in range(14):
        yield damage("bits flipped before compression", compress(flipped(message, rng)))
    for _ in range(4):
        yield damage("cut off before compression", compress(truncated(message, rng)))
    yield damage("fields that nobody knows", compress(message + b"\x7a\x03abc"))
    yield damage("a field of another type", compress(message + b"\x0d\x01\x02\x03\x04"))
    yield damage("groups without end", compress(b"\x0b" * 5000))
    yield damage("not compressed", message)

    half = len(message) // 2
    skipped = struct.pack("<II", 0x184D2A5F, 3) + b"abc"
    yield damage("several frames", compress(message[:half]) + skipped + compress(message[half:]) + skipped)
    yield damage("another message behind the first", data + volume.edges[rng.choice(names)])
    yield damage(
        "another message behind the first", message + zstandard.decompress(volume.edges[rng.choice(names)])
    )
    yield damage("nothing", b"")
    for absent in (("affinities",), ("areas",), ("affinities", "areas"), ("node_ids1",), ("node_ids2", "areas")):
        file = EdgeFile(data)
        for of in LISTS:
            for column in absent:
                getattr(file.message, of).ClearField(column)
        yield damage(f"without {' and '.join(absent)}", file.bytes())

    yield damage("another chunk's file", volume.edges[rng.choice([other for other in names if other != name])])
    yield damage("a component file", volume.components[rng.choice(sorted(volume.components))])
    yield from (damage(kind, content) for kind, content in _frames(message))
    yield from (damage(kind, content) for kind, content in _wrong_edges(volume, chunk, data, rng))


def _frames(message: bytes) -> Iterator[tuple[str, bytes]]:
    frame = zstandard.ZstdCompressor(level=1, write_content_size=False).compress(message)
    # Magic, then a descriptor that says: 8 bytes of content size and, as a window, one byte.
    for size in (1 << 20, (1 << 32) - 1, 1 << 40, (1 << 64) - 3, len(message) + 1, max(0, len(message) - 1)):
        yield (
            "a frame of another size than it claims",
            frame[:4] + b"\xc0" + frame[5:6] + struct.pack("<Q", size) + frame[6:],
        )
    yield "a frame with a window of terabytes", frame[:5] + b"\xff" + frame[6:]
    yield "a frame that can be skipped", struct.pack("<II", 0x184D2A50, 8) + bytes(8)
    yield "a frame before the frame", struct.pack("<II", 0x184D2A50, 8) + bytes(8) + frame
    yield "an empty frame", zstandard.compress(b"")
    yield "a frame without its size", frame


def _wrong_edges(volume: Volume, chunk: Chunk, data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    ids = volume.plan.ids
    bits = ids.segment_bits(1)

    def changed(change: Callable[[EdgeFile], None]) -> bytes:
        file = EdgeFile(data)
        change(file)
        return file.bytes()

    inside = rng.choice(EdgeFile(data).column("in_chunk", "node_ids1"))
    segment = inside & (1 << bits) - 1

    def of_chunk(x: int, y: int, z: int, layout: IdLayout = ids, layer: int = 1) -> int:
        return (layout.chunk_id(Chunk(1, x, y, z)) & (1 << 56) - 1 | layer << 56) + segment

    x, y, z = chunk.coords
    far = {
        "an edge to id 0": [0],
        "an edge to a chunk that does not touch": [of_chunk(x + 2, y, z), of_chunk(x + 1, y + 1, z)],
        "an edge to a chunk outside the volume": [of_chunk(x, y, z + 5), of_chunk(1023, 1023, 1023)],
        "an edge within the chunk": [inside],
        "an edge to an id of a wrong layer": [
            of_chunk(*neighbour(chunk, 1).coords, layer=at) for at in (0, 2, 3, 255)
        ],
        "an edge to an id of another dataset": [
            of_chunk(x + 1, y, z, IdLayout(5, spatial_bits=other)) for other in (5, 8, 12)
        ],
        "an edge to a supervoxel that only one side knows": [
            ids.chunk_id(neighbour(chunk, face)._replace(layer=1)) + (1 << bits) - 1
            for face in volume.plan.grid.neighbours(chunk)
        ],
        "an edge to any number": [rng.getrandbits(64), (1 << 64) - 1],
    }
    for kind, ends in far.items():
        for end in ends:
            of = rng.choice(LISTS)
            first, second = (inside, end) if rng.random() < 0.5 else (end, inside)
            yield kind, changed(methodcaller("add", of, first, second))
    stranger = of_chunk(x, y, z, IdLayout(5, spatial_bits=8))
    yield "an edge of another dataset", changed(lambda file: file.add(rng.choice(LISTS), stranger, stranger + 1))
    yield "an edge from id 0 to id 0", changed(lambda file: file.add(rng.choice(LISTS), 0, 0))
    yield "an edge from a supervoxel to itself", changed(lambda file: file.add("in_chunk", inside, inside))

    def again(file: EdgeFile) -> None:
        edge = rng.choice(file.pairs("in_chunk"))
        file.add("in_chunk", *edge)
        file.add("in_chunk", *edge)

    yield "edges twice", changed(again)

    for column in COLUMNS:
        of, size = rng.choice(LISTS), rng.choice((8, 16, 3, 1))

        def uneven(file: EdgeFile, of: str = of, column: str = column, size: int = size) -> None:
            setattr(getattr(file.message, of), column, getattr(getattr(file.message, of), column) + bytes(size))

        yield "unequal columns", changed(uneven)
    for one, other in (
        ("in_chunk", "between_chunk"),
        ("between_chunk", "cross_chunk"),
        ("cross_chunk", "in_chunk"),
    ):

        def swap(file: EdgeFile, first: str = one, second: str = other) -> None:
            kept = getattr(file.message, first).SerializeToString()
            getattr(file.message, first).CopyFrom(getattr(file.message, second))
            getattr(file.message, second).ParseFromString(kept)

        yield "lists in each other's place", changed(swap)
    for affinity in (math.nan, math.inf, -math.inf, -1.0, 1e-45, 3.4e38):

        def affine(file: EdgeFile, affinity: float = affinity) -> None:
            for of in LISTS:
                edges = getattr(file.message, of)
                edges.affinities = struct.pack("<f", affinity) * (len(edges.affinities) // 4)

        yield "affinities that are no numbers", changed(affine)

    def areas(file: EdgeFile) -> None:
        for of in LISTS:
            file.set(of, "areas", [rng.choice(BIG[:5]) for _ in file.column(of, "areas")])

    yield "absurd areas", changed(areas)
    for of in LISTS:
        count = len(EdgeFile(data).column(of, "node_ids1"))
        for at in rng.sample(range(count), min(2, count)):
            yield "an edge lost", changed(methodcaller("drop", of, at))

            def turned(file: EdgeFile, of: str = of, at: int = at) -> None:
                first, second = file.column(of, "node_ids1"), file.column(of, "node_ids2")
                first[at], second[at] = second[at], first[at]
                file.set(of, "node_ids1", first)
                file.set(of, "node_ids2", second)

            yield "an edge the other way round", changed(turned)

            def renamed(file: EdgeFile, of: str = of, at: int = at) -> None:
                column = rng.choice(COLUMNS[:2])
                numbers = file.column(of, column)
                numbers[at] ^= 1 << rng.randrange(64)
                file.set(of, column, numbers)

            yield "an id that differs by one bit", changed(renamed)


# ---- component files


def component_damage(volume: Volume, rng: Random) -> Iterator[Damage]:
    """One round of every kind of damage to component files."""
    names = sorted(name for name, data in volume.components.items() if data)
    name = rng.choice(names)
    data = volume.components[name]
    flat = list(ComponentsMessage.FromString(data).components)
    parts = _parts(flat)

    def damage(kind: str, content: bytes | None) -> Damage:
        return Damage(f"components: {kind}", {name: content})

    def listed(numbers: list[int]) -> bytes:
        return bytes(ComponentsMessage(components=numbers).SerializeToString())

    def components(these: list[list[int]]) -> bytes:
        return listed([number for part in these for number in (len(part), *part)])

    for kind, content in raw_damage(data, rng):
        yield damage(kind, content)
    yield damage("no such file", None)
    yield damage("nothing", b"")
    yield damage("compressed by halves", zstandard.compress(data[:9]) + zstandard.compress(data[9:]))
    yield damage("another chunk's file", volume.components[rng.choice([other for other in names if other != name])])
    yield damage("an edge file", volume.edges[rng.choice(sorted(volume.edges))])
    for part in rng.sample(parts, min(2, len(parts))):
        yield damage("a component twice", components([*parts, part]))
        yield damage("a supervoxel in two components", components([*parts, [rng.choice(part)]]))
        yield damage("a supervoxel twice in one component", components([*parts[1:], parts[0] + parts[0][:1]]))
        yield damage("a component lost", components([other for other in parts if other != part]))
        yield damage("id 0 in a component", components([*parts, [0]]))
        yield damage("ids of another dataset", components([*parts, [number ^ 1 << 50 for number in part]]))
        yield damage("an id that differs by one bit", components([[part[0] ^ 1 << rng.randrange(64), *part[1:]]]))
    yield damage("all in one component", components([sorted({number for part in parts for number in part})]))
    yield damage("components in another order", components(parts[::-1]))
    yield damage("empty components", listed([0, 0, 0, *flat, 0]))
    for count in (len(parts[0]) + 1, len(parts[0]) - 1, *BIG[:5], len(flat), len(flat) - 1):
        yield damage("a length that is wrong", listed([count, *flat[1:]]))
    yield damage("a length and no component", listed([*flat, 3]))
    yield damage("an unpacked list", b"".join(b"\x08" + _varint(number) for number in flat))
    yield damage("a number that never ends", data + b"\x08" + b"\xff" * 40)
    yield damage("fields that nobody knows", data + b"\x7a\x03abc")
    yield damage("a field of another type", data + b"\x0d\x01\x02\x03\x04")
    yield damage("groups without end", b"\x0b" * 5000)


def _parts(flat: list[int]) -> list[list[int]]:
    parts, at = [], 0
    while at < len(flat):
        parts.append(flat[at + 1 : at + 1 + flat[at]])
        at += 1 + flat[at]
    return [part for part in parts if part]


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


# ---- messages


def message_damage(data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """One round of every kind of damage to a queue message."""
    fields = json.loads(data)

    def changed(**values: Any) -> bytes:
        return json.dumps(fields | values).encode()

    yield from raw_damage(data, rng)
    for path in PATHS:
        yield "a path for a name", changed(**{rng.choice(("graph", "run")): path})
    wrong: tuple[Any, ...] = (None, True, 1.0, 1.5, "1", [1], {"a": 1}, -1, math.nan, math.inf, *BIG)
    for value in wrong:
        yield "a wrong type or number", changed(**{rng.choice(("layer", "x", "y", "z")): value})
    for value in (None, 1, True, [], {}, "a" * 64, "\ud800", "0", "x\n"):
        yield "a wrong name", changed(**{rng.choice(("graph", "run")): value})
    for coords in ((2, 999, 0, 0), (2, 0, 0, 2**30), (7, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 0), (2**30, 0, 0, 0)):
        yield "a chunk that is not there", changed(**dict(zip(("layer", "x", "y", "z"), coords, strict=True)))
    yield "another run", changed(run="older")
    yield "another graph", changed(graph="other")
    lost = rng.choice(sorted(fields))
    yield "a field lost", json.dumps({key: value for key, value in fields.items() if key != lost}).encode()
    yield "a field more", changed(path="/etc/passwd")
    yield "deep JSON", b"[" * 1000
    yield "deep JSON", b'{"a":' * 200
    yield "much deeper JSON", b"[" * 1_000_000
    yield "long", changed(graph="g" * 5_000_000)
    yield "a number of 900 digits", data.replace(b'"x":', b'"x":' + b"9" * 900, 1)
    yield "JSON but no object", rng.choice((b"[]", b"1", b"null", b'"x"', b"true"))
    yield "a pickle", b"\x80\x04cos\nsystem\n(S'echo'\ntR."
    yield "nothing", b""
    yield "other letters for the same", data.decode().encode("utf-16")
    yield "digits of another script", data.replace(b'"x":', b'"x":\xd9\xa1', 1)


# ---- hand-offs


def handoff_damage(data: bytes, others: list[bytes], rng: Random) -> Iterator[tuple[str, bytes]]:
    """One round of every kind of damage to a hand-off; `others` are those of other chunks."""
    yield from raw_damage(data, rng)
    yield "another chunk's hand-off", rng.choice(others)
    yield "nothing", b""
    file = HandOffFile(data)
    for what, numbers in REFUSED.items():
        for number in numbers:
            for value in {0, 1, 7, 1 << 20, 1 << 31, file.numbers[number] + 1} - {file.numbers[number]}:
                yield f"header: {what}", file.changed(number, value)
    for number in (*ENDS, 5):
        for value in (1 << 40, 1 << 62, (1 << 64) - 1):
            yield "header: a huge count", file.changed(number, value)
    for totals in TOTALS:
        yield "header: wrong totals", file.with_totals(totals.encode())
    for name, content in file.columns.items():
        yield "a column longer than it claims", file.filled(name, content + bytes(8))
        yield "a column that ends early", file.filled(name, content[:-4])
    yield "deep JSON", file.with_totals(b'{"2":' + b"[" * 200_000)
    yield "a number of 9,000 digits", file.with_totals(b'{"2":{"nodes":' + b"9" * 9_000)
    yield "no JSON", file.with_totals(b"\xff\xfe\x00")
    yield "a header that claims to be long", data[:5] + struct.pack("<I", 0xFFFFFFFF) + data[9:]


def handoff_forgery(data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """Hand-offs whose checksums fit and whose columns, or what belongs to which face, are something else."""
    file = HandOffFile(data)
    for name, content in file.columns.items():
        width = WIDTHS[name]
        numbers = [content[at : at + width] for at in range(0, len(content), width)]
        forged = {
            "is noise": rng.randbytes(len(content)),
            "has huge numbers": b"\xff" * len(content),
            "has zeros": bytes(len(content)),
            "is turned round": b"".join(reversed(numbers)),
            "has the same number everywhere": numbers[0] * len(numbers),
        }
        for what, other in forged.items():
            if other != content:
                yield f"{name} {what}", file.filled(name, other)
    for number in ENDS:
        for value in {0, 1, file.numbers[number] + 1, 2 * file.numbers[number]} - {file.numbers[number]}:
            yield "a face ends elsewhere", file.changed(number, value)


WIDTHS = {"nodes": 8, "far": 8, "old": 8, "near": 4, "new": 4}
"""Bytes of a number in a column."""
CHUNK, NODES, ENDS, CHECKSUM = range(4), 5, range(7, 19), 31
"""Which numbers of a header are the chunk, the count of nodes, where each face ends, and the columns' checksum."""
REFUSED = {"another chunk": CHUNK, "a wrong count": [NODES], "a wrong checksum": [CHECKSUM]}
TOTALS = (
    "null",
    "[]",
    "5",
    '{"a":{}}',
    '{"2":5}',
    '{"2":{"x":"y"}}',
    '{"-1":{}}',
    '{"2":{"x":-1}}',
    '{"2":{"x":1.5}}',
)


class HandOffFile:
    """A small hand-off taken apart, to be put together with checksums that fit."""

    def __init__(self, data: bytes) -> None:
        (length,) = struct.unpack_from("<I", data, 5)
        self.prefix, fixed = data[:5], struct.Struct("<4I33Q")
        self.numbers = list(fixed.unpack_from(data, 13))
        self.totals = data[13 + fixed.size : 13 + length]
        counts = (self.numbers[NODES], *(self.numbers[12], self.numbers[18]) * 2)
        self.columns, at = {}, 13 + length
        for (name, width), count in zip(WIDTHS.items(), counts, strict=True):
            self.columns[name], at = data[at : at + count * width], at + count * width
        self.columns = {name: content for name, content in self.columns.items() if content}

    @property
    def faces(self) -> int:
        """How many faces have edges."""
        return len({end for end in self.numbers[7:13] if end})

    def changed(self, number: int, value: int) -> bytes:
        """The file with another number in its header."""
        numbers = list(self.numbers)
        numbers[number] = value
        return self._bytes(numbers, self.totals, self.columns)

    def with_totals(self, totals: bytes) -> bytes:
        """The file with other totals."""
        return self._bytes(self.numbers, totals, self.columns)

    def filled(self, name: str, content: bytes) -> bytes:
        """The file with another content of one column, and its checksum."""
        columns = self.columns | {name: content}
        numbers = list(self.numbers)
        numbers[CHECKSUM] = zlib.crc32(b"".join(columns.values()))
        return self._bytes(numbers, self.totals, columns)

    def _bytes(self, numbers: list[int], totals: bytes, columns: dict[str, bytes]) -> bytes:
        header = struct.pack("<4I33Q", *numbers) + totals
        start = self.prefix + struct.pack("<I", len(header))
        checksum = zlib.crc32(header, zlib.crc32(start + bytes(4)))
        return start + struct.pack("<I", checksum) + header + b"".join(columns.values())


# ---- run records


def record_damage(data: bytes, rng: Random) -> Iterator[tuple[str, bytes]]:
    """One round of every kind of damage to a run record."""
    fields = json.loads(data)
    yield from raw_damage(data, rng)
    for key in fields:
        yield "a field lost", json.dumps({name: value for name, value in fields.items() if name != key}).encode()
        wrong: tuple[Any, ...] = (None, True, -1, 0, 1.5, "x", [], {}, math.nan, math.inf, 10**30)
        for value in (other for other in wrong if type(other) is not type(fields[key]) or key not in ANYTHING):
            yield "a wrong type or number", json.dumps(fields | {key: value}).encode()
    for shape in (
        [1, 2],
        [1, 2, 3, 4],
        [0, 1, 1],
        [1, -1, 1],
        [1.5, 1, 1],
        ["2", 1, 1],
        [1 << 40, 1, 1],
        [True, 1, 1],
    ):
        yield "an impossible shape", json.dumps(fields | {"shape": shape}).encode()
    for path in PATHS:
        yield "a path for a name", json.dumps(fields | {rng.choice(("graph", "run", "table")): path}).encode()
    yield "a field more", json.dumps(fields | {"more": 1}).encode()
    yield "deep JSON", b"[" * 100_000
    yield "JSON but no object", rng.choice((b"[]", b"1", b"null", b'"x"', b"true"))
    yield "nothing", b""


ANYTHING = {"instance", "edges", "components", "dataset", "test", "auto_queue_parents"}
"""Fields that may have more than one value of their type."""
