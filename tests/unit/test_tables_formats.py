"""Files of tables: what is read of each kind, what is refused and how it is said, and how much is asked for."""

from __future__ import annotations

import gzip
import math
import random
import resource
from collections.abc import Callable

import numpy as np
import pyarrow
import pytest

from shared.errors import DataError, IngestError
from shared.plan.grid import Chunk
from shared.tables.formats import csv_text
from shared.tables.formats.known import ENDINGS, format_of, rows_of, units_of
from shared.tables.range_file import PIECE, RangeFile
from shared.tables.rows import Table, Wrong
from tests.raw_shards import MemoryRanges
from tests.table_files import arrow, csv, feather, npy, parquet, square, structured

CHUNK = Chunk(0, 3, 0, 0)
TOP = (1 << 64) - 1
ONE = np.array([5, 1 << 63, TOP], np.uint64)
OTHER = np.array([7, (1 << 53) + 1, 0], np.uint64)
SCORES = np.array([0.25, -3.0, math.inf], np.float32)


def file_of(name: str, data: bytes) -> RangeFile:
    return RangeFile(MemoryRanges({name: data}, "mem://t"), name, len(data), CHUNK)


def read(name: str, data: bytes, table: Table = Table.MAPPING) -> list[list[int | float]]:
    """All columns of a file."""
    units = units_of(file_of(name, data), table).count
    found = [rows for _, rows in rows_of(file_of(name, data), table, 0, units, CHUNK)]
    columns = zip(*((*rows.keys, rows.values) for rows in found), strict=True)
    return [np.concatenate(column).tolist() for column in columns]


def refused(name: str, data: bytes, table: Table = Table.MAPPING) -> str:
    """What is said of a file before the start."""
    with pytest.raises(Wrong) as caught:
        units_of(file_of(name, data), table)
    return str(caught.value)


def fails(name: str, data: bytes, table: Table = Table.MAPPING, start: int = 0, stop: int = 1) -> str:
    """What is said of a row while the file is read; the error names file and chunk."""
    with pytest.raises(DataError) as caught:
        list(rows_of(file_of(name, data), table, start, stop, CHUNK))
    assert (caught.value.file, caught.value.chunk) == (f"mem://t/{name}", CHUNK)
    return caught.value.reason


MAPPINGS: dict[str, tuple[str, bytes]] = {
    "parquet": ("t.parquet", parquet([ONE, OTHER])),
    "parquet in groups": ("t.PQ", parquet([ONE, OTHER], 1, compression="gzip", use_dictionary=False)),
    "feather": ("t.feather", feather([ONE, OTHER])),
    "arrow": ("t.arrow", feather([ONE, OTHER], 1, compression="uncompressed")),
    "csv": ("t.csv", csv([ONE, OTHER])),
    "csv without header": ("t.csv", csv([ONE, OTHER], header=False)),
    "csv of Windows": ("t.csv", b"\xef\xbb\xbf" + csv([ONE, OTHER], end="\r\n", last=False)),
    "csv with quotes and blanks": ("t.csv", f'"a","b"\n"5", 7\n\n {1 << 63},"{(1 << 53) + 1}"\n{TOP},0'.encode()),
    "csv.gz": ("t.csv.gz", gzip.compress(csv([ONE, OTHER]))),
    "gzip in two members": (
        "t.csv",
        gzip.compress(b"a,b\n5,7\n") + gzip.compress(csv([ONE[1:], OTHER[1:]], False)),
    ),
    "npy": ("t.npy", npy(square([ONE, OTHER]))),
    "npy by columns": ("t.npy", npy(square([ONE, OTHER], "F"))),
    "npy of big-endian numbers": ("t.npy", npy(square([ONE, OTHER]).astype(">u8"), (2, 0))),
    "npy with fields": ("t.npy", npy(structured([ONE, OTHER]))),
}


