"""Finding tables, cutting them into parts, and the sorted runs that come of them.

locations -> files -> parts -> runs -> answers
"""

from __future__ import annotations

import json
import resource
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import zstandard

from shared.errors import ConfigError, DataError, IngestError
from shared.inputs.raw.ranges import Range
from shared.plan.grid import Chunk
from shared.ranges import CloudFilesRanges
from shared.tables import finding, run_file, sorting
from shared.tables.components import is_together
from shared.tables.finding import find_parts
from shared.tables.formats.units import Units
from shared.tables.lookup import Lookup, SortedTables
from shared.tables.parts import Part, Piece, TableFile, cut
from shared.tables.ports import OpenPlace
from shared.tables.rows import Table
from shared.tables.run_file import BLOCK, HEAD, Head, Run, encode, numbered, read_head
from shared.tables.sorting import sort_part
from tests.raw_shards import MemoryRanges
from tests.table_files import (
    Array,
    csv,
    handoff_name,
    lookup,
    npy,
    open_place,
    parquet,
    parts_of,
    sorted_runs,
    square,
)

CHUNK = Chunk(0, 0, 0, 0)
IDS = np.arange(1, 11, dtype=np.uint64)
GOOD = {"gs://b/t/a.parquet": parquet([IDS, IDS], 3), "gs://b/t/b.csv": csv([IDS, IDS]), "gs://b/t/_SUCCESS": b""}


def found(files: dict[str, bytes], *locations: str, table: Table = Table.MAPPING) -> list[Part]:
    return find_parts(table, locations, open_place(files), 62, "set.yml", "mapping")


def problems(files: dict[str, bytes], *locations: str, table: Table = Table.MAPPING) -> list[str]:
    """What is said of locations; each names the file of the configuration and the key."""
    with pytest.raises(ConfigError) as caught:
        found(files, *locations, table=table)
    assert all((one.where, one.key) == ("set.yml", "mapping") for one in caught.value.problems)
    return [str(one) for one in caught.value.problems]


# ---- finding


@pytest.mark.parametrize("location", ["gs://b/t", "gs://b/t/"])
def test_folder(location: str) -> None:
    """A folder is all its files whose names say that they are tables, in the order of their names."""
    (part,) = found(GOOD, location)
    assert [piece[:2] for piece in part.pieces] == [("gs://b/t", "a.parquet"), ("gs://b/t", "b.csv")]
    assert part.rows == 20


def test_file() -> None:
    """A file is itself, whatever else is beside it; a folder may be called like a file."""
    (part,) = found(GOOD, "gs://b/t/b.csv")
    assert part.pieces == (Piece("gs://b/t", "b.csv", len(GOOD["gs://b/t/b.csv"]), 0, len(GOOD["gs://b/t/b.csv"])),)
    (part,) = found({"gs://b/all.parquet/0.parquet": parquet([IDS, IDS])}, "gs://b/all.parquet")
    assert part.pieces[0][:2] == ("gs://b/all.parquet", "0.parquet")


def test_on_disk(tmp_path: Path) -> None:
    """Files of a disk are found with and without a protocol, and a bucket's own place reads them alike."""
    for name, data in GOOD.items():
        (tmp_path / name.rpartition("/")[2]).write_bytes(data)
    (tmp_path / "below.csv").mkdir()
    opened: OpenPlace = CloudFilesRanges
    for location in (f"{tmp_path}", f"file://{tmp_path}"):
        (part,) = find_parts(Table.MAPPING, [location], opened, 62, "set.yml", "mapping")
        assert [piece[:2] for piece in part.pieces] == [
            (f"file://{tmp_path}", "a.parquet"),
            (f"file://{tmp_path}", "b.csv"),
        ]
    ((_, data),) = sort_part(Table.MAPPING, part, opened, CHUNK)
    tables = SortedTables(Lookup(Table.MAPPING, MemoryRanges({handoff_name(CHUNK): data}), handoff_name, {0: ""}))
    assert tables.objects_of(IDS).tolist() == IDS.tolist()


WRONG = {
    "gs://b/t/none.csv": "there is no such file, nor a folder with files whose names end with .parquet",
    "gs://b/none": "there is no such file, nor a folder",
    "gs://b/t/_SUCCESS": "no table is called so; names end with",
    "https://host/t/none.csv": "the server has no such file (and a web server has no folders: name each file)",
    "gs://other": "what is there are notes.txt",
}


