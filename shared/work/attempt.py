"""One attempt at one delivery: what is looked at first, the work, and what is recorded of its end.

Invariants: nothing here answers the queue, so an attempt may be made again while the message is
held. From the second delivery on the start of an attempt is recorded before the work begins, so a
chunk that takes its worker with it is seen by those who come after.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.classify import Classifier, Classify, Kind
from shared.errors import LeaseLost, MessageError
from shared.run.done import is_done
from shared.run.facts import Facts
from shared.run.messages import Message
from shared.run.ports import Delivery, Failure, Queue
from shared.timestamps import now
from shared.work import failures
from shared.work.aside import Aside
from shared.work.crowd import Crowd
from shared.work.failures import killed_too_often
from shared.work.outcomes import COUNTED, OUTCOME_OF, TAKEN_BACK, Outcome
from shared.work.saying import Saying
from shared.work.steps import OpenRun, complete, work_on


class Runs(Protocol):
    """Opens runs by what a message says."""

    def open(self, graph: str, run: str) -> OpenRun | None:
        """The run with its connections; None if the graph has no such run (any more)."""


class Meter(Protocol):
    """Measures the memory and the CPU of one attempt."""

    def start(self) -> None:
        """Begins to measure."""

    def peak_mb(self) -> float | None:
        """The most that the process held since, in MiB; None where that cannot be known."""

    def cpu_seconds(self) -> float:
        """The seconds of CPU that the process took since."""


@dataclass(frozen=True)
class Result:
    """What an attempt came to: its outcome, the error if there was one, and how many attempts of the chunk
    have failed by now. `fields` is what the log says of it, and nothing is decided by them. A `quiet` one
    tells nothing that was not told before."""

    outcome: Outcome
    fields: Mapping[str, object] = field(default_factory=dict)
    error: Exception | None = None
    run: OpenRun | None = None
    attempt: failures.Attempt | None = None
    failed_attempts: int = 0
    quiet: bool = False

    def ended(self, outcome: Outcome, error: Exception | None = None) -> Result:
        """The same attempt with another outcome, and another error if one is given."""
        if error is None:
            return replace(self, outcome=outcome)
        return replace(self, outcome=outcome, error=error, fields={**self.fields, **of_error(error)})


@dataclass
class Attempts:
    """Makes attempts for one worker; the fields are the worker's."""

    queue: Queue
    runs: Runs
    name: str
    clock: Callable[[], float]
    aside: Aside
    meter: Meter | None = None
    classify: Classify = field(default_factory=Classifier)
    saying: Saying | None = None
    crowd: Crowd = field(default_factory=Crowd)
    _noted: bool = False

    def make(self, delivery: Delivery, begun: str) -> Result:
        """Makes one attempt; raises nothing but what ends the process.

        `begun` is when the delivery was taken up; attempts made again while it is held have the same.
        """
        try:
            message = Message.decode(delivery.data)
        except MessageError as error:
            return Result(Outcome.DEAD, of_error(error), error)
        known = _of_message(message) | {"attempt": delivery.attempt}
        name = (message.graph, message.run)
        why = self.aside.why(name)
        if why is not None:
            return Result(Outcome.BLOCKED, {**known, **why}, quiet=True)
        result = self._look(delivery, message, begun, known)
        if result.outcome is Outcome.BLOCKED and result.error is not None:
            return replace(result, quiet=not self.aside.leave(name, of_error(result.error)))
        if result.outcome is Outcome.PAUSED:
            return replace(result, quiet=not self.aside.news(name, {"error": "paused"}))
        if result.outcome is Outcome.DONE:
            self.aside.forget(name)
        return result

    def note(self, result: Result) -> None:
        """Notes why a chunk cannot be built for now, for those who watch; raises what the record raises."""
        run, attempt, error = result.run, result.attempt, result.error
        if run is None or attempt is None or error is None:
            return
        self._noted = True
        run.completion.change_failure(
            attempt.chunk, lambda before: failures.hindered(before, attempt, error, now())
        )

    def _look(self, delivery: Delivery, message: Message, begun: str, known: dict[str, object]) -> Result:
        """Opens the run and makes the attempt, if there is something to be done."""
        try:
            run = self.runs.open(message.graph, message.run)
        except Exception as error:
            # Nothing is known about the chunk: a service is out of reach, or something is wrong with this run.
            kind = self.classify(error)
            outcome = OUTCOME_OF[kind] if kind in (Kind.STOP, Kind.OUTAGE) else Outcome.BLOCKED
            return Result(outcome, known | of_error(error), error)
        if run is None or message.chunk not in run.record.plan:
            return Result(Outcome.STALE, known)
        if run.control.paused:
            return Result(Outcome.PAUSED, known | {"paused": run.control.paused})
        token = f"{begun} on {self.name}, delivery {delivery.attempt}" if delivery.attempt > 1 else ""
        attempt = failures.Attempt(message.chunk, self.name, token)
        with self.crowd.place() as place:
            try:
                outcome, told = self._work(delivery, message, run, attempt)
                return Result(outcome, known | told)
            except Exception as error:
                # Anything at all may go wrong in a build; the table of kinds says what follows.
                result = Result(OUTCOME_OF[self.classify(error)], known | of_error(error), error, run, attempt)
            if result.outcome is Outcome.MEMORY and place.crowded:
                self.crowd.narrow = True
                return result.ended(Outcome.CROWDED)
            return self._ended(result)

    def settle(self, result: Result) -> None:
        """Takes back that an attempt was begun, once it was given up in order; as well as it can."""
        run, attempt = result.run, result.attempt
        if run is None or attempt is None:
            return
        if result.outcome in (Outcome.UNREACHABLE, Outcome.BLOCKED) and not result.quiet:
            self.note(result)
        elif attempt.token and result.outcome in TAKEN_BACK:
            run.completion.change_failure(attempt.chunk, lambda before: failures.ended(before, attempt))

    def _work(
        self, delivery: Delivery, message: Message, run: OpenRun, attempt: failures.Attempt
    ) -> tuple[Outcome, dict[str, object]]:
        """Does what the message asks for, unless that was done, or has killed too many workers."""
        chunk, completion = message.chunk, run.completion
        told: dict[str, object] = {}
        why = ""
        if attempt.token:
            killed = killed_too_often(completion.failure(chunk), run.record.attempt_limit(chunk.layer))
            if killed:
                raise killed
            why = failures.in_short(
                completion.change_failure(chunk, lambda before: failures.begun(before, attempt))
            )

        def check() -> None:
            if delivery.lost:
                raise LeaseLost(f"chunk {chunk}: the lease of its message ended; it is left to who has it now")

        if run.control.check_done_first and not message.force and is_done(run.record, completion, chunk):
            queued = complete(run, chunk, self.queue, 0.0, known=True)
            outcome = Outcome.ALREADY_DONE
        else:
            if self.saying:
                self.saying.begins(completion, chunk, int(time.time() * 1000))
            if self.meter:
                self.meter.start()
            who = Facts(attempt=delivery.attempt, worker=self.name, why=why)
            done = work_on(run, chunk, self.queue, self.clock, check, who, self._measured)
            queued = done.queued
            outcome = Outcome.DONE
            told = {"seconds": round(done.seconds, 4), "rows": done.rows, "bytes": done.handoff_bytes}
            told |= self._peak()
        if attempt.token or self._noted:
            completion.drop_failure(chunk)
        return outcome, told | ({"queued": [str(parent) for parent in queued]} if queued else {})

    def _ended(self, result: Result) -> Result:
        """Records an attempt that failed; the last one makes the outcome DEAD."""
        run, attempt, error = result.run, result.attempt, result.error
        assert run is not None and attempt is not None and error is not None
        kind, limit = self.classify(error), run.record.attempt_limit(attempt.chunk.layer)
        if kind not in COUNTED:
            return result

        # The frames keep whatever the build had in memory; without it there is room to go on.
        traceback.clear_frames(error.__traceback__)

        def change(before: Failure | None) -> Failure:
            return failures.failed(before, attempt, error, kind, now(), limit)

        try:
            failure = run.completion.change_failure(attempt.chunk, change)
        except Exception as other:
            # What cannot be recorded is tried again: otherwise attempts would never be counted.
            outcome = Outcome.GIVEN_BACK if self.classify(other) is Kind.STOP else Outcome.UNREACHABLE
            return result.ended(outcome, other)
        count = failure.attempts if failure else 0
        outcome = Outcome.DEAD if failure is None or failure.dead else result.outcome
        fields = {**result.fields, "attempts": count, **self._peak()}
        return replace(result, outcome=outcome, fields=fields, failed_attempts=count)

    def _measured(self, facts: Facts) -> Facts:
        if self.meter is None:
            return facts
        return replace(facts, cpu=round(self.meter.cpu_seconds(), 4), peak_mb=round(self.meter.peak_mb() or 0.0, 1))

    def _peak(self) -> dict[str, object]:
        peak = self.meter.peak_mb() if self.meter else None
        return {} if peak is None else {"peak_mb": round(peak, 1)}


def _of_message(message: Message) -> dict[str, object]:
    chunk = message.chunk
    return {"graph": message.graph, "run": message.run, "layer": chunk.layer, "chunk": str(chunk)}


def of_error(error: Exception) -> dict[str, str]:
    """What logs and dead letters say of an error."""
    return {"error": type(error).__name__, "reason": str(error)[:1000]}
