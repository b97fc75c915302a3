"""Leased deliveries: messages pulled a few at a time, their leases kept until they are answered.

Invariants: an ack has reached the service when `ack` returns, and whatever is not acked when the
pulls are closed is given back at once. Why no streaming pull: a stream hoards messages in its
buffers while a long build runs and other workers idle. With the emulator, which ignores the limits
of a stream, it takes the whole backlog, and what is given back after its end is never delivered to
a stream again.
"""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from shared.errors import StateError
from shared.gcp.clients import Backoff, api_errors, pubsub_call, pubsub_message, routed, transient_errors
from shared.run.turns import AT_HAND, Turns

SETTLE_SECONDS = 5.0
"""How long an answer is tried: a worker that is told to stop has ten seconds."""

PULL_SECONDS = 2.0
"""How long a pull waits for messages. The service knows this deadline; that a pull was cancelled it
may not notice, and then it hands messages to nobody until their lease ends. So pulls are short, and
`close` waits for them."""

EMPTY_SECONDS = 0.05
"""The pause after an answer without messages; mostly the service itself waits before it gives one."""

LEAST_DEADLINE = 10.0
"""No subscription has a shorter one: a lease is held for so long before it is extended for the first time."""

_log = logging.getLogger(__name__)


class PubSubDelivery:
    """One delivery; answers `shared.run.ports.Delivery`."""

    def __init__(self, pulls: Pulls, layer: int, received: Any) -> None:
        self.layer = layer
        self.ack_id: str = received.ack_id
        self.since = time.monotonic()
        self.until = self.since + LEAST_DEADLINE
        """Up to when the lease is known to be held."""
        self._pulls = pulls
        self._received = received

    @property
    def data(self) -> bytes:
        """The message as published."""
        data: bytes = self._received.message.data
        return data

    @property
    def attempt(self) -> int:
        """1 for the first delivery; more only where the subscription has a dead-letter policy."""
        return self._received.delivery_attempt or 1

    @property
    def attributes(self) -> dict[str, str]:
        """What was published with the message."""
        return dict(self._received.message.attributes)

    @property
    def published(self) -> float:
        """When the service took it, in seconds since 1970."""
        time_stamp = self._received.message.publish_time
        seconds: float = time_stamp.seconds + time_stamp.nanos / 1e9
        return seconds

    @property
    def lost(self) -> bool:
        """Whether the lease has ended: it was not extended in time, or not any more.

        The service does not tell; it takes an ack that comes too late without a word.
        """
        return time.monotonic() > self.until

    def ack(self) -> None:
        """Done for good; if the service cannot be reached, a warning is logged, and it will come again."""
        self._pulls.settle([self], "Acknowledge")

    def give_back(self, after: float = 0.0) -> None:
        """Deliver it again, to anyone, when its lease has ended `after` seconds."""
        self._pulls.settle([self], "ModifyAckDeadline", ack_deadline_seconds=min(round(after), 600))


