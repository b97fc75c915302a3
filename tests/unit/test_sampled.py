"""From samples to totals with their errors: by hand, at the ends, and by drawing many samples of known volumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from shared.estimate.certainty import chunk_rows, in_range, sentences
from shared.estimate.needs import needs
from shared.estimate.report import PlanReport, describe
from shared.estimate.sampled import Looked, Sample, Seen, estimate, looked, students
from shared.plan.checks import make_plan
from shared.plan.config import Dataset
from shared.plan.volume import VolumeFacts
from tests.datasets import changed


def sample_of(seen: Sequence[tuple[float, int]], measures: Sequence[float], filled: float = 0.0) -> Sample:
    """A sample with a number of supervoxels for each measure."""
    many = filled or len(measures)
    found = [Seen(measure, supervoxels=count, rows=count) for measure, count in seen]
    return Sample(int(many), many, 0.0, measures, True, found, [(at, 0, 0) for at in range(len(measures))])


def supervoxels(one: Seen) -> float:
    """What is estimated here."""
    return one.supervoxels


def report(chunks: int) -> PlanReport:
    """The report of a row of chunks of 10^6 voxels."""
    dataset = Dataset.model_validate(changed(graph_config__CHUNK_SIZE=[100, 100, 100]))
    volume = VolumeFacts((0, 0, 0), (100 * chunks, 100, 100), (8.0, 8.0, 40.0))
    return describe(make_plan(dataset, volume, False), dataset, volume)


def test_by_hand() -> None:
    """Two of four files were opened, of 10 and 30 bytes with 11 and 29 supervoxels: one for each byte. All have 100
    bytes. Residuals are 1 and -1, so their variance is 2, and that of the mean 2 x (1/2 - 1/4) = 0.5."""
    found = estimate(sample_of([(10, 11), (30, 29)], [10, 20, 30, 40]), supervoxels)
    assert found.total == pytest.approx(100)
    assert found.error == pytest.approx(4 * 0.5**0.5 / 100)
    assert found.spread == pytest.approx(np.std([11, 29], ddof=1))


def test_sizes_of_some_files_add_their_own_error() -> None:
    """With the same sizes of four of 8 or 80 files, the error is larger the more there are."""
    seen, sizes = [(10, 11), (30, 29)], [10, 20, 30, 40]
    errors = [estimate(sample_of(seen, sizes, filled), supervoxels).error for filled in (4, 8, 80)]
    assert errors == sorted(errors) and errors[0] < errors[1] < errors[2]
    some = replace(sample_of(seen, sizes, 80), filled_error=0.5)
    assert estimate(some, supervoxels).error > 0.5


def test_the_ends() -> None:
    """All chunks opened have no error; one of many tells nothing of it; nothing in it is nothing."""
    everything = estimate(sample_of([(1, 3), (2, 9)], [1, 2]), supervoxels)
    assert (everything.total, everything.error, everything.at(-1), everything.at(1)) == (12, 0, 12, 12)
    alone = estimate(sample_of([(1, 3)], [1, 2, 3]), supervoxels)
    assert (alone.total, alone.error, alone.at(-1)) == (18, 1, 0)
    assert estimate(sample_of([(1, 0), (2, 0)], [1, 2, 3]), supervoxels).total == 0
    assert looked(report(3), sample_of([(1, 0), (2, 0)], [1, 2, 3])) is None


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 3.182), (4, 2.776), (9, 2.262), (31, 2.040), (10**6, 1.960)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    """Against the table of Student's t."""
    assert students(freedom) == pytest.approx(quantile, rel=0.02)


@pytest.mark.parametrize("spread", [0.2, 0.6, 1.0])
def test_ranges_hold_the_truth(spread: float) -> None:
    """Of samples of 32 from a volume of 5,000 chunks with unlike numbers of supervoxels, of which 2,000 sizes tell
    but for a tenth, nine in ten hold the truth in their range of 95 %; and most are within 10 %."""
    rng = np.random.default_rng(1)
    counts = np.maximum(1, rng.lognormal(6, spread, 5_000)).astype(int)
    sizes = counts * rng.normal(20, 2, 5_000).clip(10)
    held = near = 0
    for _ in range(200):
        order = rng.permutation(5_000)[:2_000]
        seen = [(float(sizes[at]), int(counts[at])) for at in order[:32]]
        found = estimate(sample_of(seen, sizes[order].tolist(), 5_000), supervoxels)
        held += found.at(-1) <= counts.sum() <= found.at(1)
        near += abs(found.total / counts.sum() - 1) < 0.1
    assert (held >= 180, near >= 190) == (True, True), (held, near)


