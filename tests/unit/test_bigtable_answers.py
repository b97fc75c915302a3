"""What answers to a bulk write say, against a reading of every status."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.gcp.bigtable.answers import failed_rows
from shared.gcp.bigtable.rows import bigtable_message

ABORTED, NOT_FOUND = 10, 5


def answer(*statuses: tuple[int, int]) -> bytes:
    """The bytes of one answer: (number of the entry, code) each."""
    entries = [
        {"index": index, "status": {"code": code, "message": "why" if code else ""}} for index, code in statuses
    ]
    message = bigtable_message("MutateRowsResponse")(entries=entries)
    return bytes(message.SerializeToString())


@given(st.one_of(st.integers(0, 300), st.sampled_from([16_383, 16_384, 16_385])), st.integers(0, 300))
def test_all_written(count: int, cut: int) -> None:
    """Nothing failed if each entry has its status, in one message or in two."""
    codes = [(index, 0) for index in range(count)]
    assert failed_rows(count, answer(*codes)) == {}
    assert failed_rows(count, answer(*codes[:cut]) + answer(*codes[cut:])) == {}


statuses = st.tuples(st.integers(0, 40), st.sampled_from([0, ABORTED, NOT_FOUND]))


@given(st.lists(statuses, unique_by=lambda status: status[0]), st.integers(0, 40))
def test_some_failed(found: list[tuple[int, int]], count: int) -> None:
    """In any order: an error makes a row fail by its name, a row without a status is unknown, others are none."""
    codes = dict(found)
    names = {ABORTED: "ABORTED", NOT_FOUND: "NOT_FOUND"}
    wanted = {
        index: (names[codes[index]], "why") if index in codes else ("UNAVAILABLE", "no status came for it")
        for index in range(count)
        if codes.get(index, 1)
    }
    assert failed_rows(count, answer(*found)) == wanted
