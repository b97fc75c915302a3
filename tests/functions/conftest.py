"""The bundles of the functions, and for each an environment with what its requirements.txt names and no more.

Why: the tests' own environment has graph-tool, the jobs and much else, so that a function that needs
some of it would work here and fail in the cloud. Invariants: pip really installs; an environment is
kept below build/ under a hash of what went into it, so it is made again only when that changes.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from functions import bundle
from tests.environments import installed


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


def clean_python(bundle: Path) -> Path:
    """The Python of an environment into which pip installed what a bundle asks for."""
    constraints = (bundle / "constraints.txt").read_bytes()
    # Modules are compiled when they are imported, which few are.
    return installed("clean", bundle / "requirements.txt", "--no-compile", besides=constraints) / "python"


@pytest.fixture(scope="session")
def deployable(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Deployable]:
    """Gives a function by its name; each is bundled once."""
    folder, made = tmp_path_factory.mktemp("bundles"), dict[str, Deployable]()

    def get(name: str) -> Deployable:
        if name not in made:
            at = bundle.write(name, folder)
            made[name] = Deployable(name, at, clean_python(at))
        return made[name]

    return get
