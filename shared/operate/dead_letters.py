"""Dead letters become failure records: of the worker that gave up, or of Pub/Sub itself.

    dead letter -> the chunk's failure record | a orphan, kept as it came | nothing, as it is out of date

Invariants: the same letter may come any number of times, by push and by pull, before and after a
replay: noted once it changes nothing any more. A letter is acked only after it was noted.
"""

from __future__ import annotations

import base64
import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.errors import MessageError, PermanentError
from shared.run.done import is_done
from shared.run.events import Event
from shared.run.messages import Message
from shared.run.ports import Delivery, Failure, Orphan
from shared.run.registry import Registry
from shared.timestamps import text_of
from shared.work.failures import dead_lettered

logger = logging.getLogger(__name__)

KEPT_BYTES = 2000
"""How much of a letter is kept that is no message of ours."""


@dataclass(frozen=True)
class DeadLetter:
    """A dead letter: the message, what was published with it, and when."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    published: str = ""

    @classmethod
    def of(cls, delivery: Delivery) -> DeadLetter:
        """The letter that a pull brought."""
        return cls(delivery.data, delivery.attributes, text_of(delivery.published))

    @classmethod
    def pushed(cls, body: Any) -> DeadLetter:
        """The letter in the JSON that Pub/Sub pushes; ValueError for what Pub/Sub does not send."""
        try:
            message = body["message"]
            data = base64.b64decode(message.get("data", ""), validate=True)
            attributes = {str(key): str(value) for key, value in (message.get("attributes") or {}).items()}
            moment = datetime.fromisoformat(message["publishTime"]).astimezone(UTC)
        except (TypeError, KeyError, AttributeError, ValueError) as error:
            raise ValueError(f"not a message pushed by Pub/Sub ({error!r})") from error
        return cls(data, attributes, moment.isoformat(timespec="milliseconds"))


def note(registry: Registry, letter: DeadLetter) -> Event:
    """Notes a letter; the event says what became of it. Raises what the registry raises, and nothing is lost."""
    fields: dict[str, object] = {"error": letter.attributes.get("error", ""), "published": letter.published}
    try:
        message = Message.decode(letter.data)
    except MessageError as error:
        return _orphan(registry, letter, str(error), fields)
    chunk = message.chunk
    fields |= {"graph": message.graph, "run": message.run, "layer": chunk.layer, "chunk": str(chunk)}
    try:
        record = registry.record(message.graph)
    except PermanentError as error:
        return _orphan(registry, letter, str(error), fields)
    if record is None:
        return _orphan(registry, letter, f"there is no run of graph {message.graph}", fields)
    if record.run != message.run:
        return _told(Event.DEAD_LETTER_STALE, fields)
    if chunk not in record.plan:
        return _orphan(registry, letter, f"run {record.run} of {record.graph} has no chunk {chunk}", fields)
    completion = registry.completion(record.graph, record.run)
    if is_done(record, completion, chunk):
        return _told(Event.DEAD_LETTER_REPEATED, fields)
    news = False

    def change(before: Failure | None) -> Failure:
        nonlocal news
        after = dead_lettered(before, chunk, letter.attributes, letter.published)
        news = after != before
        return after

    completion.change_failure(chunk, change)
    return _told(Event.DEAD_LETTER_KEPT if news else Event.DEAD_LETTER_REPEATED, fields)


def collect(registry: Registry, deliveries: Iterable[Delivery]) -> Counter[Event]:
    """Notes and acks letters as they come; how many became what."""
    found: Counter[Event] = Counter()
    registry = registry.batch()
    for delivery in deliveries:
        found[note(registry, DeadLetter.of(delivery))] += 1
        delivery.ack()
    return found


def _orphan(registry: Registry, letter: DeadLetter, reason: str, fields: dict[str, object]) -> Event:
    kept = letter.data[:KEPT_BYTES]
    registry.orphans().keep(Orphan(kept, len(letter.data), reason, dict(letter.attributes), letter.published))
    return _told(Event.DEAD_LETTER_ORPHAN, fields | {"reason": reason})


def _told(event: Event, fields: dict[str, object]) -> Event:
    level = logging.WARNING if event in (Event.DEAD_LETTER_KEPT, Event.DEAD_LETTER_ORPHAN) else logging.INFO
    logger.log(level, event, extra={"fields": fields})
    return event
