"""Looks by a thread of their own: whoever asks sees what was asked for, or is told for how long nothing was
answered."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from jobs.look.refresher import Refresher
from shared.look.watch import View, Watch
from shared.plan.grid import Chunk
from tests.synthetic import Clock

LONG = 60.0
A, B = View(chunk=Chunk(2, 0, 0, 0)), View(chunk=Chunk(2, 1, 0, 0))


class Slow:
    """A watch whose looks take until somebody lets them end."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)
        self.looks = list[tuple[View, bool]]()
        self.error: Exception | None = None

    def refresh(self, view: View, at_once: bool) -> None:
        self.begun.release()
        self.go.acquire()
        self.looks.append((view, at_once))
        if self.error:
            raise self.error


@pytest.fixture
def slow() -> Slow:
    """A watch."""
    return Slow()


def refresher_of(slow: Slow, clock: Clock | None = None) -> Refresher:
    """What is tested."""
    return Refresher(cast(Watch, cast(Any, slow)), clock or Clock())


def test_an_answer_has_what_was_asked_for(slow: Slow) -> None:
    """Whoever waits is answered once the look that was asked for has ended."""
    for _ in range(3):
        slow.go.release()
    refresher = refresher_of(slow)
    assert refresher.ask(A, False, LONG) == 0.0 and slow.looks == [(A, False)]
    assert refresher.ask(B, True, LONG) == 0.0 and slow.looks[1:] == [(B, True)]
    assert refresher.ask(A, False, LONG) == 0.0 and len(slow.looks) == 3


def test_nobody_waits_for_a_service_that_is_silent(slow: Slow) -> None:
    """While a look does not end, each answer comes at once and says for how long; what is asked for meanwhile,
    however often, is looked at once, when it goes on."""
    clock = Clock(5.0)
    refresher = refresher_of(slow, clock)
    assert refresher.ask(A, False, 0.0) == 0.0  # not begun yet, or begun in this moment
    slow.begun.acquire()
    clock.now = 65.0
    assert [refresher.ask(view, view is B, 0.0) for view in (A, B, B)] == [60.0] * 3
    for _ in range(4):
        slow.go.release()
    assert refresher.ask(B, False, LONG) == 0.0
    assert slow.looks[:3] == [(A, False), (A, False), (B, True)]


def test_an_error_is_told_once(slow: Slow) -> None:
    """What nobody foresaw reaches who asked, and the next one is answered."""
    slow.error = AttributeError("a mistake")
    refresher = refresher_of(slow)
    slow.go.release()
    with pytest.raises(AttributeError):
        refresher.ask(A, False, LONG)
    slow.error = None
    slow.go.release()
    assert refresher.ask(A, False, LONG) == 0.0
