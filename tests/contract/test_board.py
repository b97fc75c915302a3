"""What every board of dispatch promises, in memory and in Firestore."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from shared.gcp.clients import Endpoints
from shared.gcp.firestore.board import FirestoreBoard
from shared.memory.dispatch import MemoryBoard
from shared.run.ports import Board


@pytest.fixture(params=["memory", "emulator"])
def board(request: pytest.FixtureRequest) -> Board:
    """An empty board."""
    if request.param == "memory":
        return MemoryBoard()
    endpoints = Endpoints.emulated(request.getfixturevalue("emulators"))
    return FirestoreBoard(replace(endpoints, database=f"d{uuid.uuid4().hex}"))


def test_graphs(board: Board) -> None:
    """Graphs are there once, by name, from announce to withdraw; either may be repeated."""
    assert list(board.graphs()) == []
    for name in ("b", "a", "b"):
        board.announce(name)
    assert list(board.graphs()) == ["a", "b"]
    for name in ("a", "a", "c"):
        board.withdraw(name)
    assert list(board.graphs()) == ["b"]


def test_a_turn_lasts_its_seconds(board: Board) -> None:
    """A turn that is taken is nobody else's until its time is over or it is given back."""
    assert board.claim("x", now=100.0, seconds=60.0)
    assert not board.claim("x", now=100.0, seconds=60.0)
    assert not board.claim("x", now=159.9, seconds=60.0)
    assert board.claim("y", now=100.0, seconds=60.0)
    assert board.claim("x", now=160.0, seconds=60.0)
    board.release("x")
    assert board.claim("x", now=160.0, seconds=60.0)
    board.release("never taken")


def test_what_is_remembered(board: Board) -> None:
    """Values come back as they were kept last, whole; a turn of the same name is another thing."""
    assert board.recall("x") == {}
    board.remember("x", {"tasks": 3, "rate": 0.5, "of": "a.r1 b.r2"})
    board.remember("x", {"tasks": 4, "rate": 0.0})
    assert board.recall("x") == {"tasks": 4, "rate": 0.0} and board.recall("y") == {}
    assert board.claim("x", now=100.0, seconds=60.0)
    board.release("x")
    assert board.recall("x") == {"tasks": 4, "rate": 0.0}
    assert list(board.graphs()) == []


def test_many_at_once(board: Board) -> None:
    """Of those who ask at the same time exactly one gets the turn, the first time and later."""
    with ThreadPoolExecutor(8) as pool:
        for now in (0.0, 60.0):
            got = list(pool.map(lambda _, now=now: board.claim("x", now, 60.0), range(8)))
            assert sum(got) == 1
