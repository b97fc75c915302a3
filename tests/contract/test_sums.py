"""Sums over large layers: by parts the same as in one, within their time, and as they were where none is left."""

from __future__ import annotations

import random
import time
import uuid
from typing import Any

import pytest
from google.api_core.exceptions import DeadlineExceeded, ServiceUnavailable

from shared.gcp.clients import Endpoints
from shared.gcp.firestore import sums
from shared.gcp.firestore.completion import FirestoreCompletion
from shared.plan.grid import Chunk
from shared.run.ports import LayerProgress

LAYERS = [2, 3]


@pytest.fixture
def completion(emulators: dict[str, str]) -> FirestoreCompletion:
    """Records of layers 3 and 4 with 0 to 8 done children each, some of them published."""
    rng, made = random.Random(1), FirestoreCompletion(Endpoints.emulated(emulators), "graph", uuid.uuid4().hex)
    for layer, count in ((3, 60), (4, 8)):
        for number in range(count):
            chunk = Chunk(layer, number, 0, 0)
            for bit in range(rng.randrange(9)):
                made.complete(chunk, bit, 12, True, 0.5)
            made.complete(chunk, 9, 12, False, 7.0)
            if rng.random() < 0.5:
                made.note_published(chunk)
    return made


def test_parts_make_the_whole(completion: FirestoreCompletion, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large layer is asked for by ranges of names, with the same counts; build times are those of a sample."""
    whole = completion.progress(LAYERS)
    assert whole[2].done > 100 and whole[3].published > 10
    monkeypatch.setattr(sums, "LARGE", 100)
    asked: list[Any] = []
    real = sums._number

    def counted(query: Any, until: float) -> Any:
        asked.append(query)
        return real(query, until)

    monkeypatch.setattr(sums, "_number", counted)
    parts = completion.progress(LAYERS)
    # 16 parts with up to 8 children each, and 16 of what was published, of the one layer that is large.
    assert len(asked) == 3 + 16 * 9
    assert parts[3] == whole[3]
    assert (parts[2].done, parts[2].published) == (whole[2].done, whole[2].published)
    assert parts[2].seconds == pytest.approx(whole[2].seconds)


def test_what_takes_too_long_is_asked_for_by_parts(
    completion: FirestoreCompletion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sum that is cut off makes its layer one that is asked for by parts, at once and from then on."""
    whole, real, cut = completion.progress([2]), sums._number, []

    def slow(query: Any, until: float) -> float | Exception:
        if type(query._aggregations[0]).__name__ == "SumAggregation":
            cut.append(query)
            return DeadlineExceeded("60 s")
        return real(query, until)

    monkeypatch.setattr(sums, "_number", slow)
    assert completion.progress([2])[2].done == whole[2].done
    assert completion.progress([2])[2].done == whole[2].done
    assert len(cut) == 2


def test_the_last_known_count_is_kept(completion: FirestoreCompletion, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is answered in time the counts are those of before; where there were none it is an error."""
    whole = completion.progress([2])
    for error in (DeadlineExceeded("slow"), ServiceUnavailable("gone")):
        monkeypatch.setattr(sums, "_number", lambda query, until, error=error: error)
        assert completion.progress([2]) == whole and str(error) in completion.stale
        with pytest.raises(type(error)):
            completion.progress([3])
    completion.clear()
    monkeypatch.undo()
    assert completion.progress([2]) == {2: LayerProgress()}
    assert completion.stale == ""


def test_no_query_outlasts_the_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """A query is given what is left of the time, and passing faults are met until then, not for minutes."""
    clock, given = [0.0], []

    class Refusing:
        def get(self, timeout: float, retry: object) -> None:
            given.append(timeout)
            clock[0] += 7.0
            raise ServiceUnavailable("passing")

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    assert isinstance(sums._number(Refusing(), 50.0), ServiceUnavailable)
    assert clock[0] <= 50.0 + 7.0 and max(given) == sums.QUERY_SECONDS and given[-1] < 10.0
    # Less than the time of the function, also with what it does besides.
    assert sums.SECONDS + sums.QUERY_SECONDS < 120
