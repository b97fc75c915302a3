"""The worker: takes deliveries one at a time, and answers each as its outcome says.

Invariants: a delivery is acked only when everything that follows from it is stored, or when it is
in the dead letters with its reason. Whatever else happens it is given back, or its lease ends.
While a service that all runs share is out of reach the message is held and tried again after a while:
giving it back would have everyone try at once, and there is nothing else to do. A message of a run that is
paused, or lacks something of its own, is given back for later and later, and others are taken: no run
occupies a worker that it cannot use. What was delivered `RENEWED` times that way is published anew, as
each delivery brings it nearer to the limit at which Pub/Sub itself takes it for undeliverable.
"""

from __future__ import annotations

import itertools
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.classify import Classifier, Classify
from shared.errors import MessageError
from shared.run.messages import Message
from shared.run.ports import Delivery, Queue
from shared.timestamps import now
from shared.work.aside import Aside
from shared.work.attempt import Attempts, Meter, Result, Runs, of_error
from shared.work.crowd import Crowd
from shared.work.outcomes import HANDLING, PASSED_OVER, WAITING, Answer, Outcome
from shared.work.saying import Saying

logger = logging.getLogger(__name__)

OUTAGE_SECONDS = 600.0
"""How long a message is held while a service is out of reach; then why is noted, and it is given back."""

LONGEST_PAUSE = 60.0
LONGEST_DELAY = 600.0
AGAIN_SECONDS = 10.0
"""When a message that could not be worked on at all comes again; one that is passed over, at first."""

CONNECT_SECONDS = 300.0
"""How long a queue that does not answer is waited for before the worker counts as idle: in a network of its own
a task may have no connection for a minute or more after its start."""

RENEWED = 20
"""Deliveries of a message that was never worked on; Pub/Sub gives up at 50 (max_delivery_attempts)."""


def _at_once(_seconds: float) -> None:
    """Waits not at all."""


def _nothing() -> None:
    """Nothing is done between deliveries."""


@dataclass
class Worker:
    """One process' worker over the layers that `queue` was opened for, or one lane of it.

    `clock` gives seconds; `stopped` is asked before each delivery, and while one is held. `wait`
    waits between two tries, at most until the worker is told to stop. `between` is called before each
    delivery is asked for, however often: what a worker does beside its chunks. `classify` knows the errors of
    the libraries that `queue` and `runs` use, `crowd` what else the process has at work.
    """

    queue: Queue
    runs: Runs
    name: str
    clock: Callable[[], float]
    stopped: Callable[[], bool]
    wait: Callable[[float], object] = _at_once
    meter: Meter | None = None
    between: Callable[[], object] = _nothing
    classify: Classify = field(default_factory=Classifier)
    crowd: Crowd = field(default_factory=Crowd)

    def __post_init__(self) -> None:
        self._aside = Aside(self.clock)
        self._saying = Saying(self.name, self.clock)

    def run(self, idle_seconds: float, poll_seconds: float = 1.0) -> int:
        """Works until stopped, or until nothing came that could be worked on for `idle_seconds`; the number of
        chunks done. Nothing came only from when the queue first answered, or should have long ago."""
        done, begun = 0, self.clock()
        last: float | None = None
        while not self.stopped():
            self.between()
            delivery = self.queue.receive(min(poll_seconds, idle_seconds))
            outcome = self.handle(delivery) if delivery is not None else None
            if outcome is not None and outcome not in PASSED_OVER:
                done += outcome is Outcome.DONE
                last = self.clock()
                continue
            if last is None and (self.queue.answered or self.clock() - begun >= CONNECT_SECONDS):
                last = self.clock()
            if last is not None and self.clock() - last >= idle_seconds:
                break
        return done

    def handle(self, delivery: Delivery) -> Outcome:
        """Does what one delivery asks for, and answers it; what became of it."""
        attempts = Attempts(
            self.queue,
            self.runs,
            self.name,
            self.clock,
            self._aside,
            self.meter,
            self.classify,
            self._saying,
            self.crowd,
        )
        result = self._held(delivery, attempts)
        result = self._answered(delivery, result)
        self._tell(attempts.settle, result)
        return result.outcome

    def _tell(self, note: Callable[[Result], None], result: Result) -> None:
        """Notes something of an attempt, as well as it can."""
        try:
            note(result)
        except Exception as error:
            logger.debug("not noted how an attempt ended: %s", error)

    def _held(self, delivery: Delivery, attempts: Attempts) -> Result:
        """Makes attempts until one ends otherwise than for want of a service, or time is up."""
        begun, waited = now(), 0.0
        for number in itertools.count():
            result = attempts.make(delivery, begun)
            if result.outcome is not Outcome.UNREACHABLE or waited >= OUTAGE_SECONDS:
                return result
            if number == 0:
                _log(result)
            elif number == 1:
                # Once, and not for what passes within a second.
                self._tell(attempts.note, result)
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
        if answer is Answer.GIVE_BACK and not self._renewed(delivery, result.outcome):
            delivery.give_back(*_delay(result, delivery.attempt))
        else:
            delivery.ack()
        _log(result)
        return result

    def _renewed(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Publishes a message anew whose deliveries say nothing about it, before they become too many."""
        if outcome not in WAITING or delivery.attempt < RENEWED:
            return False
        try:
            self.queue.publish(Message.decode(delivery.data).chunk.layer, [delivery.data])
        except MessageError:
            return False
        except Exception as error:
            logger.debug("not published anew: %s", error)
            return False
        return True


def _delay(result: Result, attempt: int) -> list[float]:
    """How long a message that is given back had better not come again; nothing for at once."""
    if result.outcome in (Outcome.RETRY, Outcome.MEMORY):
        return [random.uniform(0.5, 1.0) * min(4.0 ** (result.failed_attempts - 1), LONGEST_DELAY)]
    if result.outcome in PASSED_OVER:
        return [random.uniform(0.5, 1.0) * min(2 * AGAIN_SECONDS * 2.0 ** min(attempt - 1, 10), LONGEST_DELAY)]
    return [AGAIN_SECONDS] if result.outcome in (Outcome.UNREACHABLE, Outcome.CROWDED) else []


def _log(result: Result) -> None:
    """The one line of a chunk."""
    handling = HANDLING[result.outcome]
    extra: dict[str, object] = {"fields": result.fields}
    if result.outcome is Outcome.DEAD and result.error is not None:
        extra["error"] = result.error
    logger.log(logging.DEBUG if result.quiet else handling.level, handling.event, extra=extra)
