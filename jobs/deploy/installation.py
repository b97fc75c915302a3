"""Where an installation is, remembered beside its state: project, region and prefix.

Why: all names and places follow from these three. Terraform, `make image` and the next `make deploy` have them from
one file, which Terraform reads by itself; a default that differs cannot move an installation.

Invariants: the file has what Terraform itself made of command, files and defaults, as its plan says. It is written
whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.deploy.plan_check import known
from shared.errors import StateError

NAMES = ("project", "region", "prefix")
FILE = "installation.auto.tfvars.json"
"""In terraform/; `.auto.` has Terraform read it."""


def installation(plan: Mapping[str, Any]) -> dict[str, str]:
    """What a plan goes by. StateError if it does not say."""
    known(plan)
    try:
        return {name: str(plan["variables"][name]["value"]) for name in NAMES}
    except KeyError as error:
        raise StateError(f"terraform show -json: the plan has no variable {error}; nothing was changed") from error


def moved(remembered: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What differs, as `region was us-east1 and is now us-central1`; nothing where nothing is remembered."""
    return [
        f"{name} was {remembered[name]} and is now {now[name]}"
        for name in NAMES
        if name in remembered and remembered[name] != now[name]
    ]


def read(folder: Path) -> dict[str, str]:
    """What is remembered in a folder; nothing before the first deployment. StateError if it cannot be read."""
    path = folder / FILE
    if not path.exists():
        return {}
    try:
        found = dict(json.loads(path.read_text()))
        return {name: str(found[name]) for name in NAMES if name in found}
    except (ValueError, TypeError) as error:
        raise StateError(f"{path} is no JSON of project, region and prefix ({error}): mend it by hand") from error


def write(folder: Path, now: Mapping[str, str]) -> None:
    """Remembers it, a variable a line."""
    path = folder / FILE
    written = path.with_suffix(".new")
    written.write_text(json.dumps({name: now[name] for name in NAMES}, indent=2) + "\n")
    os.replace(written, path)
