"""From a sample of chunks to the density of their volume, and how sure that is.

Two samples, one in the other. Of many chunks a *measure* is known, the size of their edge file where that can be
asked for, or their voxels; of a few, scattered among these, what is in them. A total is

    chunks with edges  x  mean measure of the many  x  what there is / measure, of the few

with the error of such a ratio estimate in two phases (Cochran, Sampling Techniques, 12.9; finite populations, so
that what was opened as a whole is known):  N^2 ((1/m - 1/N) S_y^2 + (1/n - 1/m) S_d^2), d = y - ratio x measure.

Invariants: pure; a sample of one has an error of 1, which stands for all of it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import hypot, prod, sqrt
from statistics import NormalDist, fmean, pstdev, stdev

from shared.estimate.density import Density
from shared.estimate.needs import ASSUMED
from shared.estimate.planes import extent, faces, most_faces
from shared.estimate.report import PlanReport, Triple

CONFIDENCE = 0.95
"""How likely a total is in its range, as far as the sample tells."""

ABOVE = 0.3
"""Assumed: how far off rows and pairs of layers above may be, which no edge file tells: on examples nodes for each
voxel of faces differ by up to a quarter from those of layer 2, rows for each node by up to a sixth, and pairs by
up to a third from their share in those of layer 2."""

ROOM = 2.0
"""The largest chunk is taken to have so many standard deviations more than the one with the largest file, of what
chunks have beside what their files' sizes tell."""


FEW = 8
"""So many chunks that were opened tell how much chunks differ; errors of ratios from fewer come out too small."""

ENOUGH = 16
"""Measures below a parent that tell how dense it is."""


@dataclass(frozen=True)
class Seen:
    """What is in one chunk that was opened; all but `measure` are numbers of things."""

    measure: float
    """Bytes of its file, or voxels, as of all chunks of its sample."""
    supervoxels: int = 0
    inside: int = 0
    between: int = 0
    cross: int = 0
    """Edges of the file."""
    rows: int = 0
    nodes: int = 0
    """That wait for a parent."""
    pairs: int = 0
    """(Node, far end) that are handed up."""
    handoff_bytes: int = 0
    faces: int = 6
    """Behind which there is another chunk."""


@dataclass(frozen=True)
class Sample:
    """What was looked at of the chunks of layer 2 that a run builds; at least one is `seen`."""

    chunks: int
    filled: float
    """Those with an edge file, or all where that is not known."""
    filled_error: float
    """Its relative standard error: 0 where all were looked for."""
    measures: Sequence[float]
    """Of chunks with a file, all or many."""
    by_size: bool
    """Whether measures are sizes of files."""
    seen: Sequence[Seen]
    """Of the same chunks, a few."""
    places: Sequence[Triple] = ()
    """The coordinates of the chunks of `measures`, in the same order."""
    largest: Seen | None = None
    """The one of the greatest measure, opened for that: it says nothing of the others."""
    asked: str = "SAMPLE"
    """The variable by which it is asked how many are opened."""

    @property
    def whole(self) -> bool:
        """Whether every chunk that has something was opened."""
        return len(self.seen) >= self.filled and not self.filled_error

    @property
    def tells_spread(self) -> bool:
        """Whether it says how sure it is: a few of many do not, whatever their errors come to."""
        return self.whole or len(self.seen) >= FEW


@dataclass(frozen=True)
class Estimate:
    """A sum over all chunks, with its standard error, relative to it."""

    total: float
    error: float
    spread: float
    """Standard deviation of a chunk."""
    most: float
    """Of the largest chunk."""
    reach: float
    """How many standard errors the range has to each side."""

    def at(self, side: int) -> float:
        """The total, or the end of its range on one side (-1 or 1)."""
        return self.total * max(0.0, 1 + side * min(1.0, self.reach * self.error))


def estimate(sample: Sample, of: Callable[[Seen], float]) -> Estimate:
    """The total of something over all chunks."""
    values = [of(one) for one in sample.seen]
    count, filled = len(values), max(sample.filled, len(sample.seen))
    spread = stdev(values) if count > 1 else 0.0
    if sample.whole:
        return Estimate(sum(values), 0.0, spread, max(values), 0.0)
    measure = sum(one.measure for one in sample.seen)
    ratio = sum(values) / measure
    total = filled * fmean(sample.measures) * ratio
    return Estimate(
        total, _error(sample, values, ratio, total), spread, _most(sample, of, ratio), students(count - 1)
    )


def _error(sample: Sample, values: Sequence[float], ratio: float, total: float) -> float:
    count, many, filled = len(values), len(sample.measures), max(sample.filled, len(sample.measures))
    if count < 2:
        return 1.0
    if not total:
        return 0.0
    residual = _residual(sample, values, ratio)
    # The spread of the many is that of their measures and what is beside.
    between = ratio * ratio * pstdev(sample.measures) ** 2 + residual
    variance = max(0.0, 1 / many - 1 / filled) * between + max(0.0, 1 / count - 1 / many) * residual
    return min(1.0, hypot(filled * sqrt(variance) / total, sample.filled_error))