@pytest.mark.parametrize(("name", "data"), MAPPINGS.values(), ids=MAPPINGS)
def test_mappings(name: str, data: bytes) -> None:
    """Ids are exact in every kind of file, up to the largest."""
    assert read(name, data) == [ONE.tolist(), OTHER.tolist()]


EDGES: dict[str, tuple[str, bytes]] = {
    "parquet": ("t.parquet", parquet([ONE, OTHER, SCORES])),
    "feather": ("t.ipc", feather([ONE, OTHER, SCORES.astype(np.float64)])),
    "csv": ("t.csv", csv([ONE, OTHER, SCORES])),
    "npy with fields": ("t.npy", npy(structured([ONE, OTHER, SCORES]))),
    "halves": ("t.parquet", parquet([ONE, OTHER, SCORES.astype(np.float16)])),
}


@pytest.mark.parametrize(("name", "data"), EDGES.values(), ids=EDGES)
def test_scores(name: str, data: bytes) -> None:
    """Scores may be any floats."""
    assert read(name, data, Table.SCORES) == [ONE.tolist(), OTHER.tolist(), SCORES.tolist()]


def test_whole_scores() -> None:
    """Scores may be whole numbers, so a plain array can have them."""
    data = npy(np.array([[1, 2, 90], [3, 4, 0]], np.uint64))
    assert read("t.npy", data, Table.SCORES) == [[1, 3], [2, 4], [90.0, 0.0]]


FLOATS = np.array([1.0, 2.0])
IDS = np.array([1, 2], np.uint64)

