"""Verification chunk by chunk against the whole-table check, over random volumes with random damage."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import DataError
from shared.operate.verification import verify_here
from shared.plan.grid import Chunk
from shared.run.ports import Row
from shared.verify import rows
from shared.verify.verdict import Verdict
from shared.work.verifier import Verifier
from tests.examples import examples
from tests.whole.both import as_whole, built, by_chunks, source_of
from tests.whole.share import Share, verify_damaged, volume_of

seeds = st.integers(0, 2**32 - 1)


@examples(12)
@given(seeds, st.sampled_from([1, 60, rows.BYTES_AT_ONCE]))
def test_damage_is_found_by_both(seed: int, at_once: int) -> None:
    """Whatever damage the check of the whole table finds is found chunk by chunk, and a table that is whole is
    whole to both, however many cells are looked at together. (`python -m tests.whole 5000` does as many.)"""
    share = Share()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BYTES_AT_ONCE", at_once)
        verify_damaged(seed, 4, share)
    assert share.wrong == []


@examples(15)
@given(seeds)
def test_counts_are_those_of_the_whole(seed: int) -> None:
    """Rows by layer and nodes with one child are counted alike, and every root is in the histogram of objects."""
    run = built(volume_of(Random(seed)))
    whole, found = as_whole(run), by_chunks(run)
    assert dict(found.rows) == {layer: count for layer, count in sorted(whole.nodes.items())}
    assert sum(found.objects) == found.rows[run.record.plan.grid.layer_count]
    least = sum(count << size for size, count in enumerate(found.objects))
    assert least <= found.rows[1] < 2 * least or not found.rows[1]


@examples(15)
@given(seeds)
def test_verdicts_survive_storing(seed: int) -> None:
    """A verdict's bytes are read back to the same bytes; those of another chunk, or damaged ones, are refused."""
    rng = Random(seed)
    run = built(volume_of(rng))
    plan = run.record.plan
    chunk = plan.chunk_at(2, rng.randrange(plan.total(2)))
    verdict, _ = Verifier(plan, run.table, source_of(run.volume)).verify(chunk, {})
    data = verdict.encode()
    assert Verdict.decode(data, "file", chunk).encode() == data
    with pytest.raises(DataError, match="file"):
        Verdict.decode(data, "file", Chunk(2, 99, 0, 0))
    at = rng.randrange(len(data))
    damaged = data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]
    with suppress(DataError):
        # A bit that zstd leaves out of account changes nothing.
        assert Verdict.decode(damaged, "file", chunk).encode() == data


def test_damage_everywhere_is_counted_and_cut_short() -> None:
    """Of a table whose every row is damaged all violations are counted, and a bounded number is kept in words."""
    run = built(volume_of(Random(7)))
    table = run.table._rows
    for key, row in list(table.items()):
        if key.isdigit():
            table[key] = Row(key, dict.fromkeys(row.cells, b"x"), row.timestamps)
    report = verify_here(run.record.plan, run.table, source_of(run.volume))
    assert report.violation_count >= len(run.table._rows) // 2
    assert len(report.violations) <= 1_000
