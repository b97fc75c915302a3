"""The bundles of the functions, and for each an environment with what its requirements.txt names and no more.

Why: the tests' own environment has graph-tool, the jobs and much else, so that a function that needs
some of it would work here and fail in the cloud. Invariants: pip really installs; an environment is
kept below build/ under a hash of what went into it, so it is made again only when that changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions import bundle
from jobs.local.processes import locked
from jobs.paths import REPOSITORY
from tests.lacking import needs_network

KEPT = REPOSITORY / "build" / "clean"


@dataclass(frozen=True)
class Deployable:
    """A function's bundle, and the Python that has only what the bundle asks for."""

    name: str
    folder: Path
    python: Path

    def run(self, script: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Runs a script with the bundle's folder as first argument; nothing of the tests' environment is seen."""
        command = [str(self.python), "-I", "-c", script, str(self.folder), *arguments]
        return subprocess.run(
            command, cwd=self.folder.parent, env=variables, capture_output=True, text=True, timeout=600
        )


def clean_python(requirements: Path, constraints: Path) -> Path:
    """The Python of an environment into which pip installed a requirements file."""
    parts = (requirements.read_bytes(), constraints.read_bytes(), sys.version.encode())
    name = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    KEPT.mkdir(parents=True, exist_ok=True)
    with locked(KEPT):
        folder = KEPT / name
        python, complete = folder / "bin" / "python", folder / "complete"
        if not complete.exists():
            shutil.rmtree(folder, ignore_errors=True)
            environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
            for command in (
                [sys.executable, "-m", "venv", str(folder)],
                [str(python), "-m", "pip", "install", "-q", "-r", str(requirements)],
            ):
                done = subprocess.run(command, env=environ, capture_output=True, text=True)
                needs_network(done, "packages", f"{requirements.parent.name}'s requirements cannot be installed")
            complete.touch()
        return python


@pytest.fixture(scope="session")
def deployable(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Deployable]:
    """Gives a function by its name; each is bundled once."""
    folder, made = tmp_path_factory.mktemp("bundles"), dict[str, Deployable]()

    def get(name: str) -> Deployable:
        if name not in made:
            at = bundle.write(name, folder)
            made[name] = Deployable(name, at, clean_python(at / "requirements.txt", at / "constraints.txt"))
        return made[name]

    return get
