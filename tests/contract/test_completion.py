"""What all completion records promise: sets, not counters, however often and in whatever order."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.gcp.clients import Endpoints
from shared.gcp.firestore import completion as firestore
from shared.gcp.firestore.completion import FirestoreCompletion, chunk_of, document_id
from shared.gcp.firestore.orphans import FirestoreOrphans
from shared.memory.completion import MemoryCompletion, MemoryOrphans
from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts, Seen
from shared.run.ports import Completion, Failure, LayerProgress, Orphan, Orphans, State

A, B, ABOVE = Chunk(3, 0, 0, 0), Chunk(3, 1, 0, 2), Chunk(4, 0, 0, 0)
FAILURE = Failure(
    Chunk(2, 1, 2, 3), "ValueError", "no", "a\nb", attempts=2, worker="w", when="t", state=State.TRYING
)

Fresh = Callable[[], Completion]


@pytest.fixture(params=["memory", "emulator"])
def fresh(request: pytest.FixtureRequest) -> Fresh:
    """Makes the records of another run, each time it is called."""
    if request.param == "memory":
        return MemoryCompletion
    endpoints = Endpoints.emulated(request.getfixturevalue("emulators"))
    return lambda: FirestoreCompletion(endpoints, "graph", f"run{uuid.uuid4().hex}")


@pytest.fixture
def completion(fresh: Fresh) -> Completion:
    """The records in question."""
    return fresh()


def test_no_record(completion: Completion) -> None:
    """Where nothing is noted, nothing is done."""
    assert completion.done(A) == 0
    assert list(completion.records(3)) == []
    assert completion.progress([2]) == {2: LayerProgress()}


def test_complete_says_when_all_are_done(completion: Completion) -> None:
    """Only who finds the set full is told so, and it is a set for each chunk."""
    assert not completion.complete(A, 0, 3, True, 1.0)
    assert not completion.complete(A, 2, 3, True, 1.0)
    assert completion.complete(B, 0, 1, True, 1.0)
    assert completion.complete(A, 1, 3, False, 1.0)
    assert (completion.done(A), completion.done(B)) == (0b111, 0b1)


def test_noting_again_changes_nothing(completion: Completion) -> None:
    """A repeated note is answered as before and counts no second time, neither do its seconds."""
    for _ in range(3):
        assert not completion.complete(A, 1, 2, True, 4.0)
    for _ in range(3):
        assert completion.complete(A, 0, 2, True, 5.0)
    assert completion.complete(A, 1, 2, True, 4.0)
    assert completion.progress([2]) == {2: LayerProgress(done=2, seconds=9.0)}


@pytest.mark.parametrize("seed", range(5))
def test_order_does_not_matter(completion: Completion, seed: int) -> None:
    """In any order, with repetitions, the set is full exactly when the last one comes."""
    notes = [*range(5), *range(5)]
    random.Random(seed).shuffle(notes)
    for at, number in enumerate(notes, start=1):
        full = completion.complete(A, number, 5, number < 3, 1.0)
        assert full == (len(set(notes[:at])) == 5)
    assert completion.done(A) == 0b11111
    assert completion.progress([2]) == {2: LayerProgress(done=3, seconds=3.0)}


def test_many_at_once(completion: Completion) -> None:
    """Eight threads that complete one record lose no bit, and at least one finds it full."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: completion.complete(A, number % 16, 16, True, 0.5), range(24)))
    assert completion.done(A) == (1 << 16) - 1
    assert any(answers)
    assert completion.progress([2]) == {2: LayerProgress(done=16, seconds=8.0)}


def test_wrong_dependency(completion: Completion) -> None:
    """A dependency that the record has no room for is refused."""
    for number, expected in ((2, 2), (-1, 2), (0, 63)):
        with pytest.raises(ValueError, match="dependency"):
            completion.complete(A, number, expected, True, 1.0)


def test_progress(completion: Completion) -> None:
    """A layer's progress is what the layer above knows of its children, and what was published of it."""
    completion.complete(A, 0, 2, True, 1.5)
    completion.complete(A, 1, 2, False, 8.0)
    completion.complete(B, 0, 9, True, 2.0)
    completion.note_published(A)
    completion.complete(ABOVE, 0, 1, True, 10.0)
    completion.note_published(ABOVE)
    assert completion.progress([2, 3, 4]) == {
        2: LayerProgress(done=2, published=0, seconds=3.5),
        3: LayerProgress(done=1, published=1, seconds=10.0),
        4: LayerProgress(done=0, published=1, seconds=0.0),
    }


