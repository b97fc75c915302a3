"""What the functions of this project know of runs: opened once a process, from the environment's variables.

INGEST_PROJECT, INGEST_DATABASE and INGEST_SCRATCH, as shared/environment.py has them; hosts of emulators in
tests.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from shared.environment import Environment
from shared.errors import StateError
from shared.gcp.progress import GoogleProgress
from shared.run.registry import Registry

NEEDED = ("INGEST_SCRATCH", "INGEST_DATABASE")
"""What has a default elsewhere, and none here: a function that guessed would look at nothing real."""


def read_progress(environ: Mapping[str, str]) -> GoogleProgress:
    """The services that the variables name; StateError if a variable is missing."""
    environment = Environment.read(environ)
    missing = [name for name in NEEDED if not environ.get(name)]
    if environment.project is None and not environment.hosts:
        missing.append("INGEST_PROJECT")
    if missing:
        raise StateError(f"the function needs the variables {', '.join(missing)}")
    return GoogleProgress(environment)


@cache
def open_progress() -> GoogleProgress:
    """The services of this process."""
    return read_progress(os.environ)


@cache
def open_registry() -> Registry:
    """The runs of this process, with connections that are kept."""
    return Registry(open_progress())