@pytest.mark.parametrize("location", WRONG)
def test_not_there(location: str) -> None:
    """What is not there is said with what was asked for, and what is there instead."""
    (problem,) = problems(GOOD | {"gs://other/notes.txt": b"x"}, location)
    assert location in problem and WRONG[location] in problem


def test_all_problems_at_once() -> None:
    """Every location that is not there is listed; then every file that is no table; never more than some."""
    assert len(problems(GOOD, "gs://b/t", "gs://no", "gs://neither")) == 2
    files = GOOD | {f"gs://b/t/c{at}.csv": b"1,2,3\n" for at in range(30)} | {"gs://b/t/d.npy": b""}
    told = problems(files, "gs://b/t")
    assert len(told) == finding.MOST_SHOWN and all("3 columns" in one for one in told)
    assert "it is empty" in problems({"gs://b/t/d.npy": b""}, "gs://b/t")[0]


def test_twice_and_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is named twice, tables without rows and too many files are refused."""
    assert "b.csv': it is named twice" in problems(GOOD, "gs://b/t", "gs://b/t/b.csv")[0]
    assert "no row is in these tables" in problems({"gs://b/t/a.csv": b"a,b\n"}, "gs://b/t")[0]
    monkeypatch.setattr(finding, "MOST_FILES", 1)
    assert "there are 2 files, more than 1" in problems(GOOD, "gs://b/t")[0]


def test_a_place_that_does_not_answer() -> None:
    """A bucket that cannot be read is a problem of the configuration, with what it said."""

    def closed(folder: str) -> object:
        raise IngestError(f"{folder}: no access")

    with pytest.raises(ConfigError, match="gs://b: no access"):
        find_parts(Table.MAPPING, ["gs://b/t"], closed, 62, "set.yml", "mapping")  # type: ignore[arg-type]


# ---- parts


@pytest.mark.parametrize("most", [1, 2, 5, 62])
@pytest.mark.parametrize("least", [1, 7, 100, 10**9])
def test_parts(most: int, least: int) -> None:
    """Every unit is in one part, in order; parts are as many as they may be, and about equally large."""
    rng = np.random.default_rng(most * least)
    files = [
        TableFile("gs://b", str(at), 10**6, units)
        for at, units in enumerate(
            [
                *(Units.of(rng.integers(0, 20, 12).tolist()) for _ in range(4)),
                Units(500, 500),
                Units(9_000, 300),
                Units.of([]),
                Units(1, 0),
            ]
        )
    ]
    total = sum(file.units.rows for file in files)
    parts = cut(files, most, least)
    assert len(parts) <= max(1, min(most, total // least))
    for file in files:
        pieces = [piece for part in parts for piece in part.pieces if piece.name == file.name]
        ends = [0, *(piece.stop for piece in pieces)]
        assert [piece.start for piece in pieces] == ends[:-1] and ends[-1] == file.units.count
    assert sum(part.rows for part in parts) == total
    assert max(part.rows for part in parts) <= total / max(1, min(most, total // least)) + 40
    assert [Part.read(json.loads(json.dumps(part.fields()))) for part in parts] == parts


@pytest.mark.parametrize(
    "content",
    [
        None,
        {"rows": 1},
        {"rows": -1, "files": []},
        {"rows": 1, "files": 5},
        {"rows": 1, "files": [["gs://b", [["a", 1, 2]]]]},
        {"rows": 1, "files": [["gs://b", [["a", 1, 3, 2]]]]},
        {"rows": 1, "files": [["gs://b", [["a", 1.0, 2, 3]]]]},
        {"rows": 1, "files": [["gs://b", [[5, 1, 2, 3]]]]},
        {"rows": 1, "files": [[None, [["a", 1, 2, 3]]]]},
        {"rows": 1, "files": [["gs://b", [["a", 1, 2, True]]]]},
    ],
)
def test_parts_that_are_none(content: object) -> None:
    """What is no part in a record is refused."""
    with pytest.raises(ValueError):
        Part.read(content)


# ---- contradictions


def test_rows_that_contradict_each_other_are_named() -> None:
    """One supervoxel with two objects, one pair with two scores: file and row of both, counted from 0."""
    files = {
        "gs://b/a.parquet": parquet([np.array([9, 1, 2], np.uint64), np.array([9, 5, 5], np.uint64)], 2),
        "gs://b/b.npy": npy(square([np.array([3, 1], np.uint64), np.array([5, 6], np.uint64)])),
    }
    with pytest.raises(DataError) as caught:
        sorted_runs(Table.MAPPING, files, parts_of(Table.MAPPING, files))
    assert caught.value.reason == (
        "supervoxel 1 has two objects: 5 in row 1 of row group 0 of gs://b/a.parquet and 6 in row 1 of gs://b/b.npy"
    )
    files = {"gs://b/a.csv": b"1,2,0.5\n2,1,0.75\n"}
    with pytest.raises(DataError) as caught:
        sorted_runs(Table.SCORES, files, parts_of(Table.SCORES, files))
    assert caught.value.reason == (
        "the pair of supervoxels 1 and 2 has two scores: 0.5 in row 0 of gs://b/a.csv and "
        "0.75 in row 1 of gs://b/a.csv"
    )


def test_parts_are_called_by_their_files() -> None:
    """A part is called by its file, or by the first and the last."""
    pieces = [Piece("gs://b", name, 9, 0, 1) for name in "abc"]
    assert str(Part(9, tuple(pieces[:1]))) == "gs://b/a"
    assert str(Part(9, tuple(pieces[:2]))) == "gs://b/a to gs://b/b"
    assert str(Part(9, tuple(pieces))) == "gs://b/a to gs://b/c"
    assert str(Part(9, (pieces[0], pieces[0]))) == "gs://b/a"


def test_parts_that_contradict_each_other_are_named() -> None:
    """What no job could see, whoever asks is told."""
    files = {"gs://b/a.csv": b"1,5\n", "gs://b/b.csv": b"1,6\n"}
    parts = parts_of(Table.MAPPING, files, least=1)
    tables = SortedTables(lookup(Table.MAPPING, sorted_runs(Table.MAPPING, files, parts), [0, 1]))
    assert tables.objects_of(np.array([2, 3], np.uint64)).tolist() == [0, 0]
    with pytest.raises(DataError, match="supervoxel 1 has two objects: 5 in part 0, and 6 in part 1"):
        tables.objects_of(np.array([1], np.uint64))


def test_scores_are_compared_in_their_own_precision() -> None:
    """0.7 is no less than 0.7, in whatever precision a table has it."""
    for dtype in (np.float32, np.float64):
        assert is_together(np.array([0.7, 0.69], dtype), 0.7, True).tolist() == [True, False]
        assert is_together(np.array([0.7, 0.69], dtype), 0.7, False).tolist() == [False, True]


def test_no_supervoxel_is_called_0() -> None:
    """Scores with 0 join nothing and are not listed."""
    from tests.table_files import joined_runs

    files = {"gs://b/a.csv": b"0,1,1\n0,2,1\n2,2,1\n"}
    parts = parts_of(Table.SCORES, files)
    tables = SortedTables(
        lookup(Table.MAPPING, joined_runs(files, parts, 0.5, True), [1]),
        lookup(Table.SCORES, sorted_runs(Table.SCORES, files, parts), [0]),
    )
    assert tables.objects_of(np.array([0, 1, 2], np.uint64)).tolist() == [0, 0, 0]
    assert np.isnan(tables.scores_of(np.array([[0, 1], [1, 2]], np.uint64))).all()
    assert tables.scores_of(np.zeros((0, 2), np.uint64)).tolist() == []


# ---- the bytes of runs


def run_of(rows: int = 3 * BLOCK + 5) -> tuple[bytes, Array, Array]:
    rng = np.random.default_rng(rows)
    keys = np.unique(rng.integers(1, 1 << 64, rows, dtype=np.uint64))
    values = rng.integers(0, 1 << 64, len(keys), dtype=np.uint64)
    ((_, data),) = numbered(iter([encode(Table.MAPPING, (keys,), values)]))
    return data, keys, values


def tables_in(data: bytes, cache: int = 1 << 26) -> SortedTables:
    return SortedTables(lookup(Table.MAPPING, {handoff_name(CHUNK): data}, [0], cache))


def test_every_byte_counts() -> None:
    """Each byte of a run is under some checksum: a change of any is a DataError, and so is an early end."""
    data, keys, _ = run_of(40)
    for at in range(len(data)):
        for changed in (data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :], data[:at]):
            with pytest.raises(DataError, match="sorted table: ") as caught:
                tables_in(changed).objects_of(keys)
            assert (caught.value.file, caught.value.chunk) == (f"mem://scratch/{handoff_name(CHUNK)}", CHUNK)


def with_header(header: object, rest: bytes = b"") -> bytes:
    """A run with this header, its checksum right."""
    text = json.dumps(header).encode()
    prefix = struct.pack("<4sBI", run_file.MAGIC, run_file.VERSION, len(text))
    return prefix + struct.pack("<I", zlib.crc32(prefix + text)) + text + rest


FIELDS = {"table": "mapping", "rows": 1, "more": 0, "index": 10, "crc": 0}


@pytest.mark.parametrize(
    "header",
    [
        FIELDS | {"rows": 1 << 60},
        FIELDS | {"rows": 1 << 31, "index": 1 << 40},
        FIELDS | {"index": 1 << 40},
        FIELDS | {"more": 1 << 40},
        FIELDS | {"rows": -1},
        FIELDS | {"rows": 1.0},
        FIELDS | {"rows": True},
        FIELDS | {"table": "scores"},
        FIELDS | {"also": 1},
        {},
        [],
        5,
    ],
    ids=str,
)
def test_headers_that_claim(header: object) -> None:
    """What a header claims is taken for nothing before it can be: no memory is taken for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="sorted table: "):
        tables_in(with_header(header, bytes(1000))).objects_of(IDS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 15


def test_frames_that_claim() -> None:
    """An index or a block that would unpack to more than it may is not unpacked."""
    bomb = zstandard.ZstdCompressor().compress(bytes(1 << 28))
    header = FIELDS | {"rows": BLOCK, "index": len(bomb), "crc": zlib.crc32(bomb)}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"header is damaged|index is not as long as it should be"):
        tables_in(with_header(header, bomb)).objects_of(IDS)
    columns = [np.array([1], "<u8"), np.array([9], "<u8"), *np.array([[len(bomb)], [zlib.crc32(bomb)]], "<u4")]
    index = zstandard.ZstdCompressor().compress(b"".join(column.tobytes() for column in columns))
    header = FIELDS | {"rows": 9, "index": len(index), "crc": zlib.crc32(index)}
    with pytest.raises(DataError, match="its block 0 is not as long as it should be"):
        tables_in(with_header(header, index + bomb)).objects_of(IDS)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 16