def test_without_sizes_the_range_is_as_wide_as_chunks_differ() -> None:
    """By voxels alone, which are all the same, few of the totals are within 10 %, and the ranges know it."""
    rng = np.random.default_rng(2)
    counts = rng.lognormal(6, 0.8, 5_000).astype(int)
    held = 0
    widths = []
    for _ in range(200):
        seen = [(1.0, int(count)) for count in rng.choice(counts, 32, replace=False)]
        found = estimate(sample_of(seen, [1.0] * 2_000, 5_000), supervoxels)
        held += found.at(-1) <= counts.sum() <= found.at(1)
        widths.append(found.reach * found.error)
    assert held >= 170 and np.mean(widths) > 0.2


def test_the_largest_chunk() -> None:
    """Where sizes of all are known, it is the one of the largest file, and two deviations more; where those of some
    are, one as many as there may have is reckoned with."""
    sample = replace(sample_of([(10, 11), (30, 29), (20, 20)], [10, 20, 30, 90]), largest=Seen(90, supervoxels=88))
    beside = np.array([11, 29, 20]) - [10, 30, 20]
    assert estimate(sample, supervoxels).most == pytest.approx(88 + 2 * np.sqrt((beside**2).sum() / 2))
    of_many = replace(sample, filled=100_000, measures=[10, 20, 30], largest=None)
    spread = np.std([11, 29, 20], ddof=1)
    assert estimate(of_many, supervoxels).most == pytest.approx(20 + 4.4 * spread, rel=0.02)


def test_the_densest_parent() -> None:
    """Of four parents of two chunks one has as much as the three others together, so twice the mean; one layer up
    the denser half has two thirds of all. Where few sizes are known, none is told to be less dense than a chunk."""
    plan = report(8)
    sizes = [1.0, 1, 1, 1, 3, 3, 1, 1]
    seen = [Seen(1, 10, rows=10, pairs=10), Seen(1, 10, rows=10, pairs=10), Seen(3, 30, rows=30, pairs=60)]
    sample = Sample(8, 8, 0.0, sizes, True, seen, [(x, 0, 0) for x in range(8)])
    found = looked(plan, sample)
    assert found is not None
    assert found.middle.densest_parents == pytest.approx((2, 4 / 3, 1))
    few = looked(plan, replace(sample, filled=9))
    assert few is not None and len(set(few.middle.densest_parents)) == 1


def densities() -> tuple[PlanReport, Looked]:
    """A row of a hundred chunks, of which twenty were opened."""
    rng = np.random.default_rng(3)
    plan = report(100)
    counts = rng.normal(1_000, 300, 100).clip(100).astype(int).tolist()
    seen = [
        Seen(1e6, count, 3 * count, count // 5, count // 10, count + 200, 150, 300, 3_000, 2)
        for count in counts[:20]
    ]
    found = looked(plan, Sample(100, 100, 0.0, [1e6] * 100, False, seen, [(x, 0, 0) for x in range(100)]))
    assert found is not None
    return plan, found


def test_needs_of_a_sample_are_its_totals() -> None:
    """Rows, and what is handed up, come out of the needs as they went into the density; a range goes up in all."""
    plan, found = densities()
    low, middle, high = (needs(plan, one) for one in (found.low, found.middle, found.high))
    assert middle[0].rows == pytest.approx(found.rows.total)
    assert middle[0].handoff_bytes == pytest.approx(100 * 3_000)
    assert middle[1].rows == pytest.approx(100 * 150 * 1.6)
    for name in ("rows", "cpu_seconds", "row_bytes"):
        for one, two, three in zip(low, middle, high, strict=True):
            found_by = [getattr(each, name) for each in (one, two, three)]
            # Of pairs each chunk here has as many, so only those above layer 3 are in doubt.
            assert found_by == sorted(found_by) and (one.layer == 3 or len(set(found_by)) == 3)
    assert low[3].memory_gib < middle[3].memory_gib < high[3].memory_gib
    whole = 1e6 * found.middle.supervoxels
    assert found.middle.densest * whole == pytest.approx(found.supervoxels.most)
    assert found.high.densest * 1e6 * found.high.supervoxels == pytest.approx(found.supervoxels.most)


def test_what_is_said() -> None:
    """How many were opened of how many, how sure the sums are, how many would do, and what is assumed."""
    _, found = densities()
    told = sentences(found)
    assert told[0] == "opened 20 of 100 chunks, scattered"
    assert "relative standard error" in told[1] and told[1].startswith("supervoxels: ")
    assert any(line.startswith("chunks differ too much for so few") for line in told)
    assert "give or take 30%, which is an assumption" in told[-1]
    table = chunk_rows(found.sample)
    assert table[0] == ("in a chunk", "mean", "spread", "least", "most")
    assert ("pairs a face", "150", "0", "150", "150") in table
    assert in_range([1, 2, 3]) == "2 (1 to 3)" and in_range([2, 2, 2]) == "2"
