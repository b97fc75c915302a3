"""ReadRows answers as arrays: rows alike are taken out of the bytes many at a time, all others by protobuf.

Why: nine tenths of a graph's rows have one short cell of a known length, so in an answer they are records of one
layout, one behind the other, in which only key and value differ. numpy compares and cuts out such a run at once;
protobuf and a loop take 4 microseconds a row for the same.

    answer     (0a n CellChunk)*
    CellChunk  0a 20 key | 12 n family | 1a n qualifier | 20 time | 32 n value | 48 01

Invariants: whatever differs from that in any byte but those of key and value ends a run and goes the other way, so
the result is that of `merge_chunks`, which a property test compares.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.gcp.bigtable.rows import bigtable_message
from shared.table.scan import CellScan, Scan, ScanBuilder

Bytes = npt.NDArray[np.uint8]

FEW = 8
"""Records that must be alike before arrays are worth their while."""

TOGETHER, LONG = 512, 1 << 16
"""So many answers are taken as one, which they are to protobuf: the emulator has an answer for each row. Answers of
so many bytes are long enough by themselves."""

MOST_SINGLY = 128
"""So many are taken one by one, at the most, before it is looked again whether some are alike."""

KEY = 20
_CHUNK, _KEY, _FAMILY, _QUALIFIER, _TIME, _VALUE, _COMMIT = 0x0A, 0x0A, 0x12, 0x1A, 0x20, 0x32, 0x48
_HALF = 10 ** np.arange(9, -1, -1, dtype=np.uint64)


@dataclass(frozen=True)
class _Layout:
    """Where key and value stand in a record of `size` bytes that is a row with one cell."""

    size: int
    key: int
    value: int
    length: int
    family: bytes | None
    qualifier: bytes | None
    time: int


class Scanner:
    """Takes the answers of one read, and has the scans of what came so far."""

    def __init__(self) -> None:
        self._message = bigtable_message("ReadRowsResponse").CellChunk
        self._builder = ScanBuilder()
        self._scans: list[Scan] = []
        self.last = b""
        """The key of the last whole row."""
        self.restart()

    def restart(self) -> None:
        """Forgets a row of which a stream that broke off has given a part."""
        self._key, self._column, self._family, self._qualifier, self._time = b"", "", "", b"", 0
        self._cells: dict[str, tuple[bytes, int]] = {}
        self._parts: list[bytes] = []

    def taken(self) -> Scan:
        """All rows."""
        return Scan.joined([*self._scans, *self._builder.taken()])

    def keys(self, answers: Iterable[bytes]) -> Iterator[bytes]:
        """Takes the answers of one stream; after each the key of the last whole row."""
        self.restart()
        parts: list[bytes] = []
        for answer in answers:
            parts.append(answer)
            if len(parts) == TOGETHER or len(answer) >= LONG:
                self.feed(b"".join(parts))
                parts = []
                yield self.last
        self.feed(b"".join(parts))
        yield self.last

    def feed(self, answer: bytes) -> None:
        """Takes one encoded ReadRowsResponse."""
        at, end, singly, patience = 0, len(answer), 0, FEW
        table = np.frombuffer(answer, np.uint8)
        while at < end:
            tag, (size, begin) = answer[at], _varint(answer, at + 1)
            if tag != _CHUNK:
                # The last key that was looked at, and statistics: nothing of a row.
                at = begin + size if tag & 7 == 2 else begin
                continue
            if not singly and not self._cells and not self._parts:
                count = self._run(answer, table, at, begin + size)
                if count:
                    at += count * (begin + size - at)
                    patience = FEW
                    continue
                # Where rows are of all kinds, ever less is lost by looking for some that are alike.
                singly = patience = min(2 * patience, MOST_SINGLY)
            singly = max(0, singly - 1)
            self._single(self._message.FromString(answer[begin : begin + size]))
            at = begin + size

    def _run(self, answer: bytes, table: Bytes, at: int, end: int) -> int:
        """Takes the records from `at` on that are like the first, which ends at `end`, if they are some; how
        many."""
        size = end - at
        left = (len(answer) - at) // size
        if left < FEW:
            return 0
        layout = _layout(answer, at, end)
        if layout is None:
            return 0
        rows = table[at : at + left * size].reshape(left, size)
        alike = np.ones(size, bool)
        alike[layout.key : layout.key + KEY] = alike[layout.value : layout.value + layout.length] = False
        if not (rows[1:FEW] == rows[0])[:, alike].all():
            return 0
        same = (rows == rows[0])[:, alike].all(axis=1)
        digits = rows[:, layout.key : layout.key + KEY] - np.uint8(ord("0"))
        # A first digit of 0 keeps the number below 2^64.
        same &= (digits <= 9).all(axis=1) & (digits[:, 0] == 0)
        count = int(same.argmin()) if not same.all() else left
        if count < FEW:
            return 0
        numbers = digits[:count].reshape(-1, 2, 10).astype(np.uint64) @ _HALF
        nodes = numbers[:, 0] * np.uint64(10**10) + numbers[:, 1]
        if layout.family is not None:
            self._family = layout.family.decode()
        if layout.qualifier is not None:
            self._qualifier = layout.qualifier
        self._column = f"{self._family}:{self._qualifier.decode()}"
        values = rows[:count, layout.value : layout.value + layout.length]
        cells = CellScan(
            np.arange(count),
            np.full(count, layout.time, np.int64),
            np.ascontiguousarray(values).ravel(),
            np.arange(count + 1) * layout.length,
        )
        self._scans += [*self._builder.taken(), Scan(nodes, {self._column: cells})]
        self.last = b"%020d" % int(nodes[-1])
        return count

    def _single(self, chunk: Any) -> None:
        """Takes one CellChunk; a row ends with its commit, a cell may come in several."""
        if chunk.reset_row:
            self.restart()
            return
        parts = self._parts
        if not parts:
            self._key = chunk.row_key or self._key
            named = chunk.HasField("family_name")
            if named:
                self._family = chunk.family_name.value
            if chunk.HasField("qualifier"):
                self._qualifier, named = chunk.qualifier.value, True
            if named:
                self._column = f"{self._family}:{self._qualifier.decode()}"
            self._time = chunk.timestamp_micros
        if chunk.value_size:
            parts.append(chunk.value)
            return
        if self._column not in self._cells:
            value = b"".join([*parts, chunk.value]) if parts else chunk.value
            self._cells[self._column] = (value, self._time)
        if parts:
            self._parts = []
        if chunk.commit_row:
            self._builder.add(self._key, ((name, *cell) for name, cell in self._cells.items()))
            self.last, self._cells = self._key, {}


def _layout(answer: bytes, at: int, end: int) -> _Layout | None:
    """The layout of a record, if it is a row with one whole cell and the key of a node."""
    size, begin = end - at, _varint(answer, at + 1)[1]
    key = value = -1
    length = time = 0
    family: bytes | None = None
    qualifier: bytes | None = None
    committed = False
    here = begin
    while here < end:
        tag = answer[here]
        number, here = _varint(answer, here + 1)
        if tag == _TIME:
            time = number
        elif tag == _COMMIT:
            committed = number == 1
        elif tag == _KEY and number == KEY:
            key, here = here - at, here + number
        elif tag == _VALUE:
            value, length, here = here - at, number, here + number
        elif tag in (_FAMILY, _QUALIFIER) and number >= 2:
            inner = answer[here + 2 : here + number]
            family, qualifier = (inner, qualifier) if tag == _FAMILY else (family, inner)
            here += number
        else:
            return None
    return _Layout(size, key, value, length, family, qualifier, time) if min(key, value) > 0 and committed else None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