def _residual(sample: Sample, values: Sequence[float], ratio: float) -> float:
    """The variance of what chunks have beside what their measures tell."""
    beside = [value - ratio * one.measure for value, one in zip(values, sample.seen, strict=True)]
    return sum(one * one for one in beside) / max(1, len(beside) - 1)


def _most(sample: Sample, of: Callable[[Seen], float], ratio: float) -> float:
    """The largest chunk: of those that were opened, and of those that were not by the sizes of their files and the
    spread. Where not all sizes are known, the largest of so many of a normal distribution is reckoned with."""
    opened = [*sample.seen, *([sample.largest] if sample.largest else [])]
    largest = max(of(one) for one in opened)
    values = [of(one) for one in sample.seen]
    if sample.by_size:
        greatest = max(sample.measures)
        if all(one.measure < greatest for one in opened):
            largest = max(largest, ratio * greatest)
        largest += ROOM * sqrt(_residual(sample, values, ratio))
        if len(sample.measures) >= sample.filled:
            return largest
    apart = NormalDist().inv_cdf(1 - 1 / (2 * max(2.0, sample.filled)))
    return max(largest, fmean(values) + apart * (stdev(values) if len(values) > 1 else fmean(values)))


def students(freedom: int) -> float:
    """The quantile of Student's t for CONFIDENCE on both sides (Cornish and Fisher's expansion, 2 % off with 3
    degrees of freedom)."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    if freedom < 1:
        return z
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


@dataclass(frozen=True)
class Looked:
    """What a sample says of a plan's volume: its density in the middle and at the ends of its range."""

    sample: Sample
    supervoxels: Estimate
    rows: Estimate
    nodes: Estimate
    pairs: Estimate
    low: Density
    middle: Density
    high: Density


def looked(report: PlanReport, sample: Sample) -> Looked | None:
    """What a sample says; None if not one supervoxel is in it, which says nothing of the other chunks."""
    supervoxels = estimate(sample, lambda one: one.supervoxels)
    if not supervoxels.total:
        return None
    rows = estimate(sample, lambda one: one.rows)
    nodes, pairs = estimate(sample, lambda one: one.nodes), estimate(sample, lambda one: one.pairs)
    found = [_density(report, sample, supervoxels, nodes, pairs, rows, side) for side in (-1, 0, 1)]
    return Looked(sample, supervoxels, rows, nodes, pairs, *found)


def _density(
    report: PlanReport,
    sample: Sample,
    supervoxels: Estimate,
    nodes: Estimate,
    pairs: Estimate,
    rows: Estimate,
    side: int,
) -> Density:
    layer2 = report.at(2)
    whole = prod(extent(report, 2))
    voxels = layer2.chunks * whole if report.test else prod(report.voxels)
    planes = _planes(report)
    each, paired = supervoxels.at(side) / voxels, pairs.at(side) / planes if planes else 0.0
    handed = sum(one.handoff_bytes for one in sample.seen)
    found = sum(one.pairs for one in sample.seen)
    # Nodes of layers above are not in any file, and the range has to hold them.
    doubt = min(1.0, hypot(nodes.reach * nodes.error, ABOVE))
    return Density(
        supervoxels=each,
        pairs=paired,
        nodes=nodes.total * (1 + side * doubt) / planes if planes else 0.0,
        rows=rows.at(side) / supervoxels.at(side) if supervoxels.at(side) else rows.total / supervoxels.total,
        handoff_bytes=handed / found if found else ASSUMED.handoff_bytes,
        densest=max(1.0, supervoxels.most / (each * whole)) if each else 1.0,
        densest_parents=_parents(
            report, sample, max(1.0, pairs.most / (paired * _inner_planes(report))) if paired else 1.0
        ),
        above=1 + side * ABOVE,
    )


def _parents(report: PlanReport, sample: Sample, densest: float) -> tuple[float, ...]:
    """How much denser than all the densest parent of each layer is, by the measures below it.

    A parent that has too few of them to tell is taken to be no denser than `densest`, the largest chunk."""
    found = []
    every = sum(sample.measures)
    for layer in range(3, report.layers[-1].layer + 1):
        below: dict[Triple, float] = defaultdict(float)
        number: Counter[Triple] = Counter()
        for (x, y, z), measure in zip(sample.places, sample.measures, strict=True):
            parent = x >> layer - 2, y >> layer - 2, z >> layer - 2
            below[parent] += measure
            number[parent] += 1
        chunks = prod(min(length, 1 << layer - 2) for length in report.at(2).grid)
        known = len(sample.measures) >= sample.filled
        told = [value for parent, value in below.items() if known or number[parent] >= ENOUGH]
        most = max(told, default=0.0) / every * sample.chunks / chunks
        found.append(min(densest, max(1.0, most)) if told else densest)
    return tuple(found) or (densest,)


def _inner_planes(report: PlanReport) -> float:
    """Voxels of the faces of a whole chunk behind which there are others."""
    lengths = extent(report, 2)
    sides = (min(2, chunks - 1) for chunks in report.at(2).grid)
    return sum(count * prod(lengths) / length for count, length in zip(sides, lengths, strict=True))


def _planes(report: PlanReport) -> float:
    """The voxels of faces that what layer 2 hands up is reckoned for."""
    if not report.test:
        return faces(report, 2)
    return most_faces(report, 3) if len(report.layers) > 1 else 0.0
