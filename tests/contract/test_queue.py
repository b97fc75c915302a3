"""What every queue promises: at least once, given back means again, the highest layer first."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from shared.errors import StateError
from shared.gcp.clients import Endpoints
from shared.gcp.pubsub import pulls
from shared.gcp.pubsub.pending import Waiting
from shared.gcp.pubsub.queue import ATTRIBUTE_BYTES, PubSubQueue, create_topics
from shared.memory.queue import MemoryBroker
from shared.run.ports import DEAD, Queue

PATIENCE = 120.0
"""Seconds in which something must come that is sure to come."""

MOMENT = 0.3
"""Seconds in which something would have come if it were there."""


class Opened:
    """Fresh topics for layers 2 to 4, and queues on them that are closed after the test."""

    def __init__(self, connect: Callable[..., Queue]) -> None:
        self.connect = connect
        self.queues: list[Queue] = []

    def __call__(self, layers: Iterable[int], prefetch: int = 0) -> Queue:
        self.queues.append(self.connect(layers, prefetch))
        return self.queues[-1]


@pytest.fixture(params=["memory", "emulator"])
def opened(request: pytest.FixtureRequest) -> Iterator[Opened]:
    """The queue in question."""
    if request.param == "memory":
        broker = MemoryBroker()
        opened = Opened(lambda layers, prefetch: broker.open(layers))
    else:
        # The shortest deadline there is, as a delivery that got lost on its way comes again only after it.
        endpoints, prefix = topics(request, ack_deadline_seconds=10)
        opened = Opened(lambda layers, prefetch: PubSubQueue(endpoints, prefix, layers, prefetch=prefetch))
    yield opened
    for queue in opened.queues:
        queue.close()


def topics(request: pytest.FixtureRequest, **options: Any) -> tuple[Endpoints, str]:
    """Topics of a fresh prefix on the emulator."""
    endpoints, prefix = Endpoints.emulated(request.getfixturevalue("emulators")), f"t{uuid.uuid4().hex}"
    create_topics(endpoints, prefix, [2, 3, 4], **options)
    return endpoints, prefix


def wait_for(queue: Queue, count: int) -> None:
    """Waits until a queue that fetches ahead has this many deliveries at hand."""
    if isinstance(queue, PubSubQueue):
        held = queue._pulls
        with held._changed:
            assert held._changed.wait_for(lambda: sum(map(len, held._ready.values())) >= count, PATIENCE)


def drain(queue: Queue, count: int) -> list[bytes]:
    """Receives and acks messages until all `count` different ones have come."""
    seen: dict[bytes, None] = {}
    while len(seen) < count:
        delivery = queue.receive(PATIENCE)
        assert delivery is not None, f"{len(seen)} of {count} messages came"
        seen[delivery.data] = None
        delivery.ack()
    return list(seen)


def test_all_messages_arrive_and_acked_ones_are_gone(opened: Opened) -> None:
    """Of several thousand messages all arrive, and none comes again once it was acked."""
    queue = opened([2], prefetch=500)
    wanted = [b"message %d" % number for number in range(3000)]
    assert queue.publish(2, iter(wanted)) == 3000
    assert sorted(drain(queue, 3000)) == sorted(wanted)
    assert queue.receive(MOMENT) is None
    queue.close()
    assert opened([2]).receive(MOMENT) is None


def test_a_queue_that_is_there_answers(opened: Opened) -> None:
    """An empty queue says that it has been reached, so that who waits knows that nothing waits for him."""
    queue = opened([2])
    until = time.monotonic() + PATIENCE
    while not queue.answered and time.monotonic() < until:
        assert queue.receive(0.1) is None
    assert queue.answered


def test_a_network_that_is_not_there_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulls that run into their deadline, as a connection is being made, tell nothing of the queue."""
    monkeypatch.setattr(pulls, "PULL_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoints = Endpoints.emulated({"PUBSUB_EMULATOR_HOST": f"127.0.0.1:{silent.getsockname()[1]}"})
        queue = PubSubQueue(endpoints, "prefix", [2])
        try:
            assert queue.receive(2.0) is None and not queue.answered
        finally:
            queue.close()


def test_no_message(opened: Opened) -> None:
    """Publishing nothing is no error, and nothing comes of it."""
    queue = opened([2])
    assert queue.publish(2, []) == 0
    assert queue.receive(MOMENT) is None


def test_given_back_comes_again(opened: Opened) -> None:
    """A message that is given back comes again with the next attempt number."""
    queue = opened([2])
    queue.publish(2, [b"a"])
    for attempt in (1, 2, 3):
        delivery = queue.receive(PATIENCE)
        assert delivery is not None
        assert (delivery.data, delivery.attempt) == (b"a", attempt)
        delivery.give_back()


def test_given_back_goes_to_anyone(opened: Opened) -> None:
    """A message that one queue gives back can reach another."""
    first, second = opened([2]), opened([2])
    first.publish(2, [b"a"])
    delivery = first.receive(PATIENCE)
    assert delivery is not None
    assert second.receive(MOMENT) is None
    delivery.give_back()
    first.close()
    assert drain(second, 1) == [b"a"]


def test_unacked_comes_again_after_close(opened: Opened) -> None:
    """What was fetched and not acked, handed out or not, comes again once its queue is closed."""
    queue = opened([2], prefetch=10)
    queue.publish(2, [b"a", b"b", b"c"])
    acked = queue.receive(PATIENCE)
    held = queue.receive(PATIENCE)
    assert acked is not None and held is not None
    acked.ack()
    queue.close()
    assert set(drain(opened([2]), 2)) == {b"a", b"b", b"c"} - {acked.data}


def test_answers_after_the_first_do_nothing(opened: Opened) -> None:
    """An acked message stays acked whatever is said of its delivery afterwards."""
    queue = opened([2])
    queue.publish(2, [b"a"])
    delivery = queue.receive(PATIENCE)
    assert delivery is not None
    delivery.ack()
    delivery.give_back()
    delivery.ack()
    assert queue.receive(MOMENT) is None


def test_highest_layer_first(opened: Opened) -> None:
    """Of the messages at hand those of the highest layer are handed out first."""
    queue = opened([2, 3, 4], prefetch=5)
    queue.publish(2, [b"2", b"2"])
    queue.publish(4, [b"4", b"4"])
    queue.publish(3, [b"3", b"3"])
    first = queue.receive(PATIENCE)
    assert first is not None
    wait_for(queue, 5)
    left = sorted([b"2", b"2", b"3", b"3", b"4", b"4"], reverse=True)
    left.remove(first.data)
    rest = [queue.receive(PATIENCE) for _ in left]
    assert [delivery.data for delivery in rest if delivery] == left


def test_only_the_layers_asked_for(opened: Opened) -> None:
    """A queue receives from no other layers than those it was opened for, but publishes to all."""
    queue = opened([3])
    queue.publish(2, [b"2"])
    queue.publish(3, [b"3"])
    assert drain(queue, 1) == [b"3"]
    assert queue.receive(MOMENT) is None
    assert drain(opened([2]), 1) == [b"2"]


def test_dead_letters(opened: Opened) -> None:
    """A dead letter, however long its traceback, is received by who opens the queue of the dead."""
    queue = opened([2])
    queue.publish_dead(b"a", {"error": "ValueError", "traceback": "ä" * 5 * ATTRIBUTE_BYTES})
    assert queue.receive(MOMENT) is None
    assert drain(opened([DEAD]), 1) == [b"a"]


def test_closed(opened: Opened) -> None:
    """A queue can be closed twice, and receives no more."""
    queue = opened([2])
    queue.close()
    queue.close()
    with pytest.raises(StateError, match="closed"):
        queue.receive(MOMENT)


def test_what_is_known_of_a_message(opened: Opened) -> None:
    """A delivery says what was published with its message, and when; its lease is held until it is answered."""
    before = time.time()
    opened([]).publish_dead(b"a", {"error": "E", "reason": "r"})
    delivery = opened([DEAD]).receive(PATIENCE)
    assert delivery is not None
    assert (dict(delivery.attributes), delivery.lost) == ({"error": "E", "reason": "r"}, False)
    assert before - 1 <= delivery.published <= time.time() + 1
    delivery.ack()


def test_given_back_for_later(request: pytest.FixtureRequest) -> None:
    """A message that is given back for later comes neither before that nor never."""
    endpoints, prefix = topics(request)
    queue = PubSubQueue(endpoints, prefix, [2])
    queue.publish(2, [b"a"])
    delivery = queue.receive(PATIENCE)
    assert delivery is not None
    begun = time.monotonic()
    delivery.give_back(after=2.0)
    again = queue.receive(PATIENCE)
    assert again is not None and (again.data, again.attempt) == (b"a", 2)
    assert time.monotonic() - begun > 1.0
    queue.close()


def test_leases_in_memory_can_end() -> None:
    """The broker in memory ends leases when it is told to: the message comes again, an ack is too late."""
    broker = MemoryBroker()
    queue = broker.open([2])
    queue.publish(2, [b"a"])
    delivery = queue.receive(0.0)
    assert delivery is not None and not delivery.lost
    assert broker.expire() == 1
    assert delivery.lost
    delivery.ack()
    delivery.give_back()
    again = queue.receive(0.0)
    assert again is not None and (again.data, again.attempt) == (b"a", 2)
    again.ack()
    assert broker.expire() == 0 and queue.receive(0.0) is None


def test_what_waits_at_this_moment(request: pytest.FixtureRequest) -> None:
    """All dead letters that wait are delivered at once, and again those that were not acked."""
    endpoints, prefix = topics(request)
    queue = PubSubQueue(endpoints, prefix, [])
    assert list(Waiting(endpoints, prefix, DEAD)) == []
    wanted = sorted(b"letter %d" % number for number in range(250))
    for data in wanted:
        queue.publish_dead(data, {"error": "E"})
    queue.close()
    left = []
    for delivery in Waiting(endpoints, prefix, DEAD):
        assert delivery.attributes == {"error": "E"} and delivery.published > 0 and not delivery.lost
        left.append(delivery.data)
        if len(left) <= 5:
            delivery.give_back()
        else:
            delivery.ack()
    assert sorted(set(left)) == wanted
    assert list(Waiting(endpoints, prefix, DEAD)) == []
    with pytest.raises(StateError, match="missing-dead"):
        list(Waiting(endpoints, "missing", DEAD))


def test_undeliverable_messages_become_dead_letters(request: pytest.FixtureRequest) -> None:
    """A message that nobody ever acks is dead-lettered by the service itself, with the count of its deliveries."""
    endpoints, prefix = topics(request, max_delivery_attempts=5)
    queue, dead = PubSubQueue(endpoints, prefix, [2]), PubSubQueue(endpoints, prefix, [DEAD])
    queue.publish(2, [b"a"])
    for _ in range(5):
        delivery = queue.receive(PATIENCE)
        assert delivery is not None
        delivery.give_back()
    # The emulator looks at the limit when somebody asks for messages.
    assert queue.receive(MOMENT) is None
    letter = dead.receive(PATIENCE)
    assert letter is not None and letter.data == b"a"
    assert letter.attributes["CloudPubSubDeadLetterSourceDeliveryCount"] == "5"
    letter.ack()
    for one in (queue, dead):
        one.close()


def test_memory_keeps_dead_letters() -> None:
    """The broker in memory keeps each dead letter with its attributes."""
    broker = MemoryBroker()
    broker.open([]).publish_dead(b"a", {"error": "E"})
    assert broker.dead == [(b"a", {"error": "E"})]


def test_topics_are_made_once(request: pytest.FixtureRequest) -> None:
    """Topics that are there already are left as they are."""
    endpoints, prefix = topics(request)
    queue = PubSubQueue(endpoints, prefix, [2])
    queue.publish(2, [b"a"])
    create_topics(endpoints, prefix, [2, 3, 4])
    assert drain(queue, 1) == [b"a"]
    queue.close()


def test_missing_topics(emulators: dict[str, str]) -> None:
    """Without topics the error says which one is missing, to publish as well as to receive."""
    queue = PubSubQueue(Endpoints.emulated(emulators), "missing", [2])
    with pytest.raises(StateError, match="missing-l2"):
        queue.publish(2, [b"a"])
    with pytest.raises(StateError, match="missing-l2"):
        queue.receive(PATIENCE)
    queue.close()


def test_lease(request: pytest.FixtureRequest) -> None:
    """A lease outlives the subscription's deadline, but not the longest lease of its queue."""
    endpoints, prefix = topics(request, ack_deadline_seconds=10)
    kept = PubSubQueue(endpoints, prefix, [2], extension_seconds=10)
    lost = PubSubQueue(endpoints, prefix, [2], extension_seconds=10, max_lease_seconds=0)
    kept.publish(2, [b"kept"])
    held = kept.receive(PATIENCE)
    kept.publish(2, [b"lost"])
    gone = lost.receive(PATIENCE)
    assert held is not None and gone is not None
    other = PubSubQueue(endpoints, prefix, [2], prefetch=5)
    again = other.receive(PATIENCE)
    assert again is not None
    assert again.data == b"lost"
    assert other.receive(2.0) is None
    assert (held.lost, gone.lost) == (False, True)
    for queue in (kept, lost, other):
        queue.close()


def test_environment_is_not_read(emulators: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are given count, whatever the environment of the process says."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    endpoints, prefix = Endpoints.emulated(emulators), f"t{uuid.uuid4().hex}"
    create_topics(endpoints, prefix, [2])
    queue = PubSubQueue(endpoints, prefix, [2])
    queue.publish(2, [b"a"])
    assert drain(queue, 1) == [b"a"]
    queue.close()
