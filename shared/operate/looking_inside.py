"""A few chunks are read and built before the start, to be thrown away: how much a run has to do is in its files.

The sizes of up to `MEASURED` edge files are asked for, and `SAMPLE` of these chunks are opened, scattered over all
of them, with the largest one. They go through the build's own reading and the build of layer 2, so what is counted
is what a run writes. Where a sample was built for real and kept (`shared.operate.sampling`), what it took comes in
the place of what is assumed, and what is in it where nothing is opened. Invariants: nothing is written; the same
files give the same answer; how long it takes does not depend on the size of the grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from math import sqrt

from shared.errors import IngestError
from shared.estimate.density import Density
from shared.estimate.measured import Measured, paces, replaced, voxels
from shared.estimate.needs import ASSUMED, VOXELS_A_SUPERVOXEL, assumed
from shared.estimate.pace import NO_PACES, Paces
from shared.estimate.sampled import Looked, Sample, Seen, looked
from shared.inputs.edges import edges_name
from shared.inputs.folder import InputFiles
from shared.inputs.reasons import reason_of
from shared.inputs.source import InputSource, ProcessedSource
from shared.operate.check import Checked
from shared.operate.one_chunk import seen_in
from shared.operate.raw_sample import open_raw
from shared.operate.which_input import folders_of
from shared.plan.grid import Chunk
from shared.plan.shuffle import shuffled

SAMPLE = 32
"""Chunks that are opened, unless somebody says how many."""
MEASURED = 2_000
"""Edge files whose sizes are asked for, each a request."""
AT_ONCE = 4
"""Chunks that are read at a time."""


@dataclass(frozen=True)
class Look:
    """What looking came to: `found`, or why there is none; `remarks` are sentences for people."""

    found: Looked | None = None
    remarks: tuple[str, ...] = ()
    without: Density = ASSUMED
    """The density where nothing was found."""
    paces: Paces = field(default_factory=lambda: NO_PACES)
    """What was measured of layers."""

    @property
    def density(self) -> Density:
        """The density to reckon with."""
        return self.found.middle if self.found else self.without

    @property
    def high(self) -> Density:
        """The density at the upper end of its range, to choose machines by."""
        return self.found.high if self.found else self.without


def look_inside(checked: Checked, count: int = SAMPLE, kept: Measured | None = None) -> Look:
    """Opens `count` chunks of a plan that has passed its checks; 0 opens none. `kept` is what was measured."""
    if kept is None:
        return _looked(checked, count)
    look = None
    if not count or checked.input.segmentation is not None:
        look = _of_kept(checked, kept)
    look = look or _looked(checked, count)
    found = paces(checked.report, kept)
    return replace(look, remarks=(*look.remarks, *replaced(kept, found)), paces=found)


def chunks_to_sample(checked: Checked, count: int) -> list[Chunk]:
    """So many chunks of layer 2, scattered: the first of those that a plan looks into."""
    return _population(checked).chunks[:count]


def _of_kept(checked: Checked, kept: Measured) -> Look | None:
    """What the chunks of a kept sample say, without opening any; None where it has none that are in the plan."""
    report, population = checked.report, _population(checked)
    seen = [
        replace(one, measure=float(voxels(report, chunk)))
        for chunk, one in kept.seen
        if Chunk(2, *chunk) in checked.plan
    ]
    if not seen:
        cuts = kept.of(1)
        there = sum(voxels(report, job.chunk) for job in cuts)
        found = sum(job.supervoxels for job in cuts)
        if not found:
            return None
        told = "only cuts were sampled: supervoxels are theirs, and what joins them is assumed"
        return Look(without=assumed(found / there), remarks=(told,))
    sample = Sample(
        chunks=checked.plan.total(2),
        filled=population.filled,
        filled_error=population.error,
        measures=[float(voxels(checked.report, chunk.coords)) for chunk in population.chunks],
        places=[chunk.coords for chunk in population.chunks],
        by_size=False,
        seen=seen,
        asked="N",
    )
    looked_into = looked(report, sample)
    return None if looked_into is None else Look(looked_into)


def _looked(checked: Checked, count: int) -> Look:
    if not count:
        return Look(remarks=(f"no file was opened, as SAMPLE=0 says; {_ASSUMPTION}",))
    if checked.input.segmentation is not None:
        told = "the supervoxels of a segmentation are known once it is cut, so none of it was looked at"
        return Look(remarks=(f"{told}; {_ASSUMPTION}. make sample cuts some",))
    try:
        return _look(checked, count)
    except IngestError as error:
        return Look(remarks=(f"no chunk could be looked into ({error}); {_ASSUMPTION}",))
    except Exception as error:  # cloud-files raises whatever its protocols raise
        return Look(remarks=(f"no chunk could be looked into ({reason_of(error)}); {_ASSUMPTION}",))


_ASSUMPTION = (
    f"{VOXELS_A_SUPERVOXEL:,} voxels a supervoxel are assumed, which may be wrong by a factor of a few, and "
    "with it all that follows"
)


def _look(checked: Checked, count: int) -> Look:
    source, files = _source(checked)
    plan, population = checked.plan, _population(checked)
    if not population.chunks:
        return Look(remarks=(f"there is no edge file to look into; {_ASSUMPTION}",))
    sizes = _sizes(files, population.chunks) if files and count < len(population.chunks) else {}
    measures = sizes or {chunk: float(voxels(checked.report, chunk.coords)) for chunk in population.chunks}
    opened = population.chunks[:count]
    largest = max(measures, key=lambda chunk: (measures[chunk], chunk)) if sizes else opened[0]
    read = list(dict.fromkeys([*opened, largest]))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = dict(zip(read, pool.map(lambda one: seen_in(plan, one, source), read), strict=True))
    seen = {
        chunk: replace(answer, measure=measures[chunk])
        for chunk, answer in answers.items()
        if isinstance(answer, Seen)
    }
    failed = [answer for answer in answers.values() if not isinstance(answer, Seen)]
    remarks = [f"of {len(answers)} chunks {len(failed)} cannot be built; the first: {failed[0]}"] if failed else []
    scattered = [seen[chunk] for chunk in opened if chunk in seen]
    found = None
    if scattered:
        found = looked(
            checked.report,
            Sample(
                chunks=plan.total(2),
                filled=population.filled,
                filled_error=population.error,
                measures=list(measures.values()),
                places=[chunk.coords for chunk in measures],
                by_size=bool(sizes),
                seen=scattered,
                largest=None if largest in opened else seen.get(largest),
            ),
        )
    if found is None:
        remarks.append(f"{len(scattered)} chunks were looked into, and no edge is in them; {_ASSUMPTION}")
    return Look(found, tuple(remarks))


@dataclass(frozen=True)
class _Population:
    """Chunks that have something, or may have, in a scattered order, the first of `filled`, which are known but for
    an `error` relative to them."""

    chunks: list[Chunk]
    filled: float
    error: float = 0.0


def _population(checked: Checked) -> _Population:
    plan, inventory = checked.plan, checked.inventory
    total = plan.total(2)
    if inventory.whole and inventory.looked:
        inside = [chunk for chunk in inventory.with_edges if chunk in plan]
        return _Population(_scattered(inside), len(inside))
    if inventory.looked and total == inventory.chunks:
        share = inventory.edges / inventory.looked
        left = 1 - inventory.looked / total
        error = sqrt((1 - share) / (share * inventory.looked) * left) if share else 0.0
        return _Population(_scattered(inventory.with_edges), share * total, error)
    some = islice(shuffled(total, total), MEASURED)
    return _Population([plan.chunk_at(2, index) for index in some], total)


def _scattered(chunks: Iterable[Chunk]) -> list[Chunk]:
    every = list(chunks)
    return [every[at] for at in islice(shuffled(len(every), len(every)), MEASURED)]


def _source(checked: Checked) -> tuple[InputSource, InputFiles | None]:
    """Where chunks are read from, and the edge files, if there are such."""
    raw, plan = checked.input.raw, checked.plan
    if raw is not None:
        return open_raw(plan, raw), None
    given = folders_of(checked.dataset)
    edges = InputFiles(given["edges"])
    return ProcessedSource(edges, InputFiles(given["components"])), edges


def _sizes(files: InputFiles, chunks: list[Chunk]) -> Mapping[Chunk, float]:
    """The sizes of the chunks' edge files; nothing if those of all cannot be told, or are nothing."""
    names = {edges_name(chunk): chunk for chunk in chunks}
    found = files.sizes(list(names))
    if len(found) < len(names) or not all(found.values()):
        return {}
    return {names[name]: float(size) for name, size in found.items()}
