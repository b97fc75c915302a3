"""The worker: takes deliveries one at a time, and answers each as its outcome says.

Invariants: a delivery is acked only when everything that follows from it is stored, or when it is
in the dead letters with its reason. Whatever else happens it is given back, or its lease ends.
While a service is out of reach, or the run is paused, the message is held and tried again after a
while: giving it back would have everyone try at once, and each delivery brings it nearer to the
limit at which Pub/Sub itself takes it for undeliverable.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.classify import Classifier, Classify
from shared.run.ports import Delivery, Queue
from shared.timestamps import now
from shared.work.attempt import Attempts, Meter, Result, Runs, of_error
from shared.work.outcomes import HANDLING, Answer, Outcome

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 600.0
"""How long a message is held while a service is out of reach; then why is noted, and it is given back."""

LONGEST_PAUSE = 60.0
LONGEST_DELAY = 600.0
AGAIN_SECONDS = 10.0
"""When a message that could not be worked on at all comes again."""

CONNECT_SECONDS = 300.0
"""How long a queue that does not answer is waited for before the worker counts as idle: in a network of its own
a task may have no connection for a minute or more after its start."""

POLL_PAUSED = 2.0
"""Seconds between two looks whether a paused run goes on."""


def _at_once(_seconds: float) -> None:
    """Waits not at all."""


@dataclass
class Worker:
    """One process' worker over the layers that `queue` was opened for.

    `clock` gives seconds; `stopped` is asked before each delivery, and while one is held. `wait`
    waits between two tries, at most until the worker is told to stop. `classify` knows the errors of
    the libraries that `queue` and `runs` use.
    """

    queue: Queue
    runs: Runs
    name: str
    clock: Callable[[], float]
    stopped: Callable[[], bool]
    wait: Callable[[float], object] = _at_once
    meter: Meter | None = None
    classify: Classify = field(default_factory=Classifier)
    idle_seconds: float = field(default=0.0, init=False)

    def run(self, idle_seconds: float, poll_seconds: float = 1.0) -> int:
        """Works until stopped, or until nothing came, or the run was paused, for `idle_seconds`; the number of
        chunks done. Nothing came only from when the queue first answered, or should have long ago."""
        done, begun, self.idle_seconds = 0, self.clock(), idle_seconds
        last: float | None = None
        while not self.stopped():
            delivery = self.queue.receive(min(poll_seconds, idle_seconds))
            if delivery is not None:
                outcome = self.handle(delivery)
                if outcome is Outcome.PAUSED:
                    break
                done += outcome is Outcome.DONE
                last = self.clock()
            elif last is None and (self.queue.answered or self.clock() - begun >= CONNECT_SECONDS):
                last = self.clock()
            if delivery is None and last is not None and self.clock() - last >= idle_seconds:
                break
        return done

    def handle(self, delivery: Delivery) -> Outcome:
        """Does what one delivery asks for, and answers it; what became of it."""
        attempts = Attempts(self.queue, self.runs, self.name, self.clock, self.meter, self.classify)
        result = self._held(delivery, attempts)
        result = self._answered(delivery, result)
        try:
            attempts.settle(result)
        except Exception as error:
            logger.debug("not noted that an attempt was given up: %s", error)
        return result.outcome

    def _held(self, delivery: Delivery, attempts: Attempts) -> Result:
        """Makes attempts until one ends otherwise than for want of a service, or by a pause, or time is up."""
        begun, waited = now(), 0.0
        for number in itertools.count():
            result = attempts.make(delivery, begun)
            backoff = {Outcome.UNREACHABLE: OUTAGE_SECONDS, Outcome.PAUSED: self.idle_seconds}.get(result.outcome)
            if backoff is None or waited >= backoff:
                return result
            if number == 0:
                _log(result)
            if result.outcome is Outcome.PAUSED:
                pause = POLL_PAUSED
            else:
                pause = random.uniform(0.5, 1.0) * min(2.0**number, LONGEST_PAUSE)
            self.wait(pause)
            waited += pause
            if self.stopped() or delivery.lost:
                return result.ended(Outcome.LOST if delivery.lost else Outcome.GIVEN_BACK)
        raise AssertionError("counting never ends")

    def _answered(self, delivery: Delivery, result: Result) -> Result:
        """Tells the queue, and the log; the result again, another if the dead letters are out of reach."""
        answer = HANDLING[result.outcome].answer
        if answer is Answer.DEAD_LETTER:
            assert result.error is not None
            try:
                self.queue.publish_dead(delivery.data, of_error(result.error) | {"worker": self.name})
            except Exception as error:
                # What failed is recorded; the message comes again, to be dead-lettered.
                fields = {**result.fields, **of_error(error)}
                result = Result(Outcome.UNREACHABLE, fields, error)
                answer = Answer.GIVE_BACK
        if answer is Answer.GIVE_BACK:
            delivery.give_back(*_delay(result))
        else:
            delivery.ack()
        _log(result)
        return result


def _delay(result: Result) -> list[float]:
    """How long a message that is given back had better not come again; nothing for at once."""
    if result.outcome in (Outcome.RETRY, Outcome.MEMORY):
        return [random.uniform(0.5, 1.0) * min(4.0 ** (result.failed_attempts - 1), LONGEST_DELAY)]
    return [AGAIN_SECONDS] if result.outcome in (Outcome.UNREACHABLE, Outcome.PAUSED) else []


def _log(result: Result) -> None:
    """The one line of a chunk."""
    handling = HANDLING[result.outcome]
    extra: dict[str, object] = {"fields": result.fields}
    if result.outcome is Outcome.DEAD and result.error is not None:
        extra["error"] = result.error
    logger.log(handling.level, handling.event, extra=extra)
