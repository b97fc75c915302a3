"""A run as an operator holds it: every command, function and program goes through here.

    Run.open(backend, graph)            a run that was begun (shared.operate.begin begins one)
    run.status(), run.failures()        how far it is, what failed
    run.pause(), run.resume()           hold it; go on, whatever was lost
    run.replay(…), run.discard(…)       what becomes of chunks in the dead letters
    run.queue_layer(…), run.queue_chunk(…), run.build(…), run.work()
    run.verify(), run.begin_verification(), run.repair(…), run.upgrade(), run.reset(), run.books

Nothing here parses, prints or starts a machine: who queues something with tasks elsewhere has them started
(shared.dispatch). Invariants: whatever goes on with a run takes in the dead letters that wait first, since one
that came in afterwards would give up a chunk that was just queued.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property

from shared.chunks.codec import decode_handoff
from shared.chunks.emit import Built
from shared.chunks.totals import Totals
from shared.errors import StateError
from shared.inputs.segmentation.cut import Cut
from shared.operate import clearing, queueing
from shared.operate.books import Books
from shared.operate.checking import Checking
from shared.operate.dead_letters import collect
from shared.operate.first_rows import need_first_rows
from shared.operate.replay import chosen, current_failures, discard, forget, replay
from shared.operate.status import RunStatus, run_status
from shared.operate.upgrade import begin_upgrade, check_unedited, finish_upgrade
from shared.operate.working import work_here
from shared.plan.grid import Chunk
from shared.run import control
from shared.run.backend import Backend
from shared.run.done import is_finished
from shared.run.messages import Message
from shared.run.ports import Completion, Failure, Orphan, Queue, State, Storage
from shared.run.record import RECORD_NAME, RunRecord
from shared.run.registry import Registry, need_record
from shared.timestamps import now
from shared.work.open_runs import open_run
from shared.work.steps import OpenRun


class Run(Checking):
    """A run of a graph, and what can be done with it. Each method raises what the ports raise."""

    @classmethod
    def open(cls, backend: Backend, graph: str) -> Run:
        """The current run of a graph; StateError if there is none, DataError for a damaged record."""
        return cls(backend, need_record(backend, graph))

    @cached_property
    def opened(self) -> OpenRun:
        """The run with its connections, as a worker has it."""
        return open_run(self.backend, self.record)

    @cached_property
    def scratch(self) -> Storage:
        """The graph's folder."""
        return self.opened.sources.scratch

    @cached_property
    def completion(self) -> Completion:
        """The progress of the run."""
        return self.backend.completion(self.graph, self.record.run)

    @property
    def finished(self) -> bool:
        """Whether the top chunk is done."""
        return is_finished(self.record, self.completion)

    @property
    def paused(self) -> str:
        """Since when and by whom the run is paused; empty if it is not."""
        return control.read_control(self.scratch).paused

    @contextmanager
    def publishing(self) -> Iterator[Queue]:
        """A queue to publish the run's messages to; dispatch looks at the graph from then on."""
        self.backend.board().announce(self.graph)
        queue = self.backend.queue([])
        try:
            yield queue
        finally:
            queue.close()

    def status(self) -> RunStatus:
        """How far the run is, a line a layer; rates are averages since it was begun."""
        seconds = self._clock() - self.record.timestamp_ms / 1000
        progress = self.completion.progress(self.record.plan.layers)
        return run_status(self.record.plan, progress, current_failures(self.record, self.completion), {}, seconds)

    @property
    def books(self) -> Books:
        """What its plan said, what it took, and what is kept of it."""
        return Books(self.backend, self.record, self.completion, self.status, self.totals, lambda: self.paused)

    def totals(self) -> Totals | None:
        """What the layers came to, from the counts in the top hand-off; None before that is stored, and of a run
        that builds nothing."""
        if self.record.verifies:
            return None
        name = self.record.handoff_name(self.record.plan.top)
        data = self.scratch.get([name])[name]
        if data is None:
            return None
        return decode_handoff(data, f"{self.scratch.folder}/{name}", self.record.plan.top).totals

    def collect_dead_letters(self) -> None:
        """Makes failure records of the dead letters that wait, of any graph, as a function does in the cloud."""
        collect(Registry(self.backend), self.backend.dead_letters())

    def failures(self) -> list[Failure]:
        """What failed and is not done, by chunk, with the dead letters that have come so far."""
        self.collect_dead_letters()
        return current_failures(self.record, self.completion)

    def orphans(self) -> list[Orphan]:
        """The dead letters that belong to no run of any graph, the oldest first."""
        return self.backend.orphans().all()

    def dead(self, layer: int | None = None, chunks: Collection[Chunk] = ()) -> list[Failure]:
        """The failures to replay or discard: the dead ones of a layer, or of all; or the named chunks',
        discarded ones too. StateError for a named chunk without such a failure."""
        wanted = chosen(self.failures(), layer, chunks)
        missing = sorted(set(chunks) - {failure.chunk for failure in wanted})
        if missing:
            named = ", ".join(map(str, missing[:5]))
            raise StateError(f"{self.graph}: {named} has no such failure; make failed {self.where} lists all")
        return wanted

    def pause(self, who: str) -> bool:
        """Has workers begin no more chunks, `who` says why and since when; False if there is nothing to pause."""
        if self.finished:
            return False
        control.pause(self.scratch, who)
        return True

    def resume(self) -> dict[int, int]:
        """Queues what is missing, wherever it was lost, and ends a pause; how many chunks a layer.

        StateError if the table is gone.
        """
        if not (self.record.prepare or self.record.verifies):
            need_first_rows(self.record, self.opened.table, self.how_to_begin)
        self.backend.prepare(self.record.plan.layers)
        self.collect_dead_letters()
        with self.publishing() as queue:
            queued = queueing.resume(self.record, self.scratch, self.completion, queue)
        # Only now: workers that wait would begin before they know that messages may have doubles.
        control.go_on(self.scratch)
        return queued

    def replay(self, failures: Iterable[Failure]) -> int:
        """Queues the chunks of failures once more and forgets why they failed; how many."""
        with self.publishing() as queue:
            return replay(self.record, self.completion, queue, failures, now())

    def discard(self, failures: Iterable[Failure]) -> None:
        """Gives up the chunks of dead failures. StateError for a part of the tables, which all chunks wait for."""
        discard(self.completion, failures, now())

    def queue_layer(self, layer: int) -> int:
        """Queues what is not done of a layer, for runs whose parents are not queued by themselves; how many
        chunks. StateError if the layer below is not done."""
        plan = self.record.plan
        if layer not in plan.layers:
            raise StateError(f"{self.graph} has layers {plan.layers[0]} to {plan.top.layer}, not {layer}")
        lowest = plan.layers[0]
        below = self.completion.progress([layer - 1])[layer - 1].done if layer > lowest else 0
        if layer > lowest and below < plan.total(layer - 1):
            raise StateError(
                f"layer {layer - 1} of {self.graph} has {below:,} of {plan.total(layer - 1):,} chunks done; "
                f"build it first: make layer N={layer - 1} {self.where}"
            )
        with self.publishing() as queue:
            return queueing.queue_ready(self.record, layer, self.completion, queue)

    def queue_chunk(self, chunk: Chunk) -> None:
        """Queues one chunk to be built even if it is done; building it again changes nothing else."""
        self.need_chunk(chunk)
        failure = self.completion.failure(chunk)
        with self.publishing() as queue:
            queue.publish(chunk.layer, [Message(self.graph, self.record.run, chunk, force=True).encode()])
        forget(self.completion, [failure] if failure else [], now())

    def build(self, chunk: Chunk) -> Built:
        """Builds one chunk here and writes nothing; raises what its build raises."""
        self.need_table()
        self.need_chunk(chunk)
        return self.opened.sources.build(self.record, chunk)

    def cut(self, chunk: Chunk) -> Cut:
        """Cuts one chunk of layer 1 here and writes nothing; raises what that raises. StateError for a part of the
        tables."""
        self.need_chunk(chunk)
        cutter = self.opened.sources.cutter
        if cutter is None or chunk.layer == 0:
            raise StateError(f"{self.graph}: chunk {chunk} is a part of the tables, which are sorted and not built")
        return cutter.cut(self.record, chunk).cut

    def work(
        self,
        stopped: Callable[[], bool] = lambda: False,
        idle_seconds: float = 0.0,
        wait: Callable[[float], object] = time.sleep,
    ) -> int:
        """Builds what is queued with one worker in this thread, until nothing came for `idle_seconds` or
        `stopped` says so; the number of chunks done. What runs in memory is built so."""
        return work_here(self.backend, self.record.plan.layers, stopped, idle_seconds, wait)

    def upgrade(self) -> dict[int, int]:
        """Begins to make a table of schema 2 one of schema 3, or goes on with that; how many chunks a layer
        are queued. `finish_upgrade` ends it. StateError for a table that cannot be upgraded (now)."""
        self.need_table()
        record, table = self.record, self.opened.table
        if record.upgrade:
            return self.resume()
        if not table.exists():
            raise StateError(f"there is no table {record.table} of graph {self.graph}")
        if record.schema == 3:
            return {}
        if not self.finished:
            raise StateError(
                f"{self.graph} is not done, or its progress was lost; complete it first: make resume {self.where}"
            )
        check_unedited(record, table)
        self.backend.prepare(record.plan.layers)
        with self.publishing() as queue:
            begun, count = begin_upgrade(record, self._new_name(), self.scratch, table, self.completion, queue)
        self._become(begun)
        return {2: count}

    def finish_upgrade(self) -> None:
        """Makes the table of a finished and verified upgrade one of schema 3."""
        self._become(finish_upgrade(self.record, self.scratch, self.opened.table))

    def reset(self) -> None:
        """Drops the progress, hand-offs and queued messages of the run; its table and timestamp stay.

        A new run id comes first: from then on workers take every queued message of the old run for stale.
        The timestamp is kept, so what is built again is what is there.
        """
        before, completion = self.record, self.completion
        renewed = replace(before, run=self._new_name())
        self.scratch.put(RECORD_NAME, renewed.encode())
        self.backend.board().withdraw(self.graph)
        completion.clear()
        clearing.delete_run(self.scratch, before.run)
        self._become(renewed)

    @property
    def how_to_go_on(self) -> str:
        """The command that goes on with the run."""
        return f"make {'upgrade' if self.record.upgrade else 'resume'} {self.where}"

    @property
    def discarded(self) -> int:
        """Chunks that were given up."""
        return sum(failure.state is State.DISCARDED for failure in self.completion.failures())

    def _new_name(self) -> str:
        return f"r{int(self._clock() * 1000)}"

    def _become(self, record: RunRecord) -> None:
        self.record = record
        for name in ("opened", "completion"):
            self.__dict__.pop(name, None)
