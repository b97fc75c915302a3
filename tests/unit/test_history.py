"""The history of a run: one small document however long the run is, which nothing depends on."""

from __future__ import annotations

import json

import pytest

from shared.memory.dispatch import MemoryBoard
from shared.run.history import LEAST_SECONDS, MOST, History, Sample, note_sample, read_history


def test_samples_are_read_back() -> None:
    """What was noted is there, by graph and run, and of another run nothing."""
    board = MemoryBoard()
    first, second = Sample(1000, {2: 5, 3: 0}, 2, 7, 1), Sample(9000, {2: 9, 3: 1})
    assert note_sample(board, "fly", "r1", first)
    assert note_sample(board, "fly", "r1", second)
    assert read_history(board, "fly", "r1") == History((first, second))
    assert read_history(board, "fly", "r2") == History()


def test_samples_are_not_too_near() -> None:
    """A sample that comes too soon is left out."""
    board = MemoryBoard()
    near = int(LEAST_SECONDS * 1000) - 1
    assert [note_sample(board, "fly", "r", Sample(at, {})) for at in (0, near, near + 1)] == [True, False, True]


def test_a_long_run_stays_small() -> None:
    """Of a run of 18 days that is looked at each minute there are at most so many samples, in order and from its
    begin to its end, and the document is far below what Firestore takes."""
    history = History()
    minutes = range(0, 18 * 24 * 60)
    for minute in minutes:
        if history.due(minute * 60_000):
            done = {layer: minute * 400 for layer in range(2, 11)}
            history = history.with_sample(Sample(minute * 60_000, done, 500, 200_000))
    times = [one.at_ms for one in history.samples]
    assert MOST // 2 <= len(times) <= MOST
    assert times == sorted(times)
    assert times[0] == 0
    assert minutes[-1] * 60_000 - times[-1] <= history.seconds * 1000
    assert len(json.dumps(history.as_facts())) < 100_000


@pytest.mark.parametrize(
    "text", ["", "x", "{}", "[1]", "[[1, 2]]", '[["a", 1, 1, 1, {}]]', "[[1, 2, 3, 4, []]]", "null"]
)
def test_what_is_none(text: str) -> None:
    """Whatever else is kept under its name is no history, and no error."""
    assert History.of_facts({"samples": text, "seconds": 2.0}) == History()
