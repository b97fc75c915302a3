"""Verification and repair as an operator asks for them of a run: the part of `Run` that is about trust in its
table."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from functools import partial
from typing import Self

from shared.errors import StateError
from shared.operate import mending, verify_run
from shared.operate.look import Look, look
from shared.operate.repair import Build, Repair, plan_repair
from shared.operate.verification import Verification, verify_here
from shared.plan.grid import Chunk
from shared.run.backend import Backend
from shared.run.ports import Storage, Table
from shared.run.record import VERIFY_NAME, RunRecord
from shared.run.registry import graph_folder
from shared.work.open_runs import open_run, open_written
from shared.work.steps import OpenRun


class Checking:
    """What is done to know that the table of a run is right, and to make it so."""

    backend: Backend
    record: RunRecord

    def __init__(self, backend: Backend, record: RunRecord, clock: Callable[[], float] = time.time) -> None:
        self.backend, self.record, self._clock = backend, record, clock

    @property
    def graph(self) -> str:
        """The graph's name."""
        return self.record.graph

    @property
    def where(self) -> str:
        """The variables by which a make command finds this run."""
        return f"GRAPH={self.graph}" + (f" PROJECT={self.backend.project}" if self.backend.project else "")

    @property
    def opened(self) -> OpenRun:
        """The run with its connections, as a worker has it."""
        raise NotImplementedError

    @property
    def finished(self) -> bool:
        """Whether the top chunk is done."""
        raise NotImplementedError

    def resume(self) -> dict[int, int]:
        """Queues what is missing."""
        raise NotImplementedError

    def verify(self, truth: str | None = None) -> Verification:
        """Checks the whole table of a finished run in this process; `truth` in place of the record's. The report is
        kept in the graph's folder. StateError before the end."""
        self._need_finished_table()
        inputs = None if self.record.test else open_written(self.backend, self.record)
        truth = None if self.record.test else truth or self.record.truth
        found = verify_here(self.record.plan, self._read, inputs, truth)
        return verify_run.keep(self._folder, found, "")

    def begin_verification(self) -> tuple[Self, int]:
        """Has the table of a finished run verified by the queue, or goes on with that: the run that does, and how
        many chunks are queued; one that is done is begun anew once its report was asked for. StateError before the
        end of the build."""
        self._need_finished_table()
        known = verify_run.known_verification(self.backend, self.graph)
        if known is not None and known.timestamp_ms > self.record.timestamp_ms:
            run = type(self)(self.backend, known, self._clock)
            if not run.finished:
                return run, sum(run.resume().values())
            if verify_run.last_report(graph_folder(self.backend, known.graph)) is None:
                return run, 0
        record, count = verify_run.begin_verification(self.backend, self.record, int(self._clock() * 1000))
        return type(self)(self.backend, record, self._clock), count

    def verification(self) -> Verification:
        """The report of the run that verifies this graph, or of this one, which verifies another; kept in the
        folder of the graph whose table it is. StateError before its end."""
        return self._collected(verify_run.verifying(self.backend, self.record))

    def _collected(self, record: RunRecord) -> Verification:
        own = graph_folder(self.backend, record.graph)
        folder = graph_folder(self.backend, record.verifies or record.graph)
        found = verify_run.keep(folder, verify_run.collected(record, own), record.run)
        # In its own folder it says that it was asked for.
        own.put(VERIFY_NAME, found.encode())
        return found

    def look(self, count: int) -> Look:
        """Looks at so many chunks of each layer of a finished run's table."""
        self._need_finished_table()
        inputs = None if self.record.test else open_written(self.backend, self.record)
        return look(self.record.plan, self._read, inputs, count)

    def plan_repair(self, chunks: Collection[Chunk] = ()) -> Repair:
        """What mends the table, by the last report or for these chunks; nothing is changed. StateError without a
        report, and for a table, or chunks, that were edited since the ingest."""
        self._need_finished_table()
        for chunk in chunks:
            self.need_chunk(chunk)
        report = None if chunks else verify_run.last_report(self._folder)
        if not chunks and report is None:
            raise StateError(
                f"{self.graph} was not verified; what is damaged is found by: make verify {self.where}"
            )
        wanted = chunks or (report.chunks if report else ())
        return plan_repair(self.record, self._read, self._build, wanted, named=bool(chunks))

    def repair(self, repair: Repair, tell: mending.Tell = lambda done, total: None) -> Verification:
        """Does a repair and verifies again: all of the table, or after a verification by the queue what may have
        changed; the new report."""
        mending.mend(self.record, self.opened.table, self._build, repair, tell)
        report = verify_run.last_report(self._folder)
        if report is None or not report.run:
            return self.verify()
        own = report.run == self.record.run
        record = self.record if own else verify_run.verifying(self.backend, self.record)
        verifying = open_run(self.backend, record).sources.verifying
        if record.run != report.run or verifying is None:
            raise StateError(f"{self.graph} is mended, but its verification is gone; see: make verify {self.where}")
        mending.verify_again(verifying, {*repair.chunks, *report.chunks})
        return self._collected(record)

    def need_chunk(self, chunk: Chunk) -> None:
        """StateError for a chunk that the run does not build, with its grids."""
        if chunk not in self.record.plan:
            plan = self.record.plan
            grids = ", ".join(f"{at}: {plan.grid.layer_shape(at)}" for at in plan.layers if at)
            raise StateError(f"{self.graph} has no chunk {chunk}; its grids by layer are {grids}")

    def need_table(self) -> None:
        """StateError for a run that only writes processed files, or verifies a table."""
        if self.record.verifies:
            told = f"{self.graph} verifies the table of {self.record.verifies}, which is the graph to name here"
            raise StateError(told)
        if self.record.prepare:
            raise StateError(
                f"{self.graph} is a run that prepares processed files, and has no table; build one with: "
                f"{self.how_to_begin}"
            )

    @property
    def how_to_begin(self) -> str:
        """The command that begins a run of this graph anew, as far as its dataset file can be known."""
        return f"make ingest DATASET=NAME {self.where}"

    @property
    def _folder(self) -> Storage:
        return self.opened.sources.scratch

    @property
    def _read(self) -> Table:
        """The table as a verification reads it."""
        return self.backend.table(self.record.table, self.record.instance, verifying=True)

    @property
    def _build(self) -> Build:
        make = partial(self.opened.sources.build, self.record)
        return mending.building(lambda chunk: make(chunk).cells, self.where)

    def _need_finished_table(self) -> None:
        self.need_table()
        if not self.finished:
            raise StateError(f"{self.graph} is not done; see: make status {self.where}")
