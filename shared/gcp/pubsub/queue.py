"""Messages over Pub/Sub: a topic and a pull subscription a layer, and one pair for the dead letters.

Invariants: `publish` returns when the service has every message; what `receive` hands out is leased
until it is answered (see `pulls`). Requests are built as plain protobuf messages, a thousand
messages each, with a bounded number under way, so 10^7 messages need no more memory than 10^4.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from shared.gcp.clients import (
    Backoff,
    Endpoints,
    api_errors,
    publisher,
    pubsub_call,
    pubsub_channel,
    pubsub_message,
    routed,
    subscriber,
    transient_errors,
)
from shared.gcp.pubsub.pulls import PubSubDelivery, Pulls
from shared.run.ports import DEAD

BATCH = 1000
"""Messages in a publish request, the most that the service takes."""

BATCH_BYTES = 5_000_000
IN_FLIGHT = 4
TRY_SECONDS = 60.0
PUBLISH_SECONDS = 300.0
"""How long a batch that meets a passing fault is sent again."""

ATTRIBUTE_BYTES = 1024
"""The service takes no longer attributes."""

WEEK = 7 * 24 * 3600

_log = logging.getLogger(__name__)


def topic_name(prefix: str, layer: int) -> str:
    """The topic of a layer, and the subscription to it; DEAD stands for the dead letters."""
    return f"{prefix}-dead" if layer == DEAD else f"{prefix}-l{layer}"


def create_topics(
    endpoints: Endpoints,
    prefix: str,
    layers: Iterable[int],
    ack_deadline_seconds: int = 60,
    max_delivery_attempts: int = 50,
    push_to: str | None = None,
) -> None:
    """Makes every topic and subscription that is not there yet (in the cloud, Terraform does).

    A message that was delivered `max_delivery_attempts` times (5 to 100) without an ack goes to the
    dead letters. Those are pushed to the URL `push_to` too, where functions/dead_letter listens.
    """
    topics, subscriptions = publisher(endpoints), subscriber(endpoints)
    dead = f"projects/{endpoints.project}/topics/{topic_name(prefix, DEAD)}"
    for layer in (DEAD, *layers):
        name = topic_name(prefix, layer)
        topic = f"projects/{endpoints.project}/topics/{name}"
        request: dict[str, Any] = {
            "name": f"projects/{endpoints.project}/subscriptions/{name}",
            "topic": topic,
            "ack_deadline_seconds": ack_deadline_seconds,
            "message_retention_duration": {"seconds": WEEK},
            "expiration_policy": {},
        }
        if layer != DEAD:
            policy = {"dead_letter_topic": dead, "max_delivery_attempts": max_delivery_attempts}
            request["dead_letter_policy"] = policy
        _unless_there(topics.create_topic, {"name": topic})
        _unless_there(subscriptions.create_subscription, request)
        if layer == DEAD and push_to is not None:
            pushed = {"name": f"{request['name']}-push", "push_config": {"push_endpoint": push_to}}
            _unless_there(subscriptions.create_subscription, request | pushed)
    topics.transport.close()
    subscriptions.transport.close()


def missing_subscriptions(endpoints: Endpoints, prefix: str, layers: Iterable[int]) -> list[str]:
    """The pull subscriptions of layers that are not there."""
    from google.api_core.exceptions import NotFound

    subscriptions, missing = subscriber(endpoints), []
    for layer in layers:
        name = topic_name(prefix, layer)
        try:
            path = f"projects/{endpoints.project}/subscriptions/{name}"
            subscriptions.get_subscription(subscription=path)
        except NotFound:
            missing.append(name)
    subscriptions.transport.close()
    return missing


class PubSubQueue:
    """The topics of `prefix`; answers `shared.run.ports.Queue`.

    `layers` are those that `receive` serves (DEAD for the dead letters). For each of them at most
    `1 + prefetch` messages are held, the one at work included. A lease is extended to
    `extension_seconds` (10 to 600) again and again, for at most `max_lease_seconds`: so long waits
    the message of a killed worker, and half of it a build may keep the interpreter to itself.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        prefix: str,
        layers: Iterable[int],
        max_lease_seconds: float = 3600.0,
        prefetch: int = 0,
        extension_seconds: int = 120,
    ) -> None:
        self._project = f"projects/{endpoints.project}"
        self._prefix = prefix
        self._channel = pubsub_channel(endpoints)
        names = {layer: f"{self._project}/subscriptions/{topic_name(prefix, layer)}" for layer in layers}
        self._pulls = Pulls(self._channel, names, 1 + prefetch, extension_seconds, max_lease_seconds)

    def publish(self, layer: int, messages: Iterable[bytes]) -> int:
        """Publishes all messages, with a bounded number in memory; returns how many.

        Raises StateError without the topic, and the service's error if a batch could not be placed
        within PUBLISH_SECONDS; some may be queued then, and publishing all again does no harm.
        """
        topic = f"{self._project}/topics/{topic_name(self._prefix, layer)}"
        message = pubsub_message("PublishRequest")
        flying: deque[tuple[Any, Any]] = deque()
        total = 0
        for batch in _batches(messages):
            request = message(topic=topic, messages=[{"data": data} for data in batch])
            if len(flying) == IN_FLIGHT:
                self._placed(*flying.popleft())
            flying.append((request, self._send(request)))
            total += len(batch)
        while flying:
            self._placed(*flying.popleft())
        return total

    def publish_dead(self, data: bytes, attributes: dict[str, str]) -> None:
        """Publishes a dead letter; attributes longer than the service takes lose their middle."""
        topic = f"{self._project}/topics/{topic_name(self._prefix, DEAD)}"
        short = {key: _shortened(value) for key, value in attributes.items()}
        messages = [{"data": data, "attributes": short}]
        request = pubsub_message("PublishRequest")(topic=topic, messages=messages)
        self._placed(request, self._send(request))

    def receive(self, timeout: float) -> PubSubDelivery | None:
        """The next delivery, or None after `timeout` seconds.

        Raises StateError without the subscription and after `close`, and the service's error when it
        refuses to deliver.
        """
        return self._pulls.take(timeout)

    @property
    def answered(self) -> bool:
        """Whether a pull has reached the service."""
        return self._pulls.answered

    def close(self) -> None:
        """Ends all pulls, gives back whatever was not acked, and ends the connection."""
        self._pulls.close()
        self._channel.close()

    def _send(self, request: Any) -> Any:
        call = pubsub_call(self._channel, "Publisher", "Publish")
        return call.future(request, timeout=TRY_SECONDS, metadata=routed("topic", request.topic))

    def _placed(self, request: Any, call: Any) -> None:
        """Waits until the service has the batch, sending it again after a passing fault."""
        backoff = Backoff(PUBLISH_SECONDS)
        while True:
            try:
                with api_errors(f"there is no topic {request.topic}; create it first"):
                    call.result()
                return
            except transient_errors() as error:
                _log.warning("publishing %d messages failed: %s", len(request.messages), error)
                if not backoff.wait():
                    raise
            call = self._send(request)


def _unless_there(create: Any, request: dict[str, Any]) -> None:
    from google.api_core.exceptions import AlreadyExists

    try:
        create(request=request)
    except AlreadyExists:
        _log.debug("%s is there already", request["name"])


def _batches(messages: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    size = 0
    for data in messages:
        if batch and (len(batch) == BATCH or size + len(data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(data)
        size += len(data)
    if batch:
        yield batch


def _shortened(value: str) -> str:
    raw = value.encode(errors="replace")
    if len(raw) <= ATTRIBUTE_BYTES:
        return value
    head, tail = raw[: ATTRIBUTE_BYTES // 4], raw[-ATTRIBUTE_BYTES // 2 :]
    return f"{head.decode(errors='ignore')} ... {tail.decode(errors='ignore')}"
