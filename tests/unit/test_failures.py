"""How failure records change: attempts, starts without an end, dead letters, replays."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.classify import Kind
from shared.errors import DataError, WorkerKilled
from shared.logs import MAX_TRACEBACK
from shared.plan.grid import Chunk
from shared.run.ports import Failure, State
from shared.run.record_versions import upgraded
from shared.work import failures
from shared.work.failures import Attempt
from tests.harness import record_of
from tests.volumes import random_volume

CHUNK = Chunk(2, 1, 2, 3)
FIRST = Attempt(CHUNK, "w1", "")
SECOND, THIRD = Attempt(CHUNK, "w2", "t2 on w2"), Attempt(CHUNK, "w3", "t3 on w3")
T = [f"2024-01-01T00:00:0{second}.000+00:00" for second in range(10)]

texts = st.sampled_from(["", *T])
records = st.none() | st.builds(
    Failure,
    st.just(CHUNK),
    st.sampled_from(["", "E"]),
    st.just("m"),
    attempts=st.integers(0, 5),
    state=st.sampled_from(State),
    started=st.lists(st.sampled_from(["a", "b", "t2 on w2"]), unique=True, max_size=3).map(tuple),
    replayed=texts,
)


def fail(
    before: Failure | None, attempt: Attempt = FIRST, kind: Kind = Kind.TRANSIENT, when: str = T[0]
) -> Failure:
    return failures.failed(before, attempt, RuntimeError("no"), kind, when, limit=3)


def test_attempts_are_counted_up_to_the_limit() -> None:
    """Each failed attempt counts, the last one is the end; first and last time are kept."""
    one = fail(None)
    two = fail(one, SECOND, when=T[1])
    three = fail(two, THIRD, when=T[2])
    assert [found.attempts for found in (one, two, three)] == [1, 2, 3]
    assert [found.state for found in (one, two, three)] == [State.TRYING, State.TRYING, State.DEAD]
    assert (three.first, three.when, three.worker) == (T[0], T[2], "w3")


def test_permanent_errors_end_at_once() -> None:
    """What fails each time needs no second attempt."""
    assert fail(None, kind=Kind.PERMANENT).state is State.DEAD


def test_what_is_kept_of_an_error() -> None:
    """Class, message and the end of the traceback, cut to a limit."""
    try:
        raise DataError("file", CHUNK, "x" * 20_000)
    except DataError as error:
        found = failures.failed(None, FIRST, error, Kind.PERMANENT, T[0], 5)
    assert found.error == "DataError" and found.message.startswith("file: chunk 2/1_2_3: xxx")
    assert len(found.traceback) == MAX_TRACEBACK and len(found.message) < 5000


def test_starts_are_taken_back_when_they_end() -> None:
    """A start stays in the record only if nothing is heard of its attempt again."""
    begun = failures.begun(failures.begun(None, SECOND), SECOND)
    assert (begun.started, begun.attempts, begun.dead) == (("t2 on w2",), 0, False)
    assert failures.ended(begun, SECOND) is None
    assert fail(begun, SECOND).started == ()
    both = failures.begun(begun, THIRD)
    assert fail(both, THIRD).started == ("t2 on w2",)
    hindered = failures.hindered(both, THIRD, OSError("gone"), T[3])
    assert (hindered.started, hindered.attempts, hindered.error) == (("t2 on w2",), 0, "OSError")
    assert failures.ended(replace(both, error="E"), THIRD) == replace(both, error="E", started=("t2 on w2",))
    assert failures.ended(None, SECOND) is None


def test_killed_too_often() -> None:
    """Attempts that were begun and never ended have a limit, and an error that names them."""
    record = Failure(CHUNK, "", "", attempts=0, state=State.TRYING, started=("a", "b", "c"))
    assert failures.killed_too_often(None, 3) is None
    assert failures.killed_too_often(record, 4) is None
    error = failures.killed_too_often(record, 3)
    assert isinstance(error, WorkerKilled) and "2/1_2_3" in str(error) and "c" in str(error)
    dead = failures.failed(record, FIRST, error, Kind.PERMANENT, T[0], 3)
    assert (dead.state, dead.attempts, dead.started) == (State.DEAD, 0, ("a", "b", "c"))


def test_letter_of_a_worker() -> None:
    """Without a record, as after Firestore was lost, a worker's letter makes one."""
    found = failures.dead_lettered(None, CHUNK, {"error": "DataError", "reason": "bad", "worker": "w"}, T[4])
    assert (found.error, found.message, found.worker, found.state) == ("DataError", "bad", "w", State.DEAD)
    assert (found.first, found.when) == (T[4], T[4])


