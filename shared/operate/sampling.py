"""A few chunks are built for real, as `chunk-local` builds one, to be thrown away: what one takes here, measured.

A run need not have been begun: everything that a job would leave stays in memory, and goes before the next chunk.
A chunk of layer 2 of a segmentation needs its own cut and those behind its faces, so it costs up to seven cuts,
each of which is measured, too. Before the first chunk one job is done that is not counted, so that imports and
connections are no part of what a chunk takes; what the process holds then is what peaks are compared with.

Invariants: nothing is written; the same chunks are built each time. What cannot be built is told of, and the others
count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.estimate.measured import ROWS, Job
from shared.estimate.sampled import Seen
from shared.inputs.source import Remembered
from shared.operate.one_chunk import seen_in
from shared.operate.timed import Clock, Tally, TimedBackend, dropped, timed_volumes
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.run.backend import Backend
from shared.run.record import RunRecord
from shared.table.cells import Cells
from shared.tables.parts import Part
from shared.work.attempt import Meter
from shared.work.open_runs import open_run
from shared.work.sources import Made, Sources

SORTED_ROWS = 20_000_000
"""Tables of a segmentation with so many rows at most are sorted for a sample, some 140 MB in memory."""

Encode = Callable[[Sequence[Cells], int], Iterator[tuple[int, int]]]
"""Makes requests of the cells of a chunk, with a time in ms: the rows and the bytes of each."""


@dataclass(frozen=True)
class Instruments:
    """What is measured with: seconds on the clock, the meter that workers have, and the table's encoder."""

    clock: Clock
    meter: Meter
    encode: Encode


@dataclass(frozen=True)
class Taken:
    """What one sampled chunk of layer 2 came to: the jobs that were done for it, what is in it, and why it could
    not be built, if so."""

    chunk: Chunk
    jobs: tuple[Job, ...] = ()
    seen: Seen | None = None
    error: Exception | None = None


class NoTables:
    """Says nothing of any supervoxel: in the place of tables that were not sorted."""

    def objects_of(self, supervoxels: Ids) -> Ids:
        """0 for each."""
        return np.zeros(len(supervoxels), np.uint64)

    def scores_of(self, pairs: Ids) -> npt.NDArray[np.float32]:
        """NaN for each."""
        return np.full(len(pairs), np.nan, np.float32)


def table_rows(record: RunRecord) -> int:
    """Rows of the tables of a segmentation."""
    return sum(Part.read(part).rows for part in record.table_parts)


def cuts_alone(record: RunRecord) -> bool:
    """Whether nothing but cuts can be sampled, as its tables are too large to be sorted for it."""
    return table_rows(record) > SORTED_ROWS


