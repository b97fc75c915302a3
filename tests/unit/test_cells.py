"""Cells, their columns and row keys: the bytes that servers read, and reading them back."""

from __future__ import annotations

import resource
import struct
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from shared.table.cells import id_cells, list_cells, node_keys
from shared.table.columns import (
    CHILDREN,
    COUNTER,
    META,
    PARENT,
    ROOT_COUNTERS,
    VERSION,
    VERSION_TEXT,
    Column,
    Family,
    atomic_cross_edges,
    counter_key,
    cross_edges,
    families,
    node_key,
)
from shared.table.decode import MAX_CELL, decode_counter, decode_id, decode_ids, decode_pairs

BIG = 2**64 - 1
ids = st.integers(0, BIG)
Decode = Callable[[bytes], object]


def array(*values: object) -> np.ndarray[Any, Any]:
    return np.array(values, np.uint64)


def test_row_keys() -> None:
    """Keys of nodes are 20 decimal digits, those of counters start with i; all sort like the numbers."""
    assert node_key(72057594037927936) == b"00072057594037927936"
    assert node_key(BIG) == b"18446744073709551615"
    assert counter_key(144115188075855872) == b"i00144115188075855872"
    assert [counter_key(5 << 56, part) for part in (0, 10, 255)] == [
        b"i00360287970189639680_0",
        b"i00360287970189639680_10",
        b"i00360287970189639680_255",
    ]
    assert ROOT_COUNTERS == 256


@given(st.lists(ids))
def test_keys_sort_like_ids(nodes: list[int]) -> None:
    """Row keys sort as their ids do, and are exact for every 64-bit id."""
    assert sorted(node_keys(array(*nodes))) == [b"%020d" % node for node in sorted(nodes)]


def test_columns() -> None:
    """Families and qualifiers are those that servers know."""
    assert [str(column) for column in (PARENT, CHILDREN, META, VERSION, COUNTER)] == [
        "0:parents",
        "0:children",
        "0:meta",
        "0:version",
        "1:counter",
    ]
    assert atomic_cross_edges(4) == Column("3", b"atomic_cross_edges_4")
    assert cross_edges(12) == Column("4", b"cross_edges_12")
    assert VERSION_TEXT == {2: "2.21.1", 3: "3.1.7"}


def test_families() -> None:
    """Schema 2 has four families, schema 3 one more; only counters and, in schema 3, old edges are collected."""
    plain = [Family("0"), Family("1", max_versions=1), Family("2")]
    assert families(2) == [*plain, Family("3")]
    assert families(3) == [*plain, Family("3", max_age=365 * 24 * 3600), Family("4")]


def test_golden_values() -> None:
    """Parents are 8 bytes, little-endian; lists and pairs the same in a row, in one zstd frame."""
    parents = id_cells(PARENT, array(7, 8), array(1, 2**56 + 2))
    assert parents.column == PARENT
    assert parents.keys == [b"%020d" % 7, b"%020d" % 8]
    assert parents.values == [b"\x01\0\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0\x01"]

    children = list_cells(CHILDREN, array(7, 8), np.array([0, 2, 3]), array(1, 2, 2**56))
    assert children.keys == parents.keys
    assert [zstandard.decompress(value) for value in children.values] == [
        b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0",
        b"\0\0\0\0\0\0\0\x01",
    ]

    edges = list_cells(atomic_cross_edges(2), array(7), np.array([0, 2]), array([1, 3], [2, 4]))
    assert zstandard.decompress(edges.values[0]) == struct.pack("<4Q", 1, 3, 2, 4)
    assert zstandard.frame_content_size(edges.values[0]) == 32


@given(st.lists(st.tuples(ids, ids)))
def test_ids_round_trip(links: list[tuple[int, int]]) -> None:
    """Every 64-bit id comes back exactly from its cell."""
    cells = id_cells(PARENT, array(*(node for node, _ in links)), array(*(parent for _, parent in links)))
    assert [(int(key), decode_id(value)) for key, value in zip(cells.keys, cells.values, strict=True)] == links


@given(st.lists(st.lists(ids, max_size=5), max_size=6), st.booleans())
def test_lists_round_trip(lists: list[list[int]], as_pairs: bool) -> None:
    """Lists and pairs come back exactly, row by row, empty ones among them, from any memory layout."""
    lengths = [len(part) for part in lists]
    starts = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    flat = array(*(one for part in lists for one in part))
    nodes = np.arange(len(lists), dtype=np.uint64)
    if as_pairs:
        pairs = np.asfortranarray(np.stack([flat, flat[::-1]], axis=1))
        cells = list_cells(cross_edges(3), nodes, starts, pairs)
        found = [decode_pairs(value).tolist() for value in cells.values]
        assert found == [pairs[low:high].tolist() for low, high in pairwise(starts.tolist())]
    else:
        cells = list_cells(CHILDREN, nodes, starts, flat[::-1][::-1])
        assert [decode_ids(value).tolist() for value in cells.values] == lists
    assert cells.keys == node_keys(nodes)


