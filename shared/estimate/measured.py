"""What a few chunks took that were built for real, and what follows from it for all: the pace of their layers.

CPU and memory are compared with what the constants of `shared.estimate.needs` say of the very same chunks, so what
a layer takes is scaled by this machine and these data. How long inputs are waited for counts only from where
workers run: from a desk everything is far. Invariants: plain values, which JSON can hold; a chunk that could not
be built counts for nothing but its sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil, prod
from statistics import fmean, linear_regression, pstdev
from typing import Any

from shared.estimate import cuts
from shared.estimate.needs import (
    MESSAGE_SECONDS,
    PUT_SECONDS,
    RECORD_SECONDS,
    WRITE_SECONDS,
    cut_costs,
    layer2_costs,
)
from shared.estimate.pace import JobCosts, Pace, Paces
from shared.estimate.report import PlanReport, Triple
from shared.estimate.sampled import FEW, Seen
from shared.timestamps import duration

VERSION = 1
INPUTS, ROWS, FILES = "inputs read", "rows encoded", "files and voxels packed"
"""The services that a job is with, as reports name them; files of layer 2 are packed where they are made."""
ASSUMED = "assumed, as nothing was stored"


@dataclass(frozen=True)
class Spent:
    """What jobs had of one service: seconds on the clock, requests, bytes."""

    seconds: float = 0.0
    requests: int = 0
    bytes: int = 0

    def and_more(self, seconds: float, requests: int, size: int) -> Spent:
        """The same with more of it."""
        return Spent(self.seconds + seconds, self.requests + requests, self.bytes + size)


@dataclass(frozen=True)
class Job:
    """What one job took: of a chunk of layer 2, or of a cut."""

    layer: int
    chunk: Triple
    supervoxels: int
    rows: int
    handoff_bytes: int
    seconds: float
    """On the clock."""
    cpu_seconds: float
    """Of the process, all its threads."""
    peak_bytes: float | None = None
    """The most that the process held; None where the kernel does not say."""
    grown_bytes: float | None = None
    """Beyond what it held before all jobs."""
    services: Mapping[str, Spent] = field(default_factory=dict)

    def spent(self, service: str) -> Spent:
        """What it had of a service."""
        return self.services.get(service, Spent())


@dataclass(frozen=True)
class Measured:
    """What was measured, where and when, of which dataset."""

    fingerprint: str
    when: str
    where: str
    inside: bool
    """Whether that was in a task of the deployed size."""
    jobs: tuple[Job, ...]
    seen: tuple[tuple[Triple, Seen], ...] = ()
    """What is in each chunk of layer 2 that was built."""
    failed: tuple[str, ...] = ()
    """Why others could not be."""
    remarks: tuple[str, ...] = ()

    def of(self, layer: int) -> list[Job]:
        """The jobs of a layer."""
        return [job for job in self.jobs if job.layer == layer]

    def fields(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def read(cls, content: Any) -> Measured:
        """What `fields` made; ValueError for anything else."""
        try:
            if content["version"] != VERSION:
                raise ValueError(f"it is of version {content['version']!r}, and this release knows {VERSION}")
            found = {name: value for name, value in content.items() if name != "version"}
            found["jobs"] = tuple(_job(job) for job in found["jobs"])
            found["seen"] = tuple((_triple(chunk), Seen(**seen)) for chunk, seen in found["seen"])
            for name in ("failed", "remarks"):
                found[name] = tuple(map(str, found[name]))
            return cls(**found)
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"it is no sample ({type(error).__name__}: {error})") from error


def _job(content: Mapping[str, Any]) -> Job:
    services = {str(name): Spent(**spent) for name, spent in content["services"].items()}
    job = Job(**{**content, "chunk": _triple(content["chunk"]), "services": services})
    numbers = (job.layer, job.supervoxels, job.rows, job.seconds, job.cpu_seconds)
    if not all(isinstance(number, int | float) and number >= 0 for number in numbers):
        raise ValueError(f"the numbers of {job.chunk} are none")
    return job


def _triple(content: Sequence[int]) -> Triple:
    x, y, z = map(int, content)
    return x, y, z


def paces(report: PlanReport, measured: Measured | None) -> Paces:
    """How the layers go of which jobs were measured."""
    if measured is None:
        return {}
    layers = [layer.layer for layer in report.layers if layer.layer in (1, 2)]
    return {layer: _pace(report, measured, jobs) for layer in layers if (jobs := measured.of(layer))}


def _pace(report: PlanReport, measured: Measured, jobs: Sequence[Job]) -> Pace:
    costs = [
        layer2_costs(report) if job.layer == 2 else cut_costs(report, voxels(report, job.chunk)) for job in jobs
    ]
    fixed, each = _cpu(jobs, costs)
    grown = [
        (job.grown_bytes, cost.bytes_of(job.supervoxels))
        for cost, job in zip(costs, jobs, strict=True)
        if job.grown_bytes is not None
    ]
    waited = sum(job.spent(INPUTS).seconds for job in jobs) / len(jobs)
    return Pace(
        cpu=fixed,
        each_cpu=each,
        memory=sum(took for took, _ in grown) / sum(cost for _, cost in grown) if grown else 1.0,
        least_bytes=max((took for took, _ in grown), default=0.0),
        reading_seconds=waited if measured.inside else None,
    )


def _cpu(jobs: Sequence[Job], costs: Sequence[JobCosts]) -> tuple[float, float]:
    """CPU of jobs for themselves, and for each supervoxel, in what is assumed.

    By least squares where enough jobs differ in size; else, or where that makes no sense, both in the proportion of
    the sums. Either way what the mean job takes is what was measured.
    """
    took = [job.cpu_seconds for job in jobs]
    assumed = sum(cost.seconds_of(job.supervoxels) for cost, job in zip(costs, jobs, strict=True))
    both = sum(took) / assumed
    parts = [cost.cpu[1] * job.supervoxels for cost, job in zip(costs, jobs, strict=True)]
    if len(jobs) < FEW or not pstdev(parts):
        return both, both
    each, constant = linear_regression(parts, took)
    fixed = constant / fmean(cost.cpu[0] for cost in costs)
    return (fixed, each) if fixed > 0 and each > 0 else (both, both)


def voxels(report: PlanReport, chunk: Triple) -> int:
    """Voxels of a chunk of layer 2, or of its cut; fewer where the volume ends."""
    sides = zip(chunk, report.chunk_size, report.voxels, strict=True)
    return prod(min(length, size - at * length) for at, length, size in sides)


def replaced(measured: Measured, of: Paces) -> list[str]:
    """What of an estimate is measured, as sentences."""
    lines = [
        f"measured on {measured.when[:10]} by make sample, {measured.where}: "
        f"{len(measured.seen):,} chunks of layer 2"
        + (f" from {len(measured.of(1)):,} cuts" if measured.of(1) else "")
    ]
    for layer, pace in sorted(of.items()):
        cpu = f"{pace.cpu:.2f} times the CPU"
        if pace.each_cpu != pace.cpu:
            cpu = f"{pace.cpu:.2f} times the CPU for a job, {pace.each_cpu:.2f} times for a supervoxel,"
        told = f"layer {layer} takes {cpu} and {pace.memory:.2f} times the memory"
        waits = "" if pace.reading_seconds is None else f", and waits {pace.reading_seconds:.2f} s for its inputs"
        lines.append(f"{told} that is assumed of such chunks{waits}; the estimate has what was measured")
    return lines


def job_rows(measured: Measured) -> list[tuple[str, ...]]:
    """What a job of each layer took, with its heading first."""
    heading = ("layer", "jobs", "supervoxels", "rows", "CPU", "most", "peak memory", "beyond the rest", "takes")
    rows: list[tuple[str, ...]] = [heading]
    for layer in (1, 2):
        jobs = measured.of(layer)
        if not jobs:
            continue
        mean = 1 / len(jobs)
        rows.append((
            {1: "1 cuts"}.get(layer, str(layer)),
            f"{len(jobs):,}",
            f"{mean * sum(job.supervoxels for job in jobs):,.0f}",
            f"{mean * sum(job.rows for job in jobs):,.0f}",
            duration(mean * sum(job.cpu_seconds for job in jobs), 3),
            duration(max(job.cpu_seconds for job in jobs), 3),
            _mib([job.peak_bytes for job in jobs]),
            _mib([job.grown_bytes for job in jobs]),
            duration(mean * sum(job.seconds for job in jobs), 3),
        ))  # fmt: skip
    return rows


def _mib(found: Sequence[float | None]) -> str:
    known = [one for one in found if one is not None]
    return f"{max(known) / (1 << 20):,.0f} MiB" if known else "not known"


def service_rows(report: PlanReport, measured: Measured) -> list[tuple[str, ...]]:
    """What a job of each layer has of each service, with its heading first: measured as far as something was read
    or made, and what `needs` assumes of what was not stored."""
    rows: list[tuple[str, ...]] = [("layer", "service", "a job", "requests", "bytes", "how known")]
    for layer in (1, 2):
        jobs = measured.of(layer)
        if not jobs:
            continue
        for service in (INPUTS, FILES, ROWS):
            spent = [job.spent(service) for job in jobs]
            if any(one.requests for one in spent):
                found = (sum(getattr(one, name) for one in spent) for name in ("seconds", "requests", "bytes"))
                seconds, requests, size = (one / len(jobs) for one in found)
                rows.append(_service(layer, service, seconds, requests, size, "measured"))
        rows += _not_stored(report, layer, jobs)
    return rows


def _not_stored(report: PlanReport, layer: int, jobs: Sequence[Job]) -> list[tuple[str, ...]]:
    """What a job would write, by the sizes of what it made and the times that are assumed."""

    def mean(service: str, name: str) -> float:
        return sum(float(getattr(job.spent(service), name)) for job in jobs) / len(jobs)

    files, sent = mean(FILES, "requests"), mean(ROWS, "requests")
    rounds = cuts.rounds(ceil(files)) if layer == 1 else files
    handoff = sum(job.handoff_bytes for job in jobs) / len(jobs)
    waits = report.at(layer).transactions / report.at(layer).chunks * RECORD_SECONDS + 2 * MESSAGE_SECONDS
    rows = []
    if files:
        rows.append(_service(layer, "files written", rounds * PUT_SECONDS, files, mean(FILES, "bytes"), ASSUMED))
    if sent:
        rows.append(_service(layer, "rows written", sent * WRITE_SECONDS, sent, mean(ROWS, "bytes"), ASSUMED))
    rows.append(_service(layer, "hand-off written", PUT_SECONDS, 1, handoff, ASSUMED))
    rows.append(_service(layer, "records, messages", waits, 0, 0, ASSUMED))
    return rows


def _service(layer: int, service: str, seconds: float, requests: float, size: float, how: str) -> tuple[str, ...]:
    numbers = (f"{requests:,.1f}" if requests else "", f"{size:,.0f}" if size else "")
    return (str(layer), service, f"{seconds:.3f} s", *numbers, how)
