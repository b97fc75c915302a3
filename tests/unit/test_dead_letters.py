"""Dead letters: what becomes of each, however often and late it comes."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass

import pytest

from shared.errors import DataError
from shared.memory.completion import MemoryOrphans
from shared.operate.dead_letters import KEPT_BYTES, DeadLetter, collect, note
from shared.plan.grid import Chunk
from shared.run.events import Event
from shared.run.messages import Message
from shared.run.ports import DEAD, State
from shared.run.record import RunRecord
from shared.run.registry import Registry
from shared.timestamps import text_of
from shared.work import failures
from tests.harness import MemoryRun, backend_of
from tests.volumes import random_volume

CHUNK = Chunk(2, 0, 1, 0)
TOLD = {"error": "DataError", "reason": "bad file", "worker": "w"}
EARLY, LATE = text_of(1_700_000_000.0), text_of(1_700_000_100.25)


@dataclass
class Damaged(Registry):
    """A registry whose records cannot be read while it has an error."""

    damage: Exception | None = None

    def record(self, graph: str) -> RunRecord | None:
        if self.damage:
            raise self.damage
        return super().record(graph)

    @property
    def run(self) -> MemoryRun:
        return RUNS[id(self.progress)]

    @property
    def kept(self) -> MemoryOrphans:
        orphans = self.progress.orphans()
        assert isinstance(orphans, MemoryOrphans)
        return orphans


RUNS: dict[int, MemoryRun] = {}


@pytest.fixture
def books() -> Damaged:
    run = MemoryRun.of(random_volume(3, (2, 2, 1), size=5)).start()
    backend = backend_of(run)
    RUNS[id(backend)] = run
    return Damaged(backend)


def letter(chunk: Chunk = CHUNK, published: str = EARLY, graph: str = "graph", run: str = "run") -> DeadLetter:
    return DeadLetter(Message(graph, run, chunk).encode(), TOLD, published)


def test_kept_once(books: Damaged) -> None:
    """A letter becomes the failure of its chunk, and coming again changes nothing."""
    assert note(books, letter()) is Event.DEAD_LETTER_KEPT
    (failure,) = books.run.completion.failures()
    assert (failure.chunk, failure.state, failure.error, failure.when) == (CHUNK, State.DEAD, "DataError", EARLY)
    assert note(books, letter()) is note(books, letter(published=LATE)) is Event.DEAD_LETTER_REPEATED
    assert books.run.completion.failures() == [failure]


def test_after_a_replay(books: Damaged) -> None:
    """The old letter of a chunk that was replayed does not bring its failure back; a new one does."""
    note(books, letter())
    (failure,) = books.run.completion.failures()
    middle = text_of(1_700_000_050.0)
    books.run.completion.change_failure(CHUNK, lambda before: failures.replayed(before, failure, middle))
    assert note(books, letter()) is Event.DEAD_LETTER_REPEATED
    assert books.run.completion.failures() == []
    assert note(books, letter(published=LATE)) is Event.DEAD_LETTER_KEPT


def test_of_a_chunk_that_is_done(books: Damaged) -> None:
    """A chunk that was built after all has no failure, whatever letters are left of it."""
    books.run.work()
    assert note(books, letter(published=LATE)) is Event.DEAD_LETTER_REPEATED
    assert books.run.completion.failures() == []


def test_of_an_older_run(books: Damaged) -> None:
    """After a reset letters of the run before are dropped, as workers drop its messages."""
    assert note(books, letter(run="older")) is Event.DEAD_LETTER_STALE
    assert books.run.completion.failures() == [] == books.kept.all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x00nonsense", "not JSON"),
        (b"", "not JSON"),
        (b"x" * 5000, "more than"),
        (letter(graph="other").data, "no run of graph other"),
        (letter(Chunk(2, 9, 0, 0)).data, "no chunk 2/9_0_0"),
    ],
)
def test_strays_are_kept_as_they_came(books: Damaged, data: bytes, reason: str) -> None:
    """What belongs to no chunk of a known run is kept, once, with the reason."""
    for _ in range(2):
        assert note(books, DeadLetter(data, TOLD, EARLY)) is Event.DEAD_LETTER_ORPHAN
    (orphan,) = books.kept.all()
    assert (orphan.data, orphan.size, orphan.attributes) == (data[:KEPT_BYTES], len(data), TOLD)
    assert reason in orphan.reason
    books.kept.drop(orphan)
    assert books.kept.all() == []


def test_damaged_run_record(books: Damaged) -> None:
    """A letter whose run record cannot be understood is kept; one that cannot be read comes again."""
    books.damage = DataError("run.json", "-", "no run record")
    assert note(books, letter()) is Event.DEAD_LETTER_ORPHAN
    books.damage = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        note(books, letter())


def test_collect(books: Damaged) -> None:
    """Letters that wait are noted and gone; one that cannot be noted waits on."""
    publisher, queue = books.run.broker.open([]), books.run.broker.open([DEAD])
    for chunk in (CHUNK, CHUNK, Chunk(2, 1, 1, 0)):
        publisher.publish_dead(letter(chunk).data, TOLD)
    books.damage = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        collect(books, iter(lambda: queue.receive(0.0), None))
    assert books.run.broker.expire() == 1
    books.damage = None
    found = collect(books, iter(lambda: queue.receive(0.0), None))
    assert found == Counter({Event.DEAD_LETTER_KEPT: 2, Event.DEAD_LETTER_REPEATED: 1})
    assert [failure.chunk for failure in books.run.completion.failures()] == [CHUNK, Chunk(2, 1, 1, 0)]
    assert books.run.broker.expire() == 0 and not books.run.broker.waiting[DEAD]


def test_pushed() -> None:
    """The JSON of a push gives the same letter as a pull; attributes and data may be missing."""
    body = {
        "subscription": "projects/p/subscriptions/s",
        "message": {
            "data": base64.b64encode(b"\xff\x00").decode(),
            "attributes": {"error": "E"},
            "messageId": "1",
            "publishTime": "2023-11-14T22:15:00.250123456Z",
        },
    }
    assert DeadLetter.pushed(body) == DeadLetter(b"\xff\x00", {"error": "E"}, LATE)
    assert DeadLetter.pushed({"message": {"publishTime": "2023-11-14T22:13:20Z"}}) == DeadLetter(b"", {}, EARLY)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        "text",
        {"message": "text"},
        {"message": {}},
        {"message": {"publishTime": "now"}},
        {"message": {"publishTime": "2023-11-14T22:13:20Z", "data": "?"}},
        {"message": {"publishTime": "2023-11-14T22:13:20Z", "data": 3}},
        {"message": {"publishTime": "2023-11-14T22:13:20Z", "attributes": "x"}},
    ],
)
def test_not_pushed_by_pubsub(body: object) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match="not a message pushed"):
        DeadLetter.pushed(body)