@given(st.lists(st.lists(ids, max_size=5), max_size=9), st.tuples(st.integers(0, 9), st.integers(0, 9)).map(sorted))
def test_own_edges(lists: list[list[int]], ends: list[int]) -> None:
    """Edges whose near end is the node of the row are pairs of both, in any part of the cells too."""
    low, high = ends
    starts = np.cumsum([0, *map(len, lists)])
    nodes = np.arange(len(lists), dtype=np.uint64)
    whole = list_cells(cross_edges(3), nodes, starts, array(*(one for part in lists for one in part)), own=True)
    part = whole.between(low, high)
    assert part.nodes.tolist() == list(range(len(lists)))[low:high]
    assert [decode_pairs(value).tolist() for value in part.values] == [
        [[node, far] for far in lists[node]] for node in part.nodes.tolist()
    ]
    for length in set(part.lengths.tolist()) - {0}:
        at = np.flatnonzero(part.lengths == length)
        assert [bytes(line) for line in part.block(at, length)] == part.encoded(at)


@given(st.integers(0, 2**63 - 1))
def test_counters(value: int) -> None:
    """Counters are big-endian, signed, as the database itself counts."""
    assert decode_counter(value.to_bytes(8, "big")) == value
    assert decode_counter(b"\xff" * 8) == -1


@pytest.mark.parametrize("decode", [decode_id, decode_counter])
@pytest.mark.parametrize("length", [0, 1, 7, 9, 16])
def test_numbers_of_another_length(decode: Decode, length: int) -> None:
    """A number that is not 8 bytes is a ValueError that says how long it is."""
    with pytest.raises(ValueError, match=f"{length} bytes"):
        decode(bytes(length))


@pytest.mark.parametrize("decode", [decode_ids, decode_pairs])
def test_cut_off(decode: Decode) -> None:
    """A list cut off at any byte is a ValueError."""
    for content in (bytes(range(64)), bytes(4096)):
        value = zstandard.compress(content)
        for length in range(len(value)):
            with pytest.raises(ValueError):
                decode(value[:length])


@pytest.mark.parametrize("decode", [decode_ids, decode_pairs])
@given(data=st.binary(max_size=100))
def test_random_bytes(decode: Decode, data: bytes) -> None:
    """Random bytes are a ValueError."""
    with pytest.raises(ValueError):
        decode(data)


def test_every_bit_flipped() -> None:
    """Any flipped bit is a ValueError or leaves whole numbers; no other exception comes out."""
    value = list_cells(
        atomic_cross_edges(2), array(1), np.array([0, 20]), array(*([n, 7] for n in range(20)))
    ).values[0]
    for bit in range(8 * len(value)):
        damaged = bytearray(value)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            found = decode_pairs(bytes(damaged))
        except ValueError:
            continue
        assert found.dtype == np.uint64 and found.ndim == 2 and found.shape[1] == 2


@pytest.mark.parametrize("length", [1, 7, 9, 20])
def test_broken_numbers(length: int) -> None:
    """A list that is no whole number of ids is a ValueError."""
    with pytest.raises(ValueError, match="whole number of ids"):
        decode_ids(zstandard.compress(bytes(length)))


def test_odd_number_of_ends() -> None:
    """An edge cell with half an edge is a ValueError."""
    with pytest.raises(ValueError, match="whole number of pairs"):
        decode_pairs(zstandard.compress(bytes(24)))


def test_frame_without_content_size() -> None:
    """A frame that does not tell its size is none of ours, and a ValueError."""
    with pytest.raises(ValueError, match="does not tell its size"):
        decode_ids(zstandard.ZstdCompressor(write_content_size=False).compress(bytes(8)))


@pytest.mark.parametrize("claim", [MAX_CELL + 1, 1 << 40, 2**64 - 3])
def test_huge_claim(claim: int) -> None:
    """A frame that claims more than a row can hold is a ValueError, before memory is taken for it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="too large"):
        decode_ids(b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", claim) + b"\x01\x00\x00")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


@pytest.mark.parametrize("more", [b"\x00", b"junk", zstandard.compress(bytes(8))])
@pytest.mark.parametrize("count", [0, 1, 1 << 15])
def test_bytes_after_the_frame(count: int, more: bytes) -> None:
    """Bytes after the frame are a ValueError: the cell is not what a build wrote."""
    whole = zstandard.compress(bytes(8 * count))
    assert decode_ids(whole).tolist() == [0] * count
    with pytest.raises(ValueError, match="nothing else"):
        decode_ids(whole + more)


def test_frame_cut_off() -> None:
    """A cell cut off at any byte is a ValueError."""
    whole = zstandard.compress(array(1, 2, 3).tobytes())
    for length in range(len(whole)):
        with pytest.raises(ValueError):
            decode_ids(whole[:length])


def test_other_content_than_claimed() -> None:
    """A frame that holds more or less than it claims is a ValueError."""
    for claim, held in ((1 << 20, 0), (0, 8), (16, 8), (8, 16)):
        block = (held << 3 | 1).to_bytes(3, "little") + bytes(held)
        with pytest.raises(ValueError, match="zstd frame"):
            decode_ids(b"\x28\xb5\x2f\xfd\xc0\x58" + struct.pack("<Q", claim) + block)