BEFORE: dict[str, tuple[str, bytes, Table, str]] = {
    "floats in parquet": ("t.parquet", parquet([FLOATS, IDS]), Table.MAPPING, "float64, which holds no id"),
    "float objects": ("t.feather", feather([IDS, FLOATS]), Table.MAPPING, "a column of objects is float64"),
    "floats in npy": ("t.npy", npy(square([FLOATS, FLOATS, FLOATS])), Table.SCORES, "a column of supervoxels is"),
    "floats in csv": ("t.csv", b"1.0,2\n", Table.MAPPING, "invalid value '1.0'"),
    "text": ("t.parquet", parquet([np.array(["a"]), IDS[:1]]), Table.MAPPING, "type string"),
    "booleans": ("t.npy", npy(np.ones((2, 2), bool)), Table.MAPPING, "bool; ids are whole numbers"),
    "text scores": ("t.parquet", parquet([IDS, IDS, np.array(["a", "b"])]), Table.SCORES, "type string"),
    "wide floats": ("t.npy", npy(structured([IDS, IDS, FLOATS.astype("g")])), Table.SCORES, "no numbers of up to "),
    "objects of Python": ("t.npy", npy(square([IDS, IDS])).replace(b"'<u8'", b"'|O' "), Table.MAPPING,
                          "which are no numbers"),
    "fields of arrays": ("t.npy", npy(np.zeros(3, [("a", "u8", 2), ("b", "u8")])), Table.MAPPING, "no numbers"),
    "three columns": ("t.parquet", parquet([IDS, IDS, IDS]), Table.MAPPING, "3 columns (one, other, score)"),
    "two columns": ("t.csv", b"1,2\n", Table.SCORES, "2 columns (1, 2); a table of scores has: supervoxel, super"),
    "an index": ("t.csv", b",supervoxel,object\n0,1,2\n", Table.MAPPING, "it has 3 columns"),
    "tabs": ("t.csv", b"1\t2\n", Table.MAPPING, "it has 1 columns (1\t2)"),
    "the wrong way round": ("t.csv", b"Root_ID,supervoxel\n1,2\n", Table.MAPPING, "are Root_ID and supervoxel"),
    "a cube": ("t.npy", npy(np.zeros((2, 2, 2), np.uint64)), Table.MAPPING, "shape (2, 2, 2)"),
    "three columns of npy": ("t.npy", npy(np.zeros((2, 3), np.uint64)), Table.MAPPING, "a table of mapping is (n,"),
    "no parquet": ("t.parquet", b"x" * 99, Table.MAPPING, "cannot be read as Parquet"),
    "half a parquet": ("t.parquet", parquet([IDS, IDS])[:-20], Table.MAPPING, "cannot be read as Parquet"),
    "no feather": ("t.feather", b"x" * 99, Table.MAPPING, "no file of Arrow"),
    "feather of long ago": ("t.feather", b"FEA1" * 9, Table.MAPPING, "Feather of version 1"),
    "half a feather": ("t.feather", feather([IDS, IDS])[:-20], Table.MAPPING, "cannot be read as Feather"),
    "no npy": ("t.npy", b"x" * 99, Table.MAPPING, "no file of numpy's format"),
    "half an npy": ("t.npy", npy(square([IDS, IDS]))[:-1], Table.MAPPING, "speaks of 2 rows (32 bytes) and has 31"),
    "npy that claims": ("t.npy", npy(square([IDS, IDS])).replace(b"(2, 2), }" + b" " * 9, b"(2000000000, 2), }"),
                        Table.MAPPING, "speaks of 2,000,000,000 rows"),
    "no gzip": ("t.csv", b"\x1f\x8b" + b"x" * 30, Table.MAPPING, "as if packed with gzip, and is damaged"),
    "another name": ("t.txt", b"1,2\n", Table.MAPPING, "names end with .parquet, .pq, "),
    "one line of megabytes": ("t.csv", b"1," * 99_999, Table.MAPPING, "columns (1, 1, 1, "),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data", "table", "reason"), BEFORE.values(), ids=BEFORE)
def test_refused_before_the_start(name: str, data: bytes, table: Table, reason: str) -> None:
    """What is no such table is known from a look at it, and said in a sentence."""
    assert reason in refused(name, data, table)


LONG = np.arange(1, 5, dtype=np.int64)
NEGATIVE = np.array([1, 2, -3, -4], np.int64)
NULLS = pyarrow.array([1, 2, None, None], pyarrow.uint64())
NANS = np.array([1, 2, math.nan, 4], np.float32)


def null_parquet(**options: object) -> bytes:
    return parquet([NULLS, LONG], 2)


WHILE: dict[str, tuple[str, bytes, Table, int, str]] = {
    "negative": ("t.npy", npy(square([LONG, NEGATIVE])), Table.MAPPING, 4, "row 2: object -3 is negative"),
    "negative in parquet": ("t.parquet", parquet([NEGATIVE, LONG], 3), Table.MAPPING, 2,
                            "row 2 of row group 0: supervoxel -3 is negative"),
    "null": ("t.parquet", null_parquet(), Table.MAPPING, 2, "row 0 of row group 1: a value is missing (null)"),
    "null in feather": ("t.feather", feather([LONG, NULLS], 3), Table.MAPPING, 2,
                        "row 2 of record batch 0: a value is missing (null)"),
    "nan": ("t.npy", npy(structured([LONG, LONG, NANS])), Table.SCORES, 4, "row 2: its score is not a number"),
    "nan in csv": ("t.csv", b"1,2,0\n3,4,nan\n", Table.SCORES, 14, "row 1: its score is not a number"),
    "negative in csv": ("t.csv", b"a,b\n1,2\n-3,4\n", Table.MAPPING, 13, "Row #3: CSV conversion error to uint64: "
                        "invalid value '-3'"),
    "too large": ("t.csv", f"1,2\n3,{1 << 64}\n".encode(), Table.MAPPING, 26, f"invalid value '{1 << 64}'"),
    "nothing": ("t.csv", b"1,2\n3,\n", Table.MAPPING, 7, "invalid value ''"),
    "half a row": ("t.csv", b"1,2\n3\n", Table.MAPPING, 6, "Row #2: Expected 2 columns, got 1: 3"),
    "half a gzip": ("t.csv.gz", gzip.compress(b"1,2\n" * 999)[:-9], Table.MAPPING, 1, "damaged or cut off"),
    "a gzip with damage": ("t.csv.gz", gzip.compress(b"1,2\n" * 999)[:-8] + bytes(8), Table.MAPPING, 1,
                           "damaged or cut off"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "data", "table", "units", "reason"), WHILE.values(), ids=WHILE)
def test_wrong_rows(name: str, data: bytes, table: Table, units: int, reason: str) -> None:
    """A row that is none is named by its place in the file."""
    assert reason in fails(name, data, table, 0, units)


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_damaged_tables(ending: str) -> None:
    """Whatever bytes are changed, a file is read, is refused, or fails as a DataError: nothing else comes out."""
    rng = random.Random(4)
    ids = np.arange(900, dtype=np.uint64)
    whole = {"parquet": parquet([ids, ids], 300), "feather": feather([ids, ids], 300)}[ending]
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.sample(range(len(data)), rng.choice([1, 5])):
            data[at] = rng.randrange(256)
        name = f"t.{ending}"
        try:
            count = units_of(file_of(name, bytes(data)), Table.MAPPING).count
            list(rows_of(file_of(name, bytes(data)), Table.MAPPING, 0, min(count, 10), CHUNK))
        except (Wrong, DataError):
            pass


def test_lines_are_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a CSV file is cut, each of its lines is read in one part."""
    data = csv([np.arange(30, dtype=np.uint64) ** np.uint64(9), np.arange(30, dtype=np.uint64)])
    whole = read("t.csv", data)
    for cut in range(len(data) + 1):
        parts = [
            rows
            for start, stop in ((0, cut), (cut, len(data)))
            for _, rows in rows_of(file_of("t.csv", data), Table.MAPPING, start, stop, CHUNK)
        ]
        assert [np.concatenate([rows.values for rows in parts]).tolist()] == whole[1:]


def test_rows_are_guessed() -> None:
    """Of a CSV file, packed or not, it is about known how many rows it has, from its first lines."""
    ids = np.arange(1 << 60, (1 << 60) + 50_000, dtype=np.uint64)
    plain = csv([ids, ids])
    assert abs(units_of(file_of("t.csv", plain), Table.MAPPING).rows - 50_000) < 500
    packed = gzip.compress(csv([np.random.default_rng(1).permutation(ids), ids]))
    units = units_of(file_of("t.csv.gz", packed), Table.MAPPING)
    assert units.count == 1 and 10_000 < units.rows < 200_000


def test_a_line_without_end() -> None:
    """A file without ends of lines is refused where it is cut, before much of it is read."""
    data = b"1,2\n" + b"3" * (csv_text.HEAD * 3)
    assert "no line of it ends" in fails("t.csv", data, start=0, stop=10)


def test_endings() -> None:
    """Formats go by names, whatever their case; what no table is called is none."""
    for ending in ENDINGS:
        assert format_of(f"a.b{ending.upper()}") is ENDINGS[ending]
    assert format_of("a.txt") is format_of("parquet") is format_of("a.parquet.crc") is None


def test_types_of_arrow() -> None:
    """Decimals and timestamps are no ids, though they look whole."""
    for of in (pyarrow.decimal128(20), pyarrow.timestamp("s"), pyarrow.list_(pyarrow.uint64())):
        file = parquet([pyarrow.array([], of), pyarrow.array([], pyarrow.uint64())])
        assert "which are no numbers" in refused("t.parquet", file)


def test_only_what_is_needed_is_asked_for() -> None:
    """A row group of a large file is read without the others, in pieces."""
    ids = np.random.default_rng(0).integers(0, 1 << 62, 400_000, dtype=np.uint64)
    data = parquet([ids, ids], 40_000)
    reader = MemoryRanges({"t.parquet": data}, "mem://t")
    file = RangeFile(reader, "t.parquet", len(data), CHUNK)
    found = [rows for _, rows in rows_of(file, Table.MAPPING, 3, 4, CHUNK)]
    assert np.concatenate([rows.values for rows in found]).tolist() == ids[120_000:160_000].tolist()
    assert sum(asked.length for asked in reader.asked) < 3 * PIECE
    assert len(reader.asked) < 8


def test_long_columns_are_read_piece_by_piece() -> None:
    """A row group with all rows takes no more memory than a few pieces of it."""
    ids = np.arange(8_000_000, dtype=np.uint64)
    data = parquet([ids, ids], 1 << 23, compression="none", use_dictionary=False)
    assert len(data) > 120 << 20
    before = pyarrow.total_allocated_bytes()
    most = 0
    for _ in rows_of(file_of("t.parquet", data), Table.MAPPING, 0, 1, CHUNK):
        most = max(most, pyarrow.total_allocated_bytes() - before)
    assert most < 100 << 20


def test_a_file_that_changes() -> None:
    """A table that is shorter than it was when the run began, or gone, is said to be so."""
    data = npy(square([ONE, OTHER]))
    short = RangeFile(MemoryRanges({"t.npy": data[:-1]}, "mem://t"), "t.npy", len(data), CHUNK)
    with pytest.raises(DataError, match="must not change while a run reads it"):
        list(rows_of(short, Table.MAPPING, 0, 3, CHUNK))
    gone = RangeFile(MemoryRanges({}, "mem://t"), "t.parquet", 99, CHUNK)
    with pytest.raises(IngestError, match=r"mem://t/t.parquet was there when the run began, and is gone") as caught:
        list(rows_of(gone, Table.MAPPING, 0, 3, CHUNK))
    assert not isinstance(caught.value, DataError)


@pytest.mark.parametrize("name", ["t.parquet", "t.feather", "t.csv", "t.csv.gz", "t.npy"])
@pytest.mark.parametrize(
    "error", [IngestError("the bucket does not answer"), OSError("so does the disk")], ids=repr
)
def test_errors_of_the_place_stay_what_they_are(name: str, error: Exception) -> None:
    """A place that does not answer says nothing of the file, whichever library asks."""

    class Broken(MemoryRanges):
        def read(self, ranges: object) -> list[bytes | None]:
            raise error

    call: Callable[[RangeFile], object]
    for call in (
        lambda file: units_of(file, Table.MAPPING),
        lambda file: list(rows_of(file, Table.MAPPING, 0, 1, CHUNK)),
    ):
        with pytest.raises(type(error)) as caught:
            call(RangeFile(Broken({}, "mem://t"), name, 1 << 20, CHUNK))
        assert caught.value is error


def test_memory_that_no_file_can_want(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where damage makes a library ask for terabytes the file is wrong; where memory is short the file is not."""
    data = feather([IDS, IDS])
    for size, error in ((1 << 50, DataError), (1 << 20, MemoryError)):

        def short(*_: object, size: int = size) -> object:
            raise MemoryError(f"malloc of size {size} failed")

        monkeypatch.setattr("pyarrow.ipc.open_file", lambda *_, short=short, **__: short())
        with pytest.raises(error):
            list(rows_of(file_of("t.feather", data), Table.MAPPING, 0, 1, CHUNK))


def test_no_memory_for_what_is_claimed() -> None:
    """A header of numpy that claims to be gigabytes long is not waited for."""
    data = b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b"{'descr'"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "no file of numpy's format" in refused("t.npy", data + bytes(100))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 17


def test_range_file_is_a_file() -> None:
    """Reading goes on from where it was, to the end and not beyond it."""
    file = file_of("x", bytes(range(100)))
    assert file.read(3) == b"\0\1\2" and file.tell() == 3 and file.seekable() and file.readable()
    assert file.seek(-2, 2) == 98 and file.read() == b"bc" and file.read(5) == b""
    assert file.seek(200) == 200 and file.read(1) == b""
    assert file.seek(10) == 10 and file.seek(5, 1) == 15
    buffer = bytearray(4)
    assert file.readinto(memoryview(buffer)) == 4 and buffer == bytes(range(15, 19))
    with pytest.raises(ValueError, match="no byte -1"):
        file.seek(-1)
    assert arrow([IDS, IDS]).num_rows == 2
