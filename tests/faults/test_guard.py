"""The bounds on what is tried with damaged input hold, and leave a bound around them as it was."""

from __future__ import annotations

import itertools

import pytest

from tests.faults.guard import TooLong, bounded


def forever() -> None:
    """A loop that only an alarm ends, also one that comes while another error is dealt with."""
    for _ in itertools.count():
        pass


def test_seconds() -> None:
    """What goes on for ever ends, and so does what swallows the first alarm."""
    with pytest.raises(TooLong), bounded(0.1, 400):
        forever()
    with pytest.raises(TooLong), bounded(0.1, 400):
        try:
            forever()
        except TooLong:
            forever()


def test_bound_in_a_bound() -> None:
    """The outer one holds on after the inner one."""
    with pytest.raises(TooLong), bounded(0.5, 400):
        with bounded(60.0, 400):
            pass
        forever()


def test_memory() -> None:
    """More than may be taken cannot be had inside, and can afterwards."""
    with pytest.raises(MemoryError), bounded(60.0, 100):
        bytes(1 << 30)
    assert len(bytes(1 << 28)) == 1 << 28
