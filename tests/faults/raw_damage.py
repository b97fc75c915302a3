"""Damage to raw agglomeration output, and what raw output says, read by the rules of the format alone.

shard_damage      other bytes in the place of one shard
forged_damage     shards that are well-formed, with other claims in their index or header
record_damage     well-formed shards with other records in them
"""

from __future__ import annotations

import copy
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from zlib import crc32

import numpy as np

from jobs.example.shards import PAIRS, RawFiles, face_shards, inside_shards, remap_names
from shared.plan.grid import Chunk
from shared.plan.ids import IdLayout
from tests.faults.damage import raw_damage
from tests.faults.facts import Facts, Invalid
from tests.raw_shards import oracle_components, oracle_edges

BIG = (1 << 20, (1 << 31) - 1, 1 << 32, 1 << 40, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)

Replaced = dict[str, bytes | None]


def shard_damage(raw: RawFiles, rng: Random) -> Iterator[tuple[str, Replaced]]:
    """What happens to any file, to one shard of each kind."""
    files = raw.files()
    for prefix in PREFIXES:
        names = sorted(name for name in files if name.startswith(prefix) and len(files[name]) > 60)
        name = rng.choice(names)
        for kind, data in raw_damage(files[name], rng):
            yield f"{prefix}: {kind}", {name: data}
        yield f"{prefix}: empty", {name: b""}
        for data in _others(files, prefix)[:3]:
            yield f"{prefix}: a shard of another kind", {name: data}
        yield f"{prefix}: never finished", {name: b"SO01" + b"\xff" * 16 + files[name][20:]}


PREFIXES = ("chunked_rg/in_chunk", "chunked_rg/between_chunks", "chunked_rg/fake", "remap/done")


def _filled(raw: RawFiles, prefix: str) -> list[str]:
    """The names of shards of a kind that have records."""
    return sorted(
        name
        for name, entries in raw.entries.items()
        if name.startswith(prefix) and any(len(records) for _, records in entries)
    )


def _others(files: dict[str, bytes], prefix: str) -> list[bytes]:
    """Shards with keys of another length whose index can be told from one of this kind by its own length."""
    single = prefix in (PREFIXES[0], PREFIXES[3])
    wanted, width = (PREFIXES[1], 24) if single else (PREFIXES[0], 32)
    found = [data for name, data in sorted(files.items()) if name.startswith(wanted)]
    return [data for data in found if (int.from_bytes(data[12:20], "little") - 4) % width]


def forged_damage(raw: RawFiles, rng: Random) -> Iterator[tuple[str, Replaced]]:
    """Another claim in the header, or in an index whose checksum fits."""
    files = raw.files()
    for prefix in PREFIXES:
        keys = 1 if prefix in (PREFIXES[0], PREFIXES[3]) else 2
        names = sorted(
            name
            for name, entries in raw.entries.items()
            if name.startswith(prefix) and any(len(e[1]) for e in entries)
        )
        name = rng.choice(names)
        data = files[name]
        offset, length = struct.unpack("<QQ", data[4:20])
        for big in (0, 1, 19, len(data) + 1, *BIG):
            if big != offset:
                yield (
                    f"{prefix}: an index elsewhere",
                    {name: data[:4] + struct.pack("<QQ", big, length) + data[20:]},
                )
            if big != length:
                yield (
                    f"{prefix}: an index of another length",
                    {name: data[:4] + struct.pack("<QQ", offset, big) + data[20:]},
                )
        yield f"{prefix}: another version", {name: b"SO02" + data[4:]}
        count = (length - 4) // (8 * (keys + 2))
        at = next(at for at in range(count) if len(raw.entries[name][at][1]))
        for field, big in ((field, big) for field in (0, 1) for big in (0, 3, 5, 7, 21, len(data), *BIG)):
            forged = bytearray(data[offset : offset + length - 4])
            place = 8 * (keys + 2) * at + 8 * (keys + field)
            if forged[place : place + 8] == struct.pack("<Q", big):
                continue
            forged[place : place + 8] = struct.pack("<Q", big)
            crc = struct.pack("<I", crc32(bytes(forged)))
            kind = ("a payload elsewhere", "a payload of another size")[field]
            yield f"{prefix}: {kind}", {name: data[:offset] + bytes(forged) + crc}