def test_published_is_kept(completion: Completion) -> None:
    """What is published stays so when a dependency is noted again, or for the first time."""
    completion.note_published(A)
    completion.note_published(A)
    completion.complete(A, 0, 2, True, 1.0)
    completion.complete(A, 0, 2, True, 1.0)
    assert list(completion.records(3)) == [(A, 1, True)]


def test_records(completion: Completion, monkeypatch: pytest.MonkeyPatch) -> None:
    """All records of a layer are listed, in pages of any size, and no others."""
    monkeypatch.setattr(firestore, "PAGE", 3)
    for number in range(8):
        completion.complete(Chunk(3, number, 10, 200), number % 2, 2, True, 1.0)
    completion.note_published(Chunk(3, 5, 10, 200))
    completion.complete(ABOVE, 0, 1, True, 1.0)
    wanted = [(Chunk(3, number, 10, 200), 1 << number % 2, number == 5) for number in range(8)]
    assert sorted(completion.records(3)) == wanted


def test_failures(completion: Completion) -> None:
    """A chunk has one failure, the last; they are listed by chunk, and can be dropped."""
    other = replace(FAILURE, chunk=Chunk(2, 0, 9, 9), traceback="x" * 5000, state=State.DEAD)
    completion.add_failure(replace(FAILURE, attempts=1))
    completion.add_failure(FAILURE)
    completion.add_failure(other)
    assert completion.failures() == [other, FAILURE]
    assert completion.failure(FAILURE.chunk) == FAILURE
    completion.drop_failure(FAILURE.chunk)
    completion.drop_failure(FAILURE.chunk)
    assert completion.failure(FAILURE.chunk) is None
    assert completion.failures() == [other]


def test_replayed_failures_are_not_listed(completion: Completion) -> None:
    """What was replayed is no failure any more, though its record is there."""
    replayed = replace(FAILURE, state=State.REPLAYED, replayed="t", started=("a", "b"))
    completion.add_failure(replayed)
    assert completion.failures() == []
    assert completion.failure(FAILURE.chunk) == replayed


def test_change_failure(completion: Completion) -> None:
    """A failure is made, changed and taken away by what a function makes of the one before."""
    chunk = FAILURE.chunk
    assert completion.change_failure(chunk, lambda before: before) is None
    assert completion.change_failure(chunk, lambda before: FAILURE if before is None else None) == FAILURE

    def once_more(before: Failure | None) -> Failure:
        assert before is not None
        return replace(before, attempts=before.attempts + 1, started=(*before.started, "a"))

    changed = replace(FAILURE, attempts=3, started=("a",))
    assert completion.change_failure(chunk, once_more) == changed == completion.failure(chunk)
    assert completion.change_failure(chunk, lambda before: before) == changed
    assert completion.change_failure(chunk, lambda before: None) is None
    assert completion.failure(chunk) is None


def test_change_failure_at_once(completion: Completion) -> None:
    """Of eight threads that count attempts of one chunk none loses another's."""

    def count(before: Failure | None) -> Failure:
        return replace(before or replace(FAILURE, attempts=0), attempts=before.attempts + 1 if before else 1)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: completion.change_failure(FAILURE.chunk, count), range(16)))
    assert sorted(failure.attempts for failure in found if failure) == list(range(1, 17))


def test_published_can_be_asked(completion: Completion) -> None:
    """Whether a chunk was queued is known once it was noted."""
    completion.complete(A, 0, 1, True, 1.0)
    assert not completion.published(A) and not completion.published(B)
    completion.note_published(A)
    assert completion.published(A)


@pytest.mark.parametrize("kind", ["memory", "emulator"])
def test_strays(kind: str, request: pytest.FixtureRequest) -> None:
    """Dead letters of no run are kept once each, the oldest first, until they are dropped."""
    orphans: Orphans = MemoryOrphans()
    if kind == "emulator":
        endpoints = Endpoints.emulated(request.getfixturevalue("emulators"))
        orphans = FirestoreOrphans(replace(endpoints, database=f"d{uuid.uuid4().hex}"))
    late = Orphan(b"\xff\x00", 2, "no JSON", {"error": "E"}, "2024-01-02")
    early = replace(late, published="2024-01-01")
    for orphan in (late, early, late):
        orphans.keep(orphan)
    assert orphans.all() == [early, late]
    orphans.drop(late)
    orphans.drop(late)
    assert orphans.all() == [early]


