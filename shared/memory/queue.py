"""A queue in memory: messages are gone with the process.

Invariants: what Pub/Sub promises and no more. A message is delivered until it is acked; one that is
given back, held by a queue that closes, or whose lease is ended by `expire`, comes again with the
next attempt number.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from shared.errors import StateError
from shared.run.ports import DEAD


@dataclass(frozen=True)
class Waiting:
    """A message that waits for its delivery number `attempt`; unpacks as (data, attempt)."""

    data: bytes
    attempt: int = 1
    attributes: Mapping[str, str] = field(default_factory=dict)
    published: float = field(default_factory=time.time)

    def __iter__(self) -> Iterator[bytes | int]:
        return iter((self.data, self.attempt))


class MemoryBroker:
    """The messages of all layers, shared by the queues that are opened on it.

    `dead` has each dead letter with its attributes; a queue opened for DEAD receives them too.
    """

    def __init__(self) -> None:
        self.dead: list[tuple[bytes, dict[str, str]]] = []
        self.changed = threading.Condition()
        self.waiting: defaultdict[int, deque[Waiting]] = defaultdict(deque)
        self.held: dict[MemoryDelivery, int] = {}

    def open(self, layers: Iterable[int]) -> MemoryQueue:
        """A queue that receives from `layers` and publishes to any."""
        return MemoryQueue(self, layers)

    def put(self, layer: int, items: Iterable[Waiting]) -> None:
        """Adds messages behind those that wait."""
        with self.changed:
            self.waiting[layer].extend(items)
            self.changed.notify_all()

    def expire(self) -> int:
        """Ends every lease, as if all workers had been cut off; how many there were."""
        with self.changed:
            held = list(self.held)
        return sum(self.release(delivery, again=True) for delivery in held)

    def release(self, delivery: MemoryDelivery, again: bool) -> bool:
        """Ends a lease, with the message delivered `again` or not; whether it was still held."""
        with self.changed:
            layer = self.held.pop(delivery, None)
            if layer is not None and again:
                waits = delivery.message
                self.put(layer, [replace(waits, attempt=waits.attempt + 1)])
            return layer is not None


class MemoryDelivery:
    """One delivery; answers `shared.run.ports.Delivery`."""

    def __init__(self, broker: MemoryBroker, message: Waiting) -> None:
        self._broker = broker
        self.message = message

    @property
    def data(self) -> bytes:
        """The message as published."""
        return self.message.data

    @property
    def attempt(self) -> int:
        """How often it was delivered, this time included."""
        return self.message.attempt

    @property
    def attributes(self) -> Mapping[str, str]:
        """What was published with the message."""
        return self.message.attributes

    @property
    def published(self) -> float:
        """When it was published, in seconds since 1970."""
        return self.message.published

    @property
    def lost(self) -> bool:
        """Whether the lease has ended."""
        return self not in self._broker.held

    def ack(self) -> None:
        """Done for good; without effect once the lease has ended."""
        self._broker.release(self, again=False)

    def give_back(self, after: float = 0.0) -> None:
        """Deliver it again, at once; without effect once the lease has ended."""
        self._broker.release(self, again=True)


class MemoryQueue:
    """One opening of a broker; answers `shared.run.ports.Queue`."""

    answered = True
    """A queue in memory is always there."""

    def __init__(self, broker: MemoryBroker, layers: Iterable[int]) -> None:
        self.broker = broker
        self._layers = sorted(set(layers), reverse=True)
        self._taken: list[MemoryDelivery] = []
        self._closed = False

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        """Adds the messages; returns how many."""
        items = [Waiting(data) for data in messages]
        self.broker.put(layer, items)
        return len(items)

    def publish_dead(self, data: bytes, attributes: dict[str, str]) -> None:
        """Adds a dead letter."""
        self.broker.dead.append((data, dict(attributes)))
        self.broker.put(DEAD, [Waiting(data, attributes=dict(attributes))])

    def receive(self, timeout: float) -> MemoryDelivery | None:
        """The next delivery, or None after `timeout` seconds; StateError after `close`."""
        with self.broker.changed:
            self.broker.changed.wait_for(lambda: self._closed or self._next() is not None, timeout)
            if self._closed:
                raise StateError("the queue is closed")
            layer = self._next()
            if layer is None:
                return None
            delivery = MemoryDelivery(self.broker, self.broker.waiting[layer].popleft())
            self.broker.held[delivery] = layer
            self._taken = [*(taken for taken in self._taken if not taken.lost), delivery]
            return delivery

    def close(self) -> None:
        """Gives back what was handed out and not answered."""
        with self.broker.changed:
            self._closed = True
            self.broker.changed.notify_all()
        for delivery in self._taken:
            delivery.give_back()

    def _next(self) -> int | None:
        return next((layer for layer in self._layers if self.broker.waiting[layer]), None)