class Pulls:
    """Pulls from the subscriptions `names`, by layer, once something is asked for.

    Holds up to `capacity` messages of each, and extends their leases to `extension` seconds, until
    they are `max_lease` seconds old.
    """

    def __init__(
        self, channel: Any, names: dict[int, str], capacity: int, extension: int, max_lease: float
    ) -> None:
        self._channel = channel
        self._names = names
        self._capacity = capacity
        self._extension = extension
        self._max_lease = max_lease
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._ready: dict[int, deque[PubSubDelivery]] = {layer: deque() for layer in sorted(names, reverse=True)}
        self._turns = Turns()
        self._held: dict[str, PubSubDelivery] = {}
        self._threads: list[threading.Thread] = []
        self._asking = 0
        self._error: Exception | None = None
        self._connected = False
        self.answered = False
        """Whether a pull has been answered; one that found nothing in its time counts if there was a connection."""

    def take(self, timeout: float) -> PubSubDelivery | None:
        """The next delivery of the highest layer, and there of the graph that was served longest ago; None
        after `timeout` seconds.

        Raises StateError without the subscription and after `close`, and the service's error when it
        refuses to deliver.
        """
        with self._changed:
            if not self._threads and not self._closing.is_set():
                self._start()
            self._asking += 1
            self._changed.notify_all()
            self._wait(lambda: any(self._ready.values()) or bool(self._error), timeout)
            self._asking -= 1
            if self._closing.is_set():
                raise StateError("the queue is closed")
            if self._error:
                raise self._error
            ready = next((ready for ready in self._ready.values() if ready), None)
            if ready is None:
                return None
            chosen = self._turns.choose([delivery.data for delivery in itertools.islice(ready, AT_HAND)])
            delivery = ready[chosen]
            del ready[chosen]
            return delivery

    def settle(self, deliveries: list[PubSubDelivery], method: str, **arguments: int) -> None:
        """Ends the leases of deliveries of one layer by a call, once each; a failure is only logged."""
        with self._changed:
            held = [delivery for delivery in deliveries if self._held.pop(delivery.ack_id, None)]
            self._changed.notify_all()
        try:
            self._change(held, method, **arguments)
        except Exception as error:
            _log.warning("%s of %d messages failed; they will come again: %s", method, len(held), error)

    def close(self) -> None:
        """Gives back everything that is held and ends the pulls.

        A pull that waits may be given what is given back, so the pulls are waited for, and what they
        bring is given back too.
        """
        with self._changed:
            self._closing.set()
            self._changed.notify_all()
        self._give_back_all()
        for thread in self._threads:
            thread.join()
        if self._threads:
            self._channel.unsubscribe(self._note_state)
        self._give_back_all()

    def _give_back_all(self) -> None:
        for layer in self._names:
            with self._changed:
                held = self._of(layer)
            self.settle(held, "ModifyAckDeadline", ack_deadline_seconds=0)

    def _start(self) -> None:
        self._channel.subscribe(self._note_state)
        works: list[tuple[Callable[..., None], tuple[int, ...]]] = [(self._pull, (layer,)) for layer in self._names]
        for work, arguments in [*works, (self._keep, ())]:
            thread = threading.Thread(target=self._kept, args=(work, *arguments), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _note_state(self, state: Any) -> None:
        """Called by gRPC when the state of the connection changes."""
        self._connected = state.name == "READY"

    def _kept(self, work: Callable[..., None], *arguments: int) -> None:
        """Does the work of a thread; whatever ends it (no memory for the library, say) is the taker's error, who
        would wait for ever otherwise."""
        try:
            work(*arguments)
        except Exception as error:
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _wait(self, something: Callable[[], bool], timeout: float | None = None) -> None:
        self._changed.wait_for(lambda: self._closing.is_set() or something(), timeout)

    def _of(self, layer: int) -> list[PubSubDelivery]:
        return [delivery for delivery in self._held.values() if delivery.layer == layer]

    def _room(self, layer: int) -> int:
        """Waits until half of the places of a layer are free, to pull several at once; how many are.

        Also until somebody asks, or is at work and will: a worker that stops must not fetch at once
        what it has just given back.
        """

        def enough() -> bool:
            return len(self._of(layer)) <= self._capacity // 2 and bool(self._asking or self._held)

        with self._changed:
            self._wait(enough)
            return self._capacity - len(self._of(layer))

    def _pull(self, layer: int) -> None:
        """Keeps messages of a layer at hand until the pulls are closed, or refused."""
        from google.api_core.exceptions import DeadlineExceeded

        name, failed = self._names[layer], 0
        stub = pubsub_call(self._channel, "Subscriber", "Pull")
        while not self._closing.is_set():
            room = self._room(layer)
            request = pubsub_message("PullRequest")(subscription=name, max_messages=room)
            try:
                with api_errors(f"there is no subscription {name}; create it first"):
                    answer = stub(request, timeout=PULL_SECONDS, metadata=routed("subscription", name))
                received, failed = answer.received_messages, 0
                self.answered = True
                self._arrived([PubSubDelivery(self, layer, message) for message in received])
                if not received:
                    self._closing.wait(EMPTY_SECONDS)
            except DeadlineExceeded:
                # The service lets a pull for nothing run into its deadline; so does a network that is not there.
                self.answered = self.answered or self._connected
            except transient_errors() as error:
                failed += 1
                # Once it is no moment's matter, and seldom after that.
                level = logging.WARNING if failed % 64 == 3 else logging.DEBUG
                _log.log(level, "pulling from %s failed %d times, and goes on: %s", name, failed, error)
                self._closing.wait(random.uniform(0.1, 2.0))

    def _arrived(self, deliveries: list[PubSubDelivery]) -> None:
        with self._changed:
            self._held.update((delivery.ack_id, delivery) for delivery in deliveries)
        # The subscription's own deadline may be shorter than the pause between extensions.
        self._extend(deliveries)
        with self._changed:
            for delivery in deliveries:
                self._ready[delivery.layer].append(delivery)
            self._changed.notify_all()

    def _keep(self) -> None:
        """Extends all leases three times in each extension until the pulls are closed."""
        while not self._closing.wait(self._extension / 3):
            oldest = time.monotonic() - self._max_lease
            for layer in self._names:
                with self._changed:
                    young = [delivery for delivery in self._of(layer) if delivery.since > oldest]
                self._extend(young)

    def _extend(self, deliveries: list[PubSubDelivery]) -> None:
        until = time.monotonic() + self._extension
        try:
            self._change(deliveries, "ModifyAckDeadline", ack_deadline_seconds=self._extension)
            for delivery in deliveries:
                delivery.until = until
        except Exception as error:
            _log.warning("leases of %d messages were not extended: %s", len(deliveries), error)

    def _change(self, deliveries: list[PubSubDelivery], method: str, **arguments: int) -> None:
        """Acknowledges deliveries of one layer, or changes their deadline; tries for a few seconds."""
        backoff = Backoff(SETTLE_SECONDS)
        while deliveries:
            name = self._names[deliveries[0].layer]
            ids = [delivery.ack_id for delivery in deliveries]
            request = pubsub_message(f"{method}Request")(subscription=name, ack_ids=ids, **arguments)
            stub = pubsub_call(self._channel, "Subscriber", method)
            try:
                with api_errors(f"there is no subscription {name}"):
                    stub(request, timeout=SETTLE_SECONDS, metadata=routed("subscription", name))
                return
            except transient_errors():
                if not backoff.wait():
                    raise
