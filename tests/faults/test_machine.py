"""Queue and completion in any order of events, step by step beside a model that says what has to be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.errors import DataError
from shared.operate.queueing import resume
from shared.operate.replay import chosen, current_failures, replay
from shared.plan.grid import Chunk
from shared.run.control import go_on, pause
from shared.run.messages import Message
from shared.run.ports import DEAD, Delivery
from shared.work.outcomes import Outcome
from shared.work.worker import Worker
from tests.examples import examples
from tests.faults.crash import USUAL, Crash, Faults, Planned, Point, crash
from tests.faults.disturbed import DisturbedRun, every_chunk
from tests.faults.model import BEFORE, Model
from tests.harness import MemoryRun, worker_of
from tests.volumes import random_volume

VOLUME = random_volume(8, (3, 2, 1), size=3, schema=3)
PLAN = VOLUME.plan
UNDISTURBED = MemoryRun.of(VOLUME).start().work().raw_table()

FEW = 3
"""Crashes and errors that a chunk may meet; with more the worker gives it up."""

EARLY = [point for point in BEFORE if point in USUAL]
"""Where a fault leaves nothing noted; this run writes no processed files, so it comes to none of their points."""

which = st.integers(0, 1000)
"""Which of the messages there are, counted in a circle."""


class Broken(RuntimeError):
    """Something that nobody foresaw."""


class Watching(Faults):
    """Faults that see whether a chunk is begun before what it waits for is stored."""

    run_of: DisturbedRun

    def read(self) -> None:
        """Checks what is there when the inputs of a chunk have been read."""
        if self.chunk is not None:
            missing = set(PLAN.dependencies(self.chunk)) - self.run_of.stored()
            if missing:
                raise Crash(f"{self.chunk} was begun before {missing}")
        super().read()


class Machine(RuleBasedStateMachine):
    """Everything that may happen to messages, workers and progress, as rules."""

    @initialize()
    def start(self) -> None:
        """Layer 2 is queued."""
        self.run = DisturbedRun.planned({}, volume=VOLUME)
        self.model = Model(PLAN)
        self.waiting = Counter(every_chunk(PLAN)[: PLAN.total(2)])
        self.ever = set(self.waiting)
        self.dead: set[Chunk] = set()
        self.met: Counter[Chunk] = Counter()
        self.paused = False

    # ---- what workers do

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which)
    def deliver(self, at: int) -> None:
        """A worker gets any of the messages, and does what it asks for."""
        chunk, delivery, worker = self.take(at, {})
        assert worker.handle(delivery) in (Outcome.DONE, Outcome.ALREADY_DONE)
        self.finished(chunk)

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which, point=st.sampled_from(USUAL))
    def deliver_and_crash(self, at: int, point: Point) -> None:
        """A worker ends at some point of its work, if it comes there; its lease ends, the message comes again."""
        chunk = self.chosen(at)
        if self.met[chunk] >= FEW or self.is_known(chunk):
            return
        self.met[chunk] += 1
        _, delivery, worker = self.take(at, {chunk: [point]})
        try:
            worker.handle(delivery)
        except Crash as error:
            assert str(error) == f"{chunk} {point}"
            self.run.broker.expire()
            self.queue(self.model.attempt(chunk, end=point))
            return
        self.finished(chunk)

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which, point=st.sampled_from(EARLY))
    def deliver_and_fail(self, at: int, point: Point) -> None:
        """An attempt ends with an error that may pass."""
        chunk = self.chosen(at)
        if self.met[chunk] >= FEW or self.is_known(chunk):
            return
        self.met[chunk] += 1

        def act(chunk: Chunk, point: Point) -> None:
            raise Broken(f"{chunk} {point}")

        _, delivery, worker = self.take(at, {chunk: [point]}, act)
        assert worker.handle(delivery) is Outcome.RETRY
        self.dead.discard(chunk)

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which, point=st.sampled_from(EARLY))
    def deliver_what_is_damaged(self, at: int, point: Point) -> None:
        """An attempt ends with an error that lasts: a dead letter."""
        chunk = self.chosen(at)
        if self.is_known(chunk):
            return

        def act(chunk: Chunk, point: Point) -> None:
            raise DataError("file", chunk, point)

        _, delivery, worker = self.take(at, {chunk: [point]}, act)
        assert worker.handle(delivery) is Outcome.DEAD
        self.waiting[chunk] -= 1
        self.dead.add(chunk)

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which, point=st.sampled_from(USUAL))
    def lose_the_lease(self, at: int, point: Point) -> None:
        """A lease ends while its worker goes on, which gives up where it notices; the message comes again."""
        chunk = self.chosen(at)
        if self.is_known(chunk):
            return

        def act(_chunk: Chunk, _point: Point) -> None:
            self.run.broker.expire()

        _, delivery, worker = self.take(at, {chunk: [point]}, act)
        disturbed = worker.runs
        assert isinstance(disturbed, DisturbedRun)
        outcome = worker.handle(delivery)
        if not disturbed.faults.met:
            self.finished(chunk)
        elif point in BEFORE:
            assert outcome is Outcome.LOST
        else:
            assert outcome is Outcome.DONE
            self.queue(self.model.attempt(chunk))

    @precondition(lambda self: self.waiting.total() and not self.paused)
    @rule(at=which, other=which, point=st.sampled_from([*EARLY, Point.ACK]), expire=st.booleans())
    def deliver_two_at_once(self, at: int, other: int, point: Point, expire: bool) -> None:
        """While one worker is at some point of its work, another does any message, maybe the very same."""
        chunk = self.chosen(at)
        if self.is_known(chunk):
            return

        def act(_chunk: Chunk, _point: Point) -> None:
            # The first is not yet done by what it has told, or wholly.
            if point is Point.ACK:
                self.queue(self.model.attempt(chunk))
            self.waiting[chunk] -= 1
            if expire:
                self.run.broker.expire()
                self.waiting[chunk] += 1
            if self.waiting.total():
                self.deliver(other)

        _, delivery, worker = self.take(at, {chunk: [point]}, act)
        outcome = worker.handle(delivery)
        if point is not Point.ACK:
            assert outcome is (Outcome.LOST if expire else Outcome.DONE)
            if not expire:
                self.queue(self.model.attempt(chunk))

    @precondition(lambda self: self.waiting.total() and self.paused)
    @rule(at=which)
    def deliver_while_paused(self, at: int) -> None:
        """Nothing is begun; the message waits on."""
        _, delivery, worker = self.take(at, {})
        assert worker.handle(delivery) is Outcome.PAUSED

    # ---- what happens to messages and records

    @rule(at=which)
    def duplicate(self, at: int) -> None:
        """A message that was ever queued comes once more."""
        chunk = sorted(self.ever)[at % len(self.ever)]
        self.run.broker.open([]).publish(chunk.layer, [self.run.record.message(chunk)])
        self.waiting[chunk] += 1

    @rule()
    def lose_messages_and_resume(self) -> None:
        """Everything queued is gone, as after a week, or with an emulator."""
        for messages in self.run.broker.waiting.values():
            messages.clear()
        self.waiting.clear()
        self.resume()

    @rule(lose_messages=st.booleans())
    def wipe_progress_and_resume(self, lose_messages: bool) -> None:
        """All completion records are gone."""
        self.run.completion.clear()
        stored = self.run.stored()
        self.model = Model(PLAN, check_done_first=self.model.check_done_first)
        self.dead.clear()
        self.met.clear()
        assert {chunk for chunk in stored if chunk.layer == 2} <= set(every_chunk(PLAN))
        if lose_messages:
            self.lose_messages_and_resume()
        else:
            self.resume()

    # ---- what an operator does

    @rule()
    def resume(self) -> None:
        """What is stored is noted, and what is missing is queued."""
        resume(self.run.record, self.run.scratch, self.run.completion, self.run.broker.open([]))
        self.queue(self.model.resume(self.run.stored()))
        self.dead.clear()
        self.met.clear()

    @rule()
    def replay(self) -> None:
        """The chunks of all dead letters are queued again; a second time does nothing more."""
        for _ in range(2):
            found = chosen(current_failures(self.run.record, self.run.completion), None, [])
            replay(self.run.record, self.run.completion, self.run.broker.open([]), found, "now")
            assert {failure.chunk for failure in found} == self.dead - self.done()
            self.queue(sorted(self.dead - self.done()))
            self.dead.clear()
        self.met.clear()

    @rule()
    def pause(self) -> None:
        """Workers begin nothing from now on."""
        pause(self.run.scratch, "somebody")
        self.paused = True

    @rule()
    def go_on(self) -> None:
        """Workers begin chunks again."""
        go_on(self.run.scratch)
        self.paused = False

    # ---- what has to be

    @invariant()
    def messages_are_the_models(self) -> None:
        """Exactly the messages wait that have to."""
        assert self.waiting_messages() == +self.waiting

    @invariant()
    def progress_is_the_models(self) -> None:
        """Exactly the dependencies are noted that are done."""
        for chunk in [*every_chunk(PLAN), PLAN.end]:
            bits = PLAN.bits(chunk)
            done = self.run.completion.done(chunk)
            assert {on for on, bit in bits.items() if done >> bit & 1} == self.model.noted[chunk]

    @invariant()
    def failures_are_the_models(self) -> None:
        """Exactly the chunks are in the failures that somebody has to look after."""
        found = current_failures(self.run.record, self.run.completion)
        assert {failure.chunk for failure in found if failure.dead} == self.dead - self.done()

    def teardown(self) -> None:
        """Once everything is mended and queued again, the root is built, and the table is as it has to be."""
        if not hasattr(self, "run"):
            return
        self.go_on()
        self.resume()
        while self.waiting.total():
            self.deliver(0)
            self.messages_are_the_models()
        assert self.run.finished and self.model.finished
        assert self.run.raw_table() == UNDISTURBED
        self.failures_are_the_models()

    # ---- how

    def waiting_messages(self) -> Counter[Chunk]:
        """The messages in the queue."""
        queued = self.run.broker.waiting.items()
        return Counter(
            Message.decode(message.data).chunk
            for layer, messages in queued
            if layer != DEAD
            for message in messages
        )

    def chosen(self, at: int) -> Chunk:
        """The chunk of one of the messages that wait."""
        waiting = sorted(+self.waiting)
        return waiting[at % len(waiting)]

    def take(self, at: int, script: dict[Chunk, list[Point]], act: Any = crash) -> tuple[Chunk, Delivery, Worker]:
        """A worker that has been given one of the messages."""
        chunk = self.chosen(at)
        faults = Watching(Planned(script), act)
        faults.run_of = self.run
        view = replace(self.run, faults=faults)
        queue = faults.queue(self.run.broker.open([chunk.layer]))
        messages = self.run.broker.waiting[chunk.layer]
        # Bounded, as the broker and the model may differ once a check has failed.
        for _ in range(len(messages)):
            if Message.decode(messages[0].data).chunk == chunk:
                break
            messages.rotate()
        else:
            raise AssertionError(f"no message for {chunk} waits, though it has to")
        delivery = queue.receive(0.0)
        assert delivery is not None
        return chunk, delivery, worker_of(queue, view, self.run.name())

    def finished(self, chunk: Chunk) -> None:
        """A message has been done and acked."""
        self.waiting[chunk] -= 1
        self.queue(self.model.handle(chunk))

    def queue(self, chunks: list[Chunk]) -> None:
        """Messages have been published."""
        self.waiting.update(chunks)
        self.ever.update(chunks)

    def is_known(self, chunk: Chunk) -> bool:
        """Whether a worker looks first and finds the chunk done."""
        return self.model.check_done_first and self.model.is_done(chunk)

    def done(self) -> set[Chunk]:
        """The chunks that are done."""
        return {chunk for chunk in every_chunk(PLAN) if self.model.is_done(chunk)}


TestMachine = Machine.TestCase
TestMachine.settings = examples(25, steps=30)
