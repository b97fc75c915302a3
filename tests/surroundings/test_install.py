"""jobs/local/install.sh: what fails is not taken for done, and what is half there is made anew."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from jobs.paths import REPOSITORY
from tests.lacking import IN_CI, lacks

SCRIPT = REPOSITORY / "jobs" / "local" / "install.sh"


def install(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs it in a folder, for a requirements file that asks for nothing."""
    (folder / "requirements.txt").touch()
    return subprocess.run(
        ["sh", str(SCRIPT), "requirements.txt"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def stand_in(folder: Path, *lines: str) -> Path:
    """An environment whose Python is a script."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    python.chmod(0o755)
    return python


@pytest.fixture(autouse=True)
def _graph_tool() -> None:
    found = subprocess.run(["/usr/bin/python3", "-c", "import graph_tool, ensurepip"], capture_output=True)
    if found.returncode:
        lacks("packages", "/usr/bin/python3 has no graph_tool or no ensurepip, which would be installed")


def test_pip_fails(tmp_path: Path) -> None:
    """Its status is the script's end, with what it said; warnings about places are left out."""
    stand_in(
        tmp_path,
        'case "$*" in *--version*) exit 0;; esac',
        'echo "WARNING: Location x"; echo "ERROR: no matching distribution"; exit 1',
    )
    done = install(tmp_path)
    assert done.returncode == 75 and "no matching distribution" in done.stderr, done
    assert "tries again" in done.stderr and "WARNING" not in done.stdout + done.stderr


def test_pip_works(tmp_path: Path) -> None:
    """And where it works, nothing is made anew; what leads pip elsewhere is not seen."""
    stand_in(
        tmp_path,
        'echo "$*" >> calls; env | grep -E "^(PIP_TARGET|PIP_USER|PYTHONPATH)=" >> calls; exit 0',
    )
    done = install(tmp_path, PIP_TARGET="/none", PIP_USER="1", PYTHONPATH="/none")
    assert done.returncode == 0 and "making the virtual environment" not in done.stdout, done
    version, command = (tmp_path / "calls").read_text().splitlines()
    assert version == "-E -s -m pip --version" and command.startswith("-E -s -m pip install")


@pytest.mark.skipif(not IN_CI, reason="makes an environment; CI=true runs it")
@pytest.mark.parametrize("half", ["no pip", "no python", "dangling"])
def test_half_an_environment(half: str, tmp_path: Path) -> None:
    """An environment whose making was interrupted, or whose Python is gone by now, is made anew."""
    if half == "no pip":
        stand_in(tmp_path, "echo No module named pip >&2; exit 1")
    elif half == "no python":
        (tmp_path / ".venv").mkdir()
    else:
        stand_in(tmp_path).unlink()
        (tmp_path / ".venv" / "bin" / "python").symlink_to("/none/python3")
    done = install(tmp_path)
    assert done.returncode == 0 and "making the virtual environment" in done.stdout, done
    found = [str(tmp_path / ".venv" / "bin" / "python"), "-c", "import pip, graph_tool"]
    assert subprocess.run(found, check=False).returncode == 0
