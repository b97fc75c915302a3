"""What waits in a subscription at this moment: for commands that look once and go, where a worker stays.

Invariants: each message is leased like any other, and gone only when it is acked; what is left
unanswered comes again when the lease ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.gcp.clients import Endpoints, api_errors, pubsub_call, pubsub_channel, pubsub_message, routed
from shared.gcp.pubsub.queue import topic_name

AT_ONCE = 100
"""Messages a pull: few enough to be answered before their lease ends."""

SECONDS = 20.0
EMPTY_TWICE = 2
"""The service may say that there is nothing though there is; it seldom says so twice."""


class WaitingDelivery:
    """One delivery; answers `shared.run.ports.Delivery`."""

    def __init__(self, waiting: Waiting, received: Any) -> None:
        self._waiting = waiting
        self._id: str = received.ack_id
        self.data: bytes = received.message.data
        self.attempt: int = received.delivery_attempt or 1
        self.attributes: dict[str, str] = dict(received.message.attributes)
        time_stamp = received.message.publish_time
        self.published: float = time_stamp.seconds + time_stamp.nanos / 1e9
        self.lost = False

    def ack(self) -> None:
        """Done for good; raises the service's error if it cannot be reached."""
        self._waiting.call("Acknowledge", ack_ids=[self._id])

    def give_back(self, after: float = 0.0) -> None:
        """Deliver it again, to anyone."""
        self._waiting.call("ModifyAckDeadline", ack_ids=[self._id], ack_deadline_seconds=round(after))


class Waiting:
    """The messages of one subscription of `prefix`."""

    def __init__(self, endpoints: Endpoints, prefix: str, layer: int) -> None:
        self._name = f"projects/{endpoints.project}/subscriptions/{topic_name(prefix, layer)}"
        self._channel = pubsub_channel(endpoints)

    def __iter__(self) -> Iterator[WaitingDelivery]:
        """Delivers what there is; StateError without the subscription."""
        empty = 0
        with self._channel:
            while empty < EMPTY_TWICE:
                answer = self.call("Pull", max_messages=AT_ONCE, return_immediately=True)
                empty = 0 if answer.received_messages else empty + 1
                for received in answer.received_messages:
                    yield WaitingDelivery(self, received)

    def call(self, method: str, **arguments: Any) -> Any:
        """The answer of the service to a request about the subscription."""
        request = pubsub_message(f"{method}Request")(subscription=self._name, **arguments)
        with api_errors(f"there is no subscription {self._name}; create it first"):
            stub = pubsub_call(self._channel, "Subscriber", method)
            return stub(request, timeout=SECONDS, metadata=routed("subscription", self._name))
