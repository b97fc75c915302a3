"""The digest of the edges through a face: the same from both sides and in any order, and no other edges' digest."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shared.chunks.digest import face_digests

MOST = 2**64 - 1
edges = st.lists(st.tuples(st.integers(0, MOST), st.integers(0, MOST)), unique=True, max_size=30)


def digest(pairs: list[tuple[int, int]], face: int = 0) -> tuple[int, int] | None:
    """The digest of edges that all lead through one face."""
    array = np.array(pairs, np.uint64).reshape(-1, 2)
    return face_digests(np.full(len(pairs), face), array[:, 0], array[:, 1]).get(face)


def mixed(number: int) -> int:
    """The finalizer of splitmix64 in whole numbers."""
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MOST
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MOST
    return number ^ number >> 31


@given(edges, st.randoms(use_true_random=False))
def test_both_sides_and_any_order(pairs: list[tuple[int, int]], rng: Random) -> None:
    """Shuffled and turned round, edges have the same digest; it is the sum of their hashes."""
    other = [pair[::-1] for pair in pairs]
    rng.shuffle(other)
    expected = (len(pairs), sum(mixed(mixed(min(pair)) + max(pair) & MOST) for pair in pairs) & MOST)
    assert digest(pairs, 2) == digest(other, 2) == (expected if pairs else None)


@given(edges, edges)
def test_other_edges(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> None:
    """Two sets of edges have the same digest only if they are the same set."""
    same = sorted(map(sorted, one)) == sorted(map(sorted, other))
    assert (digest(one) == digest(other)) == same


def test_neighbouring_numbers() -> None:
    """No two of many edges between ids in a row hash alike, and swapped ends of two edges show."""
    base = 1 << 56
    pairs = [(base + a, base + (1 << 46) + b) for a in range(100) for b in range(100)]
    assert len({digest([pair]) for pair in pairs}) == len(pairs)
    a, b, c, d = base + 1, base + 2, base + (1 << 46) + 1, base + (1 << 46) + 2
    assert digest([(a, c), (b, d)]) != digest([(a, d), (b, c)])


def test_each_face_has_its_own() -> None:
    """Edges through several faces at once have a digest for each face that has any."""
    near, far = np.arange(1, 5, dtype=np.uint64), np.arange(11, 15, dtype=np.uint64)
    found = face_digests(np.array([5, 0, 5, 2]), near, far)
    assert found == {0: digest([(2, 12)]), 2: digest([(4, 14)]), 5: digest([(1, 11), (3, 13)])}
    assert face_digests(np.zeros(0, np.int64), near[:0], far[:0]) == {}