@dataclass
class Sampling:
    """Builds chunks of a run that was never begun; `backend` has all but its inputs in memory."""

    backend: Backend
    record: RunRecord
    instruments: Instruments

    def take(self, chunks: Sequence[Chunk]) -> Iterator[Taken]:
        """What each chunk of layer 2 came to, as they are done. Raises what opening the run raises."""
        self._tally = Tally(self.instruments.clock)
        self._sources = self._opened()
        self._sort_tables()
        self._warm_up(chunks[0])
        for chunk in chunks:
            try:
                yield self._taken(chunk)
            except Exception as error:  # whatever a library raises is of this chunk
                yield Taken(chunk, error=error)

    def _opened(self) -> Sources:
        sources = open_run(TimedBackend(self.backend, self._tally), self.record).sources
        written = dropped(sources.written, self.record.segmentation, self._tally)
        if sources.cutter is None:
            return replace(sources, written=written)
        cutter = replace(sources.cutter, volumes=timed_volumes(sources.cutter.volumes, self._tally))
        if cuts_alone(self.record):
            cutter = replace(cutter, tables=NoTables())
        return replace(sources, written=written, cutter=cutter)

    def _sort_tables(self) -> None:
        """Does the jobs of layer 0, which cuts ask; they are not measured."""
        if self._sources.sorter is None or cuts_alone(self.record):
            return
        for number in range(self.record.plan.tables):
            chunk = self.record.plan.chunk_at(0, number)
            handoff = self._sources.make(self.record, chunk).handoff
            self._sources.scratch.put(self.record.handoff_name(chunk), handoff)

    def _warm_up(self, chunk: Chunk) -> None:
        """Does one job that is not counted, and notes what the process holds then."""
        lowest = chunk if self._sources.cutter is None else chunk._replace(layer=1)
        with suppress(Exception):  # which is met again, and told of
            self._made(lowest, self._sources)
        self.instruments.meter.start()
        self._before = self.instruments.meter.peak_mb()

    def _taken(self, chunk: Chunk) -> Taken:
        around, jobs = self._cuts_around(chunk), list[Job]()
        try:
            for cut in around:
                job, handoff = self._measured(cut, self._sources)
                jobs.append(job)
                self._sources.scratch.put(self.record.handoff_name(cut), handoff)
            if cuts_alone(self.record):
                return Taken(chunk, tuple(jobs))
            # What was read is kept, so that to count what is in the chunk nothing is read again.
            sources = replace(self._sources, inputs=Remembered(self._sources.inputs))
            job, _ = self._measured(chunk, sources)
            seen = seen_in(self.record.plan, chunk, sources.inputs)
        finally:
            for cut in around:
                self._sources.scratch.put(self.record.handoff_name(cut), b"")
        if not isinstance(seen, Seen):
            raise seen
        return Taken(chunk, (*jobs, job), seen)

    def _cuts_around(self, chunk: Chunk) -> list[Chunk]:
        """The cuts that a chunk of layer 2 is made of; none of a dataset that is no segmentation."""
        if self._sources.cutter is None:
            return []
        own, plan = chunk._replace(layer=1), self.record.plan
        return [own, *(other for other in plan.grid.neighbours(own).values() if other in plan)]

    def _measured(self, chunk: Chunk, sources: Sources) -> tuple[Job, bytes]:
        """Does one job, and measures it."""
        with_ = self.instruments
        self._tally.take()
        with_.meter.start()
        began = with_.clock()
        rows, made = self._made(chunk, sources)
        cpu, seconds = with_.meter.cpu_seconds(), with_.clock() - began
        peak = with_.meter.peak_mb()
        grown = None if peak is None or self._before is None else max(0.0, peak - self._before) * (1 << 20)
        return Job(
            layer=chunk.layer,
            chunk=chunk.coords,
            supervoxels=made.supervoxels,
            rows=rows,
            handoff_bytes=len(made.handoff),
            seconds=seconds,
            cpu_seconds=cpu,
            peak_bytes=None if peak is None else peak * (1 << 20),
            grown_bytes=grown,
            services=self._tally.take(),
        ), made.handoff

    def _made(self, chunk: Chunk, sources: Sources) -> tuple[int, Made]:
        """What a worker does up to where it would store something: how many rows, and what the job came to."""
        made = sources.make(self.record, chunk)
        for file in made.files:
            file.put()
        rows = 0
        if made.cells is not None:
            requests = self.instruments.encode(made.cells, self.record.timestamp_ms)
            while True:
                with self._tally.counting(ROWS, 0) as sizes:
                    request = next(requests, None)
                    if request is not None:
                        sizes.append(request[1])
                if request is None:
                    break
                rows += request[0]
                self._tally.spent[ROWS] = self._tally.spent[ROWS].and_more(0.0, 1, 0)
        return rows, made


def first_error(taken: Sequence[Taken]) -> Exception | None:
    """Why nothing could be sampled: the first error where there is nothing else."""
    errors = [one.error for one in taken if one.error is not None]
    return errors[0] if errors and not any(one.jobs for one in taken) else None


def told(taken: Sequence[Taken]) -> tuple[str, ...]:
    """Why chunks could not be built."""
    return tuple(
        str(one.error) if isinstance(one.error, DataError) else
        f"chunk {one.chunk}: {type(one.error).__name__}: {str(one.error)[:300]}"
        for one in taken
        if one.error is not None
    )  # fmt: skip
