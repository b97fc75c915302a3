"""What `doctor` looks at: an installation as far as this machine and the project know it, and its programs."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from jobs.deploy import installation
from jobs.paths import REPOSITORY
from shared.dispatch.fleet import FLEETS_NAME, JOB, Fleet, decode_fleets
from shared.doctor.cloud import Cloud, Request
from shared.doctor.doctor import Patient
from shared.doctor.place import Place, url
from shared.doctor.quotas import Wanted
from shared.doctor.tools import Machine
from shared.environment import Environment
from shared.errors import DataError, StateError
from shared.estimate.needs import needs
from shared.estimate.schedule import NODES, schedule
from shared.estimate.tfvars import buckets
from shared.operate.check import Checked
from shared.operate.segmentation_input import locations_of, outputs_of

TERRAFORM = REPOSITORY / "terraform"
VARIABLES = TERRAFORM / "dataset.auto.tfvars.json"
"""What the last deployment was for; see `make tfvars`."""

SECONDS = 30
"""How long a program may take to say its version."""


def machine() -> Machine:
    """What Terraform and gcloud say here."""
    terraform = shlex.split(os.environ.get("TERRAFORM") or "terraform")
    commands = (
        [*terraform, "version", "-json"],
        ["gcloud", "version", "--format=json"],
        ["gcloud", "auth", "list", "--filter=status:ACTIVE", "--format=value(account)"],
    )
    with ThreadPoolExecutor(len(commands)) as pool:
        version, gcloud, account = pool.map(_said, commands)
    return Machine(version, gcloud, (account or "").strip() or None)


def _said(command: list[str]) -> str | None:
    environ = {name: value for name, value in os.environ.items() if name != "TERRAFORM"}
    try:
        done = subprocess.run(command, env=environ, cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Asked:
    """What the command was given."""

    dataset: str | None = None
    checked: Checked | None = None
    region: str | None = None
    trial: bool = False
    """Whether the table of a test graph is looked at too."""


def patient(environment: Environment, cloud: Cloud, asked: Asked, programs: Machine) -> Patient:
    """All that is known. StateError without a project."""
    if environment.project is None:
        raise StateError("PROJECT is not given: which Google Cloud project is to be looked at?")
    fleets = _fleets(environment, cloud)
    last = _last_deployment(environment.project)
    place = Place(
        project=environment.project,
        prefix=environment.prefix,
        database=environment.database,
        region=asked.region or _region(environment, fleets),
        instance=environment.instance
        or (asked.checked.instance if asked.checked else last.get("bigtable_instance")),
        scratch=environment.bucket,
        layers=_layers(asked, fleets, last),
        tables=_tables(asked, last),
        inputs=_inputs(asked, last),
        outputs=_outputs(asked, last),
        dataset=asked.dataset,
    )
    return Patient(place, programs, _wanted(asked, fleets))


def _fleets(environment: Environment, cloud: Cloud) -> list[Fleet]:
    """What is deployed, by the object that says so; nothing where it is not there, or not to be understood."""
    if not environment.bucket:
        return []
    (answer,) = cloud.ask([Request(url("storage", f"storage/v1/b/{environment.bucket}/o/{FLEETS_NAME}?alt=media"))])
    try:
        return decode_fleets(json.dumps(answer.body).encode(), FLEETS_NAME) if answer.found else []
    except DataError:
        return []


def _last_deployment(project: str) -> dict[str, Any]:
    """The variables of the last deployment from this folder, if it was to this project."""
    try:
        found = json.loads(VARIABLES.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("project") == project else {}


def _region(environment: Environment, fleets: list[Fleet]) -> str | None:
    remembered = installation.read(TERRAFORM)
    if (remembered.get("project"), remembered.get("prefix")) == (environment.project, environment.prefix):
        return remembered.get("region")
    return region_of(fleets)


def region_of(fleets: Iterable[Fleet]) -> str | None:
    """Where the Jobs are; None where there are none."""
    return min((match[2] for fleet in fleets if (match := JOB.fullmatch(fleet.job))), default=None)


def _layers(asked: Asked, fleets: list[Fleet], last: dict[str, Any]) -> tuple[int, ...]:
    if asked.checked is not None:
        plan = asked.checked.plan
        return tuple(range(plan.layers.start, plan.grid.layer_count + 1))
    if fleets:
        return tuple(sorted(layer for fleet in fleets for layer in fleet.layers))
    return tuple(range(int(last.get("lowest_layer", 2)), int(last.get("layers", 1)) + 1))


def _tables(asked: Asked, last: dict[str, Any]) -> tuple[str, ...]:
    """The last is that of a test graph, where one is looked at."""
    if asked.checked is not None:
        table = asked.checked.table
        return (table, f"{table}_test") if asked.trial else (table,)
    return tuple(sorted(last.get("tables", [])))


def _inputs(asked: Asked, last: dict[str, Any]) -> tuple[str, ...]:
    if asked.checked is not None:
        if asked.checked.input.segmentation is not None:
            return tuple(buckets(locations_of(asked.checked.input.segmentation).values()))
        folders = asked.checked.folders
        return tuple(buckets(folder for key, folder in folders.items() if key != "data_source.WATERSHED"))
    return tuple(last.get("input_buckets", []))


def _outputs(asked: Asked, last: dict[str, Any]) -> tuple[str, ...]:
    """Where is written to beside the table, of a dataset that is raw output or a segmentation."""
    if asked.checked is None:
        return tuple(last.get("output_buckets", []))
    given = outputs_of(asked.checked.dataset)
    return tuple(buckets(given[kind] for kind in asked.checked.input.written))


def _wanted(asked: Asked, fleets: list[Fleet]) -> Wanted:
    """What the plan, or else the fleets, use at once: that of the layer which uses most."""
    if asked.checked is not None:
        checked = asked.checked
        stages = schedule(needs(checked.report))
        return Wanted(max(stage.tasks * stage.cpu for stage in stages), NODES)
    if fleets:
        return Wanted(max(fleet.max * fleet.cpu for fleet in fleets))
    return Wanted()