def test_letter_of_pubsub() -> None:
    """What Pub/Sub gave up is dead, with the last error that is known and the count of deliveries."""
    attributes = {"CloudPubSubDeadLetterSourceDeliveryCount": "50"}
    found = failures.dead_lettered(fail(None), CHUNK, attributes, T[4])
    assert (found.error, found.state, found.attempts) == ("WorkerKilled", State.DEAD, 1)
    assert "50 times" in found.message and "RuntimeError: no" in found.message
    assert "50 times" in failures.dead_lettered(None, CHUNK, attributes, T[4]).message


@given(records, texts.filter(bool), st.booleans())
def test_letters_may_come_again(before: Failure | None, published: str, by_worker: bool) -> None:
    """The same letter a second time changes nothing, nor does any on a chunk that is dead already."""
    attributes = {"error": "E", "reason": "r"} if by_worker else {}
    once = failures.dead_lettered(before, CHUNK, attributes, published)
    assert failures.dead_lettered(once, CHUNK, attributes, published) == once
    assert once.dead or (before == once and published <= before.replayed)


def test_replay_begins_anew() -> None:
    """After a replay the old letters are told from new ones, and attempts are counted from the start."""
    dead = fail(None, kind=Kind.PERMANENT, when=T[1])
    again = failures.replayed(dead, dead, T[5])
    assert again is not None and again.state is State.REPLAYED and not again.dead
    assert failures.dead_lettered(again, CHUNK, {"error": "E"}, T[2]) == again
    assert failures.dead_lettered(again, CHUNK, {"error": "E"}, T[6]).state is State.DEAD
    failed = fail(failures.begun(again, SECOND), SECOND, when=T[7])
    assert (failed.attempts, failed.state, failed.first) == (1, State.TRYING, T[7])
    assert failures.dead_lettered(failed, CHUNK, {"error": "E"}, T[2]) == failed


def test_replay_leaves_what_was_noted_since() -> None:
    """A failure that a worker notes while somebody replays the one before stays."""
    dead = fail(None, kind=Kind.PERMANENT, when=T[1])
    newer = fail(dead, SECOND, kind=Kind.PERMANENT, when=T[2])
    assert failures.replayed(newer, dead, T[5]) == newer
    assert failures.replayed(None, dead, T[5]) is None


def test_discarded_stays_discarded() -> None:
    """What somebody gave up is not tried again on its own, nor when a message of it is left over."""
    dead = fail(None, kind=Kind.PERMANENT)
    given_up = failures.discarded(dead, T[1])
    assert given_up is not None and given_up.state is State.DISCARDED and given_up.dead
    assert fail(given_up, SECOND).state is State.DISCARDED
    assert failures.dead_lettered(given_up, CHUNK, {}, T[9]) == given_up
    trying = fail(None)
    assert failures.discarded(trying, T[1]) == trying
    assert failures.discarded(None, T[1]) is None


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        (None, (5, 5)),
        ({}, (5, 5)),
        ({"max_attempts": 2}, (2, 2)),
        ({"max_attempts": {"3": 9}}, (5, 9)),
        ({"max_attempts": {"3": 9, "2": 1}}, (1, 9)),
        ({"max_attempts": "x"}, (5, 5)),
    ],
)
def test_attempts_by_layer(settings: object, found: tuple[int, int]) -> None:
    """The limit is the configuration's, for all layers or by layer, as it comes back from JSON too."""
    fields = upgraded({"dataset": {"chunkedgraph_ingest": settings}})
    record = replace(record_of(random_volume(1, (1, 1, 1), size=2)), max_attempts=fields["max_attempts"])
    assert (record.attempt_limit(2), record.attempt_limit(3)) == found
    assert upgraded({"dataset": {}})["max_attempts"] == {"other": 5}
