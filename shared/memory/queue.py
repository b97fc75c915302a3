"""A queue in memory: messages are gone with the process.

Invariants: what Pub/Sub promises and no more. A message is delivered until it is acked; one that is
given back, held by a queue that closes, or whose lease is ended by `expire`, comes again with the
next attempt number. A broker with a clock keeps what is given back for later until then.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count, islice

from shared.errors import StateError
from shared.run.ports import DEAD
from shared.run.turns import AT_HAND, Turns


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

    `dead` has each dead letter with its attributes; a queue opened for DEAD receives them too. `clock`
    gives seconds; without one nothing waits: what is given back comes again at once.
    """

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock
        self._later: list[tuple[float, int, int, Waiting]] = []
        self._order = count()
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

    def bring(self) -> float | None:
        """Adds what was given back until now to what waits; seconds until more is due, None if nothing is."""
        with self.changed:
            now = self._clock() if self._clock else 0.0
            while self._later and self._later[0][0] <= now:
                _, _, layer, item = heapq.heappop(self._later)
                self.put(layer, [item])
            return self._later[0][0] - now if self._later else None

    def expire(self) -> int:
        """Ends every lease, as if all workers had been cut off; how many there were."""
        with self.changed:
            held = list(self.held)
        return sum(self.release(delivery, again=True) for delivery in held)

    def release(self, delivery: MemoryDelivery, again: bool, after: float = 0.0) -> bool:
        """Ends a lease, with the message delivered `again` (`after` seconds) or not; whether it was still held."""
        with self.changed:
            layer = self.held.pop(delivery, None)
            if layer is not None and again:
                item = replace(delivery.message, attempt=delivery.message.attempt + 1)
                if self._clock and after > 0:
                    heapq.heappush(self._later, (self._clock() + after, next(self._order), layer, item))
                    self.changed.notify_all()
                else:
                    self.put(layer, [item])
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
        """Deliver it again, not before `after` seconds; without effect once the lease has ended."""
        self._broker.release(self, again=True, after=after)


class MemoryQueue:
    """One opening of a broker; answers `shared.run.ports.Queue`."""

    answered = True
    """A queue in memory is always there."""

    def __init__(self, broker: MemoryBroker, layers: Iterable[int]) -> None:
        self.broker = broker
        self._layers = sorted(set(layers), reverse=True)
        self._taken: list[MemoryDelivery] = []
        self._turns = Turns()
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
        until = time.monotonic() + timeout
        with self.broker.changed:
            while True:
                due, left = self.broker.bring(), until - time.monotonic()
                layer = self._next()
                if self._closed or layer is not None or left <= 0:
                    break
                self.broker.changed.wait(left if due is None else min(left, max(due, 0.0)))
            if self._closed:
                raise StateError("the queue is closed")
            if layer is None:
                return None
            waiting = self.broker.waiting[layer]
            chosen = self._turns.choose([item.data for item in islice(waiting, AT_HAND)])
            delivery = MemoryDelivery(self.broker, waiting[chosen])
            del waiting[chosen]
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