def test_clear(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clearing drops every record and failure of its own run, and of no other."""
    monkeypatch.setattr(firestore, "PAGE", 4)
    monkeypatch.setattr(firestore, "BATCH", 3)
    mine, other = fresh(), fresh()
    for completion in (mine, other):
        for number in range(6):
            completion.complete(Chunk(3, number, 0, 0), 0, 1, True, 1.0)
        completion.complete(ABOVE, 0, 1, True, 1.0)
        completion.add_failure(FAILURE)
    mine.clear()
    assert (list(mine.records(3)), list(mine.records(4)), mine.failures()) == ([], [], [])
    assert (len(list(other.records(3))), other.failures()) == (6, [FAILURE])


def test_document_ids() -> None:
    """A document id says its chunk, and neighbours are far apart."""
    chunks = [Chunk(3, 0, 0, number) for number in range(200)]
    ids = [document_id(chunk) for chunk in chunks]
    assert [chunk_of(text) for text in ids] == chunks
    assert len({text[0] for text in ids}) == 16


def test_environment_is_not_read(emulators: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that are given count, whatever the environment of the process says."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    completion = FirestoreCompletion(Endpoints.emulated(emulators), "graph", f"run{uuid.uuid4().hex}")
    assert completion.complete(A, 0, 1, True, 1.0)


FACTS = Facts(1.5, 0.5, 210.5, 1046, 2048, 2, 870, 176, 1_700_000_000_123, "host:0:17")


def test_facts_of_children(completion: Completion) -> None:
    """What is known of a child is kept with the record of its parent, the first time that it is noted; of a
    neighbour nothing is, and a record that was looked up says what it says otherwise."""
    completion.complete(A, 0, 3, True, 1.5, FACTS)
    completion.complete(A, 0, 3, True, 9.0, Facts(9.0))
    completion.complete(A, 1, 3, True, 1.0)
    completion.complete(A, 2, 3, False, 1.0, None)
    completion.note_published(A)
    assert completion.look([A, B]) == {A: Seen(0b111, True, {0: FACTS})}
    assert completion.look([]) == {}


def test_many_records_are_looked_up(completion: Completion) -> None:
    """More records than one request holds are looked up, and no others."""
    wanted = [Chunk(3, number, 0, 0) for number in range(700)]
    for chunk in wanted[::70]:
        completion.complete(chunk, 0, 2, True, 1.0, FACTS)
    completion.complete(B, 0, 2, True, 1.0, FACTS)
    assert completion.look(wanted) == {chunk: Seen(1, False, {0: FACTS}) for chunk in wanted[::70]}


def test_some_records_are_the_same_everywhere(fresh: Fresh) -> None:
    """Some of a layer's records are those whose names come first, whatever was noted first; all, if there are no
    more."""
    chunks = [Chunk(3, x, y, 5) for x in range(4) for y in range(3)]
    first, second = fresh(), fresh()
    for one, order in ((first, chunks), (second, chunks[::-1])):
        for chunk in order:
            one.complete(chunk, 1, 2, True, 1.0, FACTS)
        one.complete(ABOVE, 0, 2, True, 1.0)
    found = first.some(3, 5)
    assert found == second.some(3, 5)
    assert [chunk for chunk, _ in found] == sorted(chunks, key=document_id)[:5]
    assert all(seen == Seen(2, False, {1: FACTS}) for _, seen in found)
    assert {chunk for chunk, _ in first.some(3, 100)} == set(chunks)
    assert first.some(9, 5) == []


def test_what_workers_are_at(completion: Completion) -> None:
    """Of each worker what it said last, by name, of so many as were asked for; nothing after everything was
    dropped."""
    said = [AtWork("b/1:0", A, 5), AtWork("a", A, 7), AtWork("b/1:0", B, 9)]
    for at in said:
        completion.note_at_work(at)
    assert completion.at_work(10) == [said[1], said[2]]
    assert len(completion.at_work(1)) == 1
    completion.clear()
    assert completion.at_work(10) == []


def test_some_failures_are_the_same_everywhere(fresh: Fresh) -> None:
    """A bounded number of failures is scattered over the grid, the same ones each time and in each store; replayed
    ones, which are read too, are among them."""
    completion = fresh()
    noted = [Failure(Chunk(2, at, 0, 0), "E", "no", state=list(State)[at % 4]) for at in range(9)]
    for failure in noted:
        completion.add_failure(failure)
    assert sorted(completion.some_failures(20), key=lambda one: one.chunk) == noted
    expected = MemoryCompletion()
    for failure in noted:
        expected.add_failure(failure)
    assert completion.some_failures(4) == expected.some_failures(4)
    assert len(completion.some_failures(4)) == 4
    assert fresh().some_failures(3) == []
