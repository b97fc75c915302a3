"""What a sample says, in words and rows: what is in a chunk, how sure sums are, how many files would be enough.

Invariants: every number has its range beside it, or a sentence that says why there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from statistics import fmean, stdev

from shared.estimate.sampled import ABOVE, CONFIDENCE, FEW, Estimate, Looked, Sample, Seen, students
from shared.estimate.schedule import about

WANTED = 0.1
"""How near to the truth rows should be, relative to it."""

_COLUMNS: tuple[tuple[str, Callable[[Seen], float]], ...] = (
    ("supervoxels", lambda one: one.supervoxels),
    ("edges inside", lambda one: one.inside),
    ("edges between", lambda one: one.between),
    ("edges cross", lambda one: one.cross),
    ("rows of layer 2", lambda one: one.rows),
    ("nodes that wait", lambda one: one.nodes),
    ("pairs a face", lambda one: one.pairs / one.faces if one.faces else 0.0),
)


def chunk_rows(sample: Sample) -> list[tuple[str, ...]]:
    """What was found in a chunk that has something, as a table with its heading first."""
    rows: list[tuple[str, ...]] = [("in a chunk", "mean", "spread", "least", "most")]
    largest = [sample.largest] if sample.largest else []
    for name, of in _COLUMNS:
        values = [of(one) for one in sample.seen]
        most = max(values + [of(one) for one in largest])
        spread = stdev(values) if len(values) > 1 else 0.0
        rows.append((name, *(f"{number:,.0f}" for number in (fmean(values), spread, min(values), most))))
    return rows


def sentences(found: Looked) -> list[str]:
    """How sure what was found is."""
    sample = found.sample
    number = len(sample.seen)
    kind = "edge files" if sample.by_size else "chunks"
    of = f"{sample.filled:,.0f} {kind}" if not sample.filled_error else f"some {about(sample.filled)} {kind}"
    beside = f", scattered, by the sizes of {len(sample.measures):,}" if sample.by_size else ", scattered"
    if sample.whole:
        lines = [f"opened all {number:,} chunks with edges: nothing of layer 2 is left to guess"]
    else:
        lines = [f"opened {number:,} of {of}{beside}"]
    if not sample.tells_spread:
        lines.append(f"fewer than {FEW} chunks tell too little of how much others differ, so there is no range")
    elif not sample.whole:
        lines += [_sure("supervoxels", found.supervoxels), _sure("rows of layer 2", found.rows)]
    if sample.tells_spread and not sample.whole and found.rows.reach * found.rows.error > WANTED:
        lines.append(_enough(found))
    empty = sample.chunks - sample.filled
    if sample.filled_error or empty:
        error = sample.filled_error * sample.filled * (students(10**6) if sample.filled_error else 0)
        beside = f", give or take {about(error)}" if error else ""
        lines.append(f"{about(empty)} of {sample.chunks:,} chunks have no edge file{beside}")
    lines.append(
        f"layers above 2: as many nodes for each voxel of a face as layer 2 has, give or take {ABOVE:.0%}, which "
        "is an assumption"
    )
    return lines


def in_range(ends: Sequence[float], shown: Callable[[float], str] = about) -> str:
    """The middle one of three numbers with its range, or alone where both ends look the same."""
    low, middle, high = map(shown, ends)
    return middle if low == high else f"{middle} ({low} to {high})"


def _sure(name: str, of: Estimate) -> str:
    return (
        f"{name}: {in_range((of.at(-1), of.total, of.at(1)))} with {CONFIDENCE:.0%}; relative standard error "
        f"{of.error:.1%}"
    )


def _enough(found: Looked) -> str:
    """How many files would do, as errors fall with the root of their number."""
    number = len(found.sample.seen)
    enough = ceil(number * (found.rows.reach * found.rows.error / WANTED) ** 2)
    known = not found.sample.filled_error
    more = f"{found.sample.asked}={min(enough, ceil(found.sample.filled)) if known else enough:,}"
    return f"chunks differ too much for so few to tell rows within {WANTED:.0%}; some {more} would"
