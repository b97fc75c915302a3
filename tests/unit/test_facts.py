"""What is noted of chunks: read back as it was, and never more than that."""

from __future__ import annotations

import pytest

from shared.memory.completion import MemoryCompletion
from shared.plan.grid import Chunk
from shared.run.facts import AtWork, Facts
from shared.work.saying import EVERY_SECONDS, Saying

CHUNK = Chunk(2, 1, 2, 3)


def test_facts_are_read_back() -> None:
    """Stored values are the facts again, also with more behind them, as a later release may write."""
    facts = Facts(1.5, 0.5, 210.5, 1046, 2048, 2, 870, 176, 1_700_000_000_123, "host", "E: no")
    assert Facts.read(facts.stored()) == facts
    assert Facts.read([*facts.stored(), "more"]) == facts


@pytest.mark.parametrize(
    "values", [None, 3, "text", [], [1.0], ["x"] * 11, [None] * 11, [float("inf")] * 11, {"a": 1}]
)
def test_what_is_none(values: object) -> None:
    """Whatever else stands there is no facts, and no error."""
    assert Facts.read(values) is None


class _Broken(MemoryCompletion):
    def note_at_work(self, at: AtWork) -> None:
        raise ConnectionError("out of reach")


def test_workers_speak_seldom() -> None:
    """A worker says nothing at first, then what it begins, at most once in the time; another chunk replaces the
    one before."""
    time = 0.0
    completion = MemoryCompletion()
    saying = Saying("w", lambda: time)
    told = []
    for time in (
        0.0,
        EVERY_SECONDS - 1,
        EVERY_SECONDS,
        EVERY_SECONDS + 1,
        2 * EVERY_SECONDS - 1,
        2 * EVERY_SECONDS,
    ):
        saying.begins(completion, CHUNK, int(time))
        told.append([at.since_ms for at in completion.at_work(9)])
    assert told == [[], [], [30], [30], [30], [60]]


def test_not_being_heard_holds_up_nothing() -> None:
    """A worker that cannot say what it begins goes on, and tries with the next chunk after a while."""
    time = 0.0
    saying = Saying("w", lambda: time)
    time = EVERY_SECONDS
    saying.begins(_Broken(), CHUNK, 0)
