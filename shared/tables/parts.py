"""Parts of tables: what one message reads. Files are cut, in order, in parts of about equally many rows.

A part says which units (`shared.tables.formats`) of which files it has, as JSON can hold it, since it stands in the
run's record. Invariants: the same files give the same parts; every row is in one part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.tables.formats.known import rows_of
from shared.tables.formats.units import Units
from shared.tables.ports import OpenRanges
from shared.tables.range_file import RangeFile
from shared.tables.rows import Batch, Rows, Table

LEAST_ROWS = 10_000_000
"""Rows of a part, where there are so many: they take some ten seconds."""


class TableFile(NamedTuple):
    """A file that was looked at: where it is, its bytes, what it can be cut in."""

    folder: str
    name: str
    size: int
    units: Units


class Piece(NamedTuple):
    """The units from `start` up to `stop` of a file that has `size` bytes."""

    folder: str
    name: str
    size: int
    start: int
    stop: int


@dataclass(frozen=True)
class Part:
    """What one message reads: some pieces with about `rows` rows."""

    rows: int
    pieces: tuple[Piece, ...]

    def __str__(self) -> str:
        ends = [f"{piece.folder}/{piece.name}" for piece in self.pieces[:: max(1, len(self.pieces) - 1)]]
        return " to ".join(dict.fromkeys(ends))

    def fields(self) -> dict[str, Any]:
        """As JSON can hold it; folders are not said again for each file."""
        folders: list[tuple[str, list[list[Any]]]] = []
        for folder, *rest in self.pieces:
            if not folders or folders[-1][0] != folder:
                folders.append((folder, []))
            folders[-1][1].append(rest)
        return {"rows": self.rows, "files": [list(each) for each in folders]}

    @classmethod
    def read(cls, content: Any) -> Part:
        """The part in the JSON of a record; ValueError for what is none."""
        if not isinstance(content, dict) or set(content) != {"rows", "files"} or not _counts(content["rows"]):
            raise ValueError("it needs rows and files")
        try:
            pieces = [Piece(folder, *piece) for folder, listed in content["files"] for piece in listed]
        except (TypeError, ValueError) as error:
            raise ValueError(f"files = {content['files']!r:.100} are none") from error
        for piece in pieces:
            texts = isinstance(piece.folder, str) and isinstance(piece.name, str)
            if not (texts and _counts(*piece[2:]) and piece.start <= piece.stop):
                raise ValueError(f"{piece!r:.200} is no piece of a file")
        return cls(content["rows"], tuple(pieces))

    def read_rows(self, table: Table, open_ranges: OpenRanges, chunk: object) -> Iterator[tuple[Read, Rows]]:
        """All its rows in batches, each with where it stands; DataError for what is no row of such a table, or a
        file that has changed."""
        readers = {folder: open_ranges(folder) for folder in {piece.folder for piece in self.pieces}}
        for piece in self.pieces:
            file = RangeFile(readers[piece.folder], piece.name, piece.size, chunk)
            for batch, rows in rows_of(file, table, piece.start, piece.stop, chunk):
                yield Read(file.file, batch), rows


class Read(NamedTuple):
    """Where a batch of rows stands."""

    file: str
    batch: Batch

    def row(self, at: int) -> str:
        """What a row of it is called."""
        return f"{self.batch.row(at)} of {self.file}"


def _counts(*values: Any) -> bool:
    return all(type(value) is int and 0 <= value < 1 << 63 for value in values)


def cut(files: Sequence[TableFile], most: int, least: int = LEAST_ROWS) -> list[Part]:
    """One to `most` parts with the rows of all files; each has some `least` rows or more if there are so many."""
    total = sum(file.units.rows for file in files)
    count = max(1, min(most, total // least))
    parts: list[list[Piece]] = [[] for _ in range(count)]
    rows = [0] * count
    before = 0
    for folder, name, size, units in files:
        start = 0
        for at in range(count):
            # A unit that lies across a bound goes to the part behind it; the last part takes all that is left.
            left = (at + 1) * total // count - before
            stop = units.count if at == count - 1 else max(start, units.before(left) if left > 0 else 0)
            if stop > start:
                parts[at].append(Piece(folder, name, size, start, stop))
                rows[at] += units.rows_before(stop) - units.rows_before(start)
                start = stop
        before += units.rows
    found = [Part(of, tuple(pieces)) for of, pieces in zip(rows, parts, strict=True) if pieces]
    return found or [Part(0, ())]