def test_another_version() -> None:
    """A run of another version, and what is no run, are told apart from damage."""
    data, keys, _ = run_of(10)
    for changed in (data[:4] + b"\x02" + data[5:], b"CGHO" + data[4:]):
        with pytest.raises(DataError, match="not a sorted run of version 1"):
            tables_in(changed).objects_of(keys)


def test_only_blocks_that_can_hold_a_key_are_read() -> None:
    """A question costs the head once and the blocks of its keys; what was read is not read again while it is
    remembered."""
    data, keys, values = run_of(40 * BLOCK)
    reader = MemoryRanges({handoff_name(CHUNK): data}, "mem://scratch")
    tables = SortedTables(Lookup(Table.MAPPING, reader, handoff_name, {0: ""}))
    near = keys[7 * BLOCK + 5 : 8 * BLOCK + 5]
    assert tables.objects_of(near).tolist() == values[7 * BLOCK + 5 : 8 * BLOCK + 5].tolist()
    head, blocks = reader.asked
    assert head == Range(handoff_name(CHUNK), 0, HEAD) and blocks.length < len(data) / 15
    assert tables.objects_of(near[::-1]).tolist() == values[7 * BLOCK + 5 : 8 * BLOCK + 5][::-1].tolist()
    assert tables.objects_of(np.array([0, keys[0] - 1], np.uint64)).tolist() == [0, 0]
    assert len(reader.asked) == 2
    far = keys[[0, 20 * BLOCK, len(keys) - 1]]
    assert tables.objects_of(far).tolist() == values[[0, 20 * BLOCK, len(keys) - 1]].tolist()
    assert len(reader.asked) == 5