def record_damage(raw: RawFiles, rng: Random) -> Iterator[tuple[str, RawFiles]]:
    """Records that nobody should have written, in shards whose checksums fit."""

    def changed(change: Callable[[RawFiles], None]) -> RawFiles:
        other = copy.deepcopy(raw)
        change(other)
        return other

    for prefix in PREFIXES[:3]:
        names = sorted(
            name
            for name, entries in raw.entries.items()
            if name.startswith(prefix) and any(len(e[1]) for e in entries)
        )
        name = rng.choice(names)
        at = next(at for at, entry in enumerate(raw.entries[name]) if len(entry[1]))

        def end(value: int, column: str, name: str = name, at: int = at) -> Callable[[RawFiles], None]:
            def change(files: RawFiles) -> None:
                files.entries[name][at][1][column][0] = value

            return change

        one = int(raw.entries[name][at][1]["sv1"][0])
        far = raw.ids.chunk_id(Chunk(1, 1000, 1000, 1000)) + 1
        for value in (0, one ^ 1 << 56, one ^ 1 << 40, far, (1 << 64) - 1, rng.getrandbits(64), one + 1):
            yield f"{prefix}: another end", changed(end(value, rng.choice(("sv1", "sv2"))))
        other_bits = IdLayout(raw.grid.layer_count, spatial_bits=8).chunk_id(Chunk(1, 1, 1, 0)) + 5
        yield f"{prefix}: an end of another dataset", changed(end(other_bits, "sv1"))
        areas = [column for column in raw.entries[name][at][1].dtype.names or () if column.startswith("area")]
        for area in ((1 << 62), (1 << 63), (1 << 64) - 1):
            yield f"{prefix}: an absurd area", changed(end(area, rng.choice(areas)))

        def twice(files: RawFiles, name: str = name, at: int = at) -> None:
            files.entries[name].append(files.entries[name][at])

        yield f"{prefix}: an entry twice", changed(twice)

        def swapped(files: RawFiles, name: str = name, at: int = at) -> None:
            records = files.entries[name][at][1]
            records["sv1"], records["sv2"] = records["sv2"].copy(), records["sv1"].copy()

        yield f"{prefix}: the other way round", changed(swapped)

        def lost(files: RawFiles, name: str = name, at: int = at) -> None:
            files.entries[name].pop(at)

        yield f"{prefix}: an entry lost", changed(lost)

        def renamed(files: RawFiles, name: str = name, at: int = at) -> None:
            keys, records = files.entries[name][at]
            files.entries[name][at] = (tuple(reversed([key + 1 for key in keys])), records)

        yield f"{prefix}: an entry of no chunk", changed(renamed)
        yield f"{prefix}: no such shard", changed(partial(_drop, name))
    yield from ((f"remap/done: {kind}", files) for kind, files in _remap_damage(raw, rng, changed))


def _drop(name: str, files: RawFiles) -> None:
    del files.entries[name]


def _remap_damage(
    raw: RawFiles, rng: Random, changed: Callable[[Callable[[RawFiles], None]], RawFiles]
) -> Iterator[tuple[str, RawFiles]]:
    names = sorted(
        name
        for name, entries in raw.entries.items()
        if name.startswith("remap") and any(len(e[1]) for e in entries)
    )
    name = rng.choice(names)
    at = next(at for at, entry in enumerate(raw.entries[name]) if len(entry[1]))
    keys, pairs = raw.entries[name][at]
    some = pairs["one"].tolist() + pairs["other"].tolist()

    def put(rows: list[tuple[int, int]]) -> RawFiles:
        def change(files: RawFiles) -> None:
            more = np.concatenate([pairs, np.array(rows, PAIRS)])
            files.entries[name][at] = (keys, more)

        return changed(change)

    yield "a pair with the background", put([(0, some[0])])
    yield "a pair with the background", put([(some[-1], 0)])
    yield "a pair of the background alone", put([(0, 0)])
    yield "pairs twice", put([(int(one), int(other)) for one, other in pairs.tolist()])
    yield "all in one component", put([(some[0], one) for one in some])
    yield "ids that nobody knows", put([(rng.getrandbits(63), rng.getrandbits(63) | 1) for _ in range(4)])
    yield "no such shard", changed(partial(_drop, name))

    def again(files: RawFiles) -> None:
        files.entries[name].append((keys, np.array([(some[0], 7)], PAIRS)))

    yield "a key that recurs", changed(again)


def facts_of_raw(raw: RawFiles) -> Facts:
    """All that raw output says; Invalid if an entry that is looked at breaks a rule."""
    facts = Facts()
    listed: dict[Chunk, list[frozenset[int]]] = {}
    for chunk in raw.grid.chunks(2):
        _check_entries(raw, chunk)
        listed[chunk] = list(oracle_components(raw, chunk))

    def same(chunk: Chunk, one: int, other: int) -> bool:
        return any(one in part and other in part for part in listed[chunk])

    for chunk in raw.grid.chunks(2):
        found = oracle_edges(raw, chunk)
        for kind in ("inside", "between"):
            if any(area > 1 << 64 for *_, area in found[kind]):
                raise Invalid("areas")
        for one, other, *_ in found["inside"]:
            facts.supervoxels |= {one, other}
            if same(chunk, one, other):
                facts.inside.add((one, other))
        for kind in ("between", "cross"):
            for one, other, *_ in found[kind]:
                facts.supervoxels.add(one)
                lower = min(chunk, raw.ids.chunk_of(other)._replace(layer=2))
                if kind == "cross" or same(lower, one, other):
                    facts.sides.add((one, other))
    return facts


def _check_entries(raw: RawFiles, chunk: Chunk) -> None:
    """Invalid for an edge whose ends are not in the chunks that its entry is for, and a pair with background."""
    bits = np.uint64(raw.ids.segment_bits(1))
    own = raw.chunk_id(chunk)
    wanted: dict[tuple[int, ...], list[str]] = defaultdict(list)
    wanted[own,] += inside_shards(chunk)
    for face, near in raw.grid.neighbours(chunk).items():
        for kind in ("between_chunks", "fake"):
            for keys in ((own, raw.chunk_id(near)), (raw.chunk_id(near), own)):
                wanted[keys] += face_shards(chunk, face, kind)
    for wanted_keys, names in wanted.items():
        places = {key >> int(bits) for key in wanted_keys}
        for name in names:
            for at, records in raw.entries.get(name, []):
                if at != wanted_keys:
                    continue
                for one, other, *_ in records.tolist():
                    if {one >> int(bits), other >> int(bits)} != places:
                        raise Invalid(name)
    for name in remap_names(raw.grid, chunk):
        first = next((pairs for at, pairs in raw.entries.get(name, []) if at == (own,)), None)
        for one, other in [] if first is None else first.tolist():
            if (one == 0) != (other == 0):
                raise Invalid(name)
