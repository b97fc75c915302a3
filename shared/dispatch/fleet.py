"""Fleets: the Cloud Run Jobs that there are, which layers each works on, and how fast it may grow.

Why an object in the scratch folder: Terraform, which makes the Jobs, writes it; the dispatch function and
`make ingest` read it. So the limits stand in one place, and a command needs nothing but that folder to know
the infrastructure. Invariants: a fleet that was decoded has sane numbers, and no layer has two fleets.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from shared.errors import DataError

FLEETS_NAME = "fleets.json"

JOB = re.compile(r"projects/([^/]+)/locations/([^/]+)/jobs/([a-z][a-z0-9-]{0,62})")
"""The full name of a Job: project, region and id."""


@dataclass(frozen=True)
class Fleet:
    """One Job, as tasks: `start` of them at first, `factor` times as many after each `period` (seconds),
    never more than `max`. `cpu` (vCPU) and `memory_gib` are the size of a task."""

    job: str
    layers: tuple[int, ...]
    start: int
    factor: float
    period: float
    max: int
    cpu: float = 1
    memory_gib: float = 2

    @property
    def name(self) -> str:
        """The Job's id, without project and region."""
        return self.job.rpartition("/")[2]


def encode_fleets(fleets: Iterable[Fleet]) -> bytes:
    """The object that Terraform writes."""
    return json.dumps({"fleets": [asdict(fleet) for fleet in fleets]}, indent=1).encode()


def decode_fleets(data: bytes, file: str) -> list[Fleet]:
    """The fleets in an object's bytes; DataError, naming `file`, for anything else."""
    try:
        found = json.loads(data)["fleets"]
        fleets = [_fleet(fields) for fields in found]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            file, "-", f"no list of fleets ({error!r:.200}); write it again with: make deploy"
        ) from error
    twice = [layer for layer, count in Counter(at for fleet in fleets for at in fleet.layers).items() if count > 1]
    if twice:
        raise DataError(file, "-", f"layers {twice} have two fleets; write it again with: make deploy")
    return fleets


def _fleet(fields: dict[str, Any]) -> Fleet:
    fleet = Fleet(**{**fields, "layers": tuple(fields["layers"])})
    good = {
        "job": isinstance(fleet.job, str) and JOB.fullmatch(fleet.job),
        "layers": fleet.layers and all(type(layer) is int and layer >= 0 for layer in fleet.layers),
        "start": type(fleet.start) is int and fleet.start >= 1,
        "max": type(fleet.max) is int and (type(fleet.start) is not int or fleet.max >= fleet.start),
        "factor": _is_number(fleet.factor, 1),
        "period": _is_number(fleet.period, 0),
        "cpu": _is_number(fleet.cpu, 0),
        "memory_gib": _is_number(fleet.memory_gib, 0),
    }
    wrong = [f"{name} = {getattr(fleet, name)!r:.60}" for name, is_good in good.items() if not is_good]
    if wrong:
        raise ValueError(", ".join(wrong))
    return fleet


def _is_number(value: object, more_than: float) -> bool:
    return type(value) in (int, float) and more_than < value < float("inf")  # type: ignore[operator]