def test_nothing_need_be_remembered() -> None:
    """With no room to remember anything, each question reads again and answers the same."""
    data, keys, values = run_of()
    tables = tables_in(data, cache=0)
    for _ in range(2):
        assert tables.objects_of(keys).tolist() == values.tolist()


def test_an_index_longer_than_a_head(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that does not come with the first bytes is read for itself."""
    from shared.tables import lookup as module

    data, keys, values = run_of()
    monkeypatch.setattr(module, "HEAD", 150)
    assert tables_in(data).objects_of(keys).tolist() == values.tolist()
    monkeypatch.setattr(module, "STEP", 2)
    assert tables_in(data).objects_of(keys).tolist() == values.tolist()


def test_a_run_that_is_not_there() -> None:
    """A run that is gone is no DataError: the message is tried again."""
    with pytest.raises(IngestError, match="this sorted table is not there") as caught:
        SortedTables(lookup(Table.MAPPING, {}, [0])).objects_of(IDS)
    assert not isinstance(caught.value, DataError)


def test_an_empty_run() -> None:
    """A part without rows comes to a run without blocks, in which nothing is listed."""
    ((number, data),) = sort_part(Table.MAPPING, Part(0, ()), open_place({}), CHUNK)
    assert number == 0
    assert tables_in(data).objects_of(IDS).tolist() == [0] * 10


def test_several_runs_of_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part with more rows than are held at once comes to several runs; the first, written last, counts them."""
    monkeypatch.setattr(sorting, "RUN_ROWS", 4)
    files = {"gs://b/a.npy": npy(square([IDS[::-1], IDS]))}
    (part,) = parts_of(Table.MAPPING, files)
    written = list(sort_part(Table.MAPPING, part, open_place(files), CHUNK))
    assert [number for number, _ in written] == [1, 2, 0]
    heads = [read_head(Table.MAPPING, "x", CHUNK, data) for _, data in written]
    assert [(head.rows, head.more) for head in heads] == [(4, 0), (4, 0), (2, 2)]
    tables = SortedTables(
        lookup(Table.MAPPING, {handoff_name(Chunk(0, 0, number, 0)): data for number, data in written}, [0])
    )
    assert tables.objects_of(IDS).tolist() == IDS[::-1].tolist()


def test_blocks_of_one_run_know_their_index() -> None:
    """A block of another run of the same length is told by its checksum, and one with other keys by those."""
    data, _, _ = run_of(10)
    head = read_head(Table.MAPPING, "x", CHUNK, data)
    index = data[head.start : head.start + head.length]
    block = data[head.start + head.length :]
    run = Run(Table.MAPPING, "x", CHUNK, head, index)
    assert len(run.block(0, block)[1]) == 10
    with pytest.raises(DataError, match="checksum"):
        run.block(0, block[:-1])
    columns = bytearray(zstandard.ZstdDecompressor().decompress(index))
    columns[0] ^= 1
    changed = zstandard.ZstdCompressor().compress(bytes(columns))
    other = Head(head.rows, 0, head.start, len(changed), zlib.crc32(changed))
    with pytest.raises(DataError, match="other keys than its index says"):
        Run(Table.MAPPING, "x", CHUNK, other, changed).block(0, block)


def test_a_pair_with_many_partners() -> None:
    """A supervoxel whose pairs fill many blocks is found in each."""
    partners = np.arange(2, 3 * BLOCK, dtype=np.uint64)
    pairs = np.stack([np.ones(len(partners), np.uint64), partners], axis=1)
    scores = np.arange(len(partners), dtype=np.float32)
    ((_, data),) = numbered(iter([encode(Table.SCORES, (pairs[:, 0], pairs[:, 1]), scores)]))
    tables = SortedTables(lookup(Table.MAPPING, {}, []), lookup(Table.SCORES, {handoff_name(CHUNK): data}, [0]))
    asked: Sequence[int] = [5, BLOCK - 1, BLOCK, 2 * BLOCK + 3, len(partners) - 1]
    assert tables.scores_of(pairs[asked][:, ::-1]).tolist() == scores[asked].tolist()
    assert np.isnan(tables.scores_of(np.array([[1, 1], [1, 5 * BLOCK], [2, 3]], np.uint64))).all()
