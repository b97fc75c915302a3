"""Environments that tests make: kept below build/ under a hash of what went into them, made anew when it changes.

Invariants: pip really installs; only one process makes an environment at a time, and a half-made one counts for
nothing; where pip finds no way to the packages, that is lacking.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from jobs.local.processes import locked
from jobs.paths import REPOSITORY
from tests.lacking import needs_network


def installed(kind: str, requirements: Path, *options: str, besides: bytes = b"") -> Path:
    """The folder of programs of the environment of a requirements file, made with these options of pip.

    `besides` is what else decides what is in it, as a file of constraints does.
    """
    parts = (requirements.read_bytes(), besides, " ".join(options).encode(), sys.version.encode())
    place = REPOSITORY / "build" / kind
    with locked(place):
        folder = place / hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
            # By the pip that is there: to put one into each environment takes seconds.
            pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install"]
            for command in (
                [sys.executable, "-m", "venv", "--without-pip", str(folder)],
                [*pip, "-q", "--disable-pip-version-check", *options, "-r", str(requirements)],
            ):
                done = subprocess.run(command, env=environ, capture_output=True, text=True)
                needs_network(done, "packages", f"the {kind} environment of {requirements.name} cannot be made")
            (folder / "complete").touch()
        return folder / "bin"
