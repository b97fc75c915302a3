"""What the sorted runs of a table say of keys: of each run only the blocks that may have one are read.

Invariants: what is remembered of indexes and blocks is bounded, and so is what is read at once, however many keys
are asked for; to forget costs time and changes no answer. Two runs that say different things of one key, of which
neither job could know, are a DataError that names both. May be used by several threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from shared.errors import DataError, IngestError
from shared.inputs.raw.cache import CACHE_BYTES, Cache
from shared.inputs.raw.ranges import Range, RangeReader
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.tables.lexical import Keys, equal, said, search, taken
from shared.tables.rows import Column, Table
from shared.tables.run_file import HEAD, Head, Run, read_head

STEP = 256
"""Blocks that are read and unpacked at once: some 20 MB."""
_GAP = 1 << 15
"""Bytes between two blocks that are read with them rather than asked for around."""

NameOf = Callable[[Chunk], str]
"""The name of the object that a job wrote, by its chunk: (0, part, 0, 0), and (0, part, 1, 0), … for more."""


class _Answers(NamedTuple):
    """For each wanted key its value, and the number of the run that has it, -1 for none."""

    values: Column
    runs: npt.NDArray[np.int64]


class Lookup:
    """The runs that the jobs of some parts of a table wrote, below the folder of `reader`.

    `parts` has, by its number, what each is called where two contradict each other.
    """

    def __init__(
        self,
        table: Table,
        reader: RangeReader,
        name_of: NameOf,
        parts: Mapping[int, str],
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        self._table, self._reader, self._name_of, self._parts = table, reader, name_of, dict(parts)
        self._cache = Cache(cache_bytes)
        self._heads: tuple[list[Chunk], list[Head]] | None = None

    def values_of(self, keys: Keys) -> tuple[Column, npt.NDArray[np.bool_]]:
        """For each key (columns (n,), in order and each once) its value, and whether it is listed.

        IngestError for a run that is not there, DataError for one that is damaged.
        """
        count = len(keys[0])
        answers = _Answers(np.zeros(count, self._table.dtype), np.full(count, -1, np.int64))
        if count:
            chunks, heads = self._all_heads()
            for number, (chunk, head) in enumerate(zip(chunks, heads, strict=True)):
                self._ask(number, chunk, head, keys, answers)
        return answers.values, answers.runs >= 0

    def _ask(self, number: int, chunk: Chunk, head: Head, keys: Keys, answers: _Answers) -> None:
        """Adds what one run says."""
        run = self._run(chunk, head)
        # The block of a key is the last one that does not begin behind it.
        blocks = search(run.first, keys, "right") - 1
        asked = np.flatnonzero(blocks >= 0)
        behind = search(run.last, taken(keys, asked)) > blocks[asked]
        asked = asked[~behind]
        if not len(asked):
            return
        wanted, starts = np.unique(blocks[asked], return_index=True)
        bounds = [*starts.tolist(), len(asked)]
        for at in range(0, len(wanted), STEP):
            step = wanted[at : at + STEP].tolist()
            for place, (there, values) in enumerate(self._blocks(chunk, run, step), at):
                of_block = asked[bounds[place] : bounds[place + 1]]
                sought = taken(keys, of_block)
                spot = np.minimum(search(there, sought), len(values) - 1)
                hit = equal(taken(there, spot), sought)
                self._note(number, of_block[hit], values[spot[hit]], keys, answers)

    def _note(self, number: int, at: npt.NDArray[np.intp], values: Column, keys: Keys, answers: _Answers) -> None:
        """Adds the values of some keys; DataError where another run has said something else."""
        differ = np.flatnonzero((answers.runs[at] >= 0) & (answers.values[at] != values))
        if len(differ):
            key = int(at[differ[0]])
            chunks, _ = self._all_heads()
            earlier = chunks[int(answers.runs[key])]
            kind = "objects" if self._table is Table.MAPPING else "scores"
            reason = (
                f"{said(keys, key)} has two {kind}: {answers.values[key]} in {self._parts[earlier.x]}, and "
                f"{values[differ[0]]} in {self._parts[chunks[number].x]}"
            )
            raise DataError(self._file(chunks[number]), chunks[number], reason)
        answers.values[at] = values
        answers.runs[at] = number

    def _blocks(self, chunk: Chunk, run: Run, numbers: list[int]) -> Iterator[tuple[Keys, Column]]:
        """Some blocks of a run, from what is remembered or read."""
        found = {number: self._cache.get((chunk, number)) for number in numbers}
        missing = [number for number in numbers if found[number] is None]
        spans: list[Range] = []
        places: list[tuple[int, int, int]] = []
        name = self._name_of(chunk)
        for number in missing:
            start, end = int(run.starts[number]), int(run.starts[number + 1])
            if spans and start - (spans[-1].start + spans[-1].length) <= _GAP:
                spans[-1] = Range(name, spans[-1].start, end - spans[-1].start)
            else:
                spans.append(Range(name, start, end - start))
            places.append((len(spans) - 1, start - spans[-1].start, end - spans[-1].start))
        data = self._read(spans)
        for number, (span, start, end) in zip(missing, places, strict=True):
            found[number] = block = run.block(number, data[span][start:end])
            keys, values = block
            self._cache.put((chunk, number), block, sum(key.nbytes for key in keys) + values.nbytes + 300)
        return iter(found.values())

    def _run(self, chunk: Chunk, head: Head) -> Run:
        found: Run | None = self._cache.get(chunk)
        if found is None:
            index = self._read([Range(self._name_of(chunk), head.start, max(1, head.length))])[0]
            found = Run(self._table, self._file(chunk), chunk, head, index)
            self._cache.put(chunk, found, found.weight)
        return found

    def _all_heads(self) -> tuple[list[Chunk], list[Head]]:
        """Each run and what its first bytes say, in order; read once."""
        if self._heads is None:
            chunks = [Chunk(0, part, 0, 0) for part in self._parts]
            heads = self._read_heads(chunks)
            more = [
                Chunk(0, part, number + 1, 0)
                for part, head in zip(self._parts, heads, strict=True)
                for number in range(head.more)
            ]
            self._heads = chunks + more, heads + self._read_heads(more)
        return self._heads

    def _read_heads(self, chunks: Sequence[Chunk]) -> list[Head]:
        """The heads of runs, and, as it comes along, most of their indexes."""
        found: list[Head] = []
        for at in range(0, len(chunks), STEP):
            some = chunks[at : at + STEP]
            read = self._read([Range(self._name_of(one), 0, HEAD) for one in some])
            for chunk, data in zip(some, read, strict=True):
                head = read_head(self._table, self._file(chunk), chunk, data)
                found.append(head)
                if head.start + head.length <= len(data):
                    index = data[head.start : head.start + head.length]
                    run = Run(self._table, self._file(chunk), chunk, head, index)
                    self._cache.put(chunk, run, run.weight)
        return found

    def _read(self, ranges: Sequence[Range]) -> list[bytes]:
        read = self._reader.read(ranges) if ranges else []
        for asked, data in zip(ranges, read, strict=True):
            if data is None:
                file = f"{self._reader.folder}/{asked.name}"
                raise IngestError(f"{file}: this sorted table is not there; it is tried again")
        return [data for data in read if data is not None]

    def _file(self, chunk: Chunk) -> str:
        return f"{self._reader.folder}/{self._name_of(chunk)}"


class SortedTables:
    """The tables of a run as cutting asks for them: objects, and scores where there are some."""

    def __init__(self, objects: Lookup, scores: Lookup | None = None) -> None:
        self._objects, self._scores = objects, scores

    def objects_of(self, supervoxels: Ids) -> Ids:
        """The object (n,) uint64 of each supervoxel (n,), in any order; 0 where none is listed."""
        wanted, back = np.unique(np.asarray(supervoxels, np.uint64), return_inverse=True)
        return self._objects.values_of((wanted,))[0][back].astype(np.uint64, copy=False)

    def scores_of(self, pairs: Ids) -> npt.NDArray[np.float32]:
        """The score (n,) float32 of each pair (n, 2), in any order; NaN where none is listed."""
        pairs = np.asarray(pairs, np.uint64).reshape(-1, 2)
        found = np.full(len(pairs), np.nan, np.float32)
        if self._scores is None or not len(pairs):
            return found
        keys: Keys = (pairs.min(axis=1), pairs.max(axis=1))
        order = np.lexsort(keys[::-1])
        keys = taken(keys, order)
        first = np.concatenate([[True], ~equal(taken(keys, slice(1, None)), taken(keys, slice(None, -1)))])
        values, listed = self._scores.values_of(taken(keys, first))
        found[order] = np.where(listed, values, np.float32(np.nan))[np.cumsum(first) - 1]
        return found
