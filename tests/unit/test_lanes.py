"""Several lanes in one process: all work, one error ends all, and one signal interrupts all."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import FrameType

import pytest

from jobs.lanes import INTERRUPTS, Told, in_lanes
from shared.errors import ShuttingDown

SECONDS = 60.0
"""So long a test waits for what happens at once."""


def never() -> bool:
    return False


def test_one_lane_works_in_the_main_thread() -> None:
    """With one lane there is no thread beside the one that there is."""
    seen: list[threading.Thread] = []

    def work(lane: int, over: Callable[[], bool]) -> int:
        seen.append(threading.current_thread())
        assert lane == 0 and not over()
        return 7

    assert in_lanes(1, work, never) == 7
    assert seen == [threading.current_thread()]


def test_lanes_work_at_the_same_time() -> None:
    """Lanes that wait for each other all come to their ends, and what they did is added up."""
    together = threading.Barrier(3, timeout=SECONDS)

    def work(lane: int, _over: Callable[[], bool]) -> int:
        together.wait()
        return lane + 1

    assert in_lanes(3, work, never) == 6


def test_an_error_ends_all() -> None:
    """The error of a lane is that of all; the others are told to end."""

    def work(lane: int, over: Callable[[], bool]) -> int:
        if lane == 1:
            raise ValueError("no")
        until = threading.Event()
        while not over():
            until.wait(0.01)
        return 1

    with pytest.raises(ValueError, match="no"):
        in_lanes(3, work, never)


def test_only_the_first_lane_stays_once_it_is_narrow() -> None:
    """Where there is to be one chunk at a time all lanes end but the first."""
    ended: list[int] = []

    def work(lane: int, over: Callable[[], bool]) -> int:
        until = threading.Event()
        while not over() and not (lane == 0 and len(ended) == 2):
            until.wait(0.01)
        ended.append(lane)
        return 1

    assert in_lanes(3, work, lambda: True) == 3
    assert ended[-1] == 0


@pytest.fixture
def told() -> Iterator[Callable[[], None]]:
    """Has the main thread told to end, as by the alarm that follows SIGTERM."""

    def handler(_number: int, _frame: FrameType | None) -> None:
        raise ShuttingDown("told")

    before = signal.signal(signal.SIGUSR1, handler)
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


def test_all_lanes_are_interrupted(told: Callable[[], None]) -> None:
    """A signal to the process interrupts what each lane does, and each can put that in order before it ends."""
    together, ordered = threading.Barrier(3, timeout=SECONDS), list[int]()

    def work(lane: int, _over: Callable[[], bool]) -> int:
        try:
            together.wait()
            if lane == 0:
                told()
            until = threading.Event()
            while True:
                until.wait(0.01)
        except Told:
            ordered.append(lane)
            raise

    with pytest.raises(ShuttingDown):
        in_lanes(3, work, never)
    assert sorted(ordered) == [0, 1, 2]


def test_a_lane_that_cannot_be_interrupted_is_left_behind(told: Callable[[], None]) -> None:
    """Where a lane does not come back from what it does, the process is not held up by it."""
    stuck, release = threading.Event(), threading.Event()

    def work(lane: int, _over: Callable[[], bool]) -> int:
        if lane == 1:
            stuck.set()
            release.wait(SECONDS)  # as a call of a library that lets no exception in
            return 0
        stuck.wait(SECONDS)
        for _ in range(INTERRUPTS + 1):
            told()
            with suppress(Told):
                release.wait(0.2)
        return 0

    with pytest.raises(ShuttingDown):
        in_lanes(2, work, never)
    release.set()
