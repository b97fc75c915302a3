"""checkov finds nothing in terraform/ or the Dockerfile that is not excused where it is, with a reason.

It has a virtual environment of its own below build/, made on first use from checkov-requirements.txt, as it
needs other versions than the rest. It looks at files only, and asks no service for anything.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.environments import installed
from tests.terraform.tool import FOLDER, REPOSITORY

REQUIREMENTS = Path(__file__).with_name("checkov-requirements.txt")


@pytest.fixture(scope="session")
def checkov() -> Path:
    """The program, of the versions in the requirements."""
    return installed("checkov", REQUIREMENTS, "--no-deps") / "checkov"


def scan(checkov: Path, framework: str, *what: str | Path) -> dict[str, Any]:
    """What checkov says of some files; it downloads nothing, and everything that failed is a failure here."""
    options = ["--framework", framework, "--skip-download", "--download-external-modules", "false"]
    command: list[str | Path] = [checkov, *options, "--output", "json", "--compact", *what]
    done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER, timeout=900)
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        pytest.fail(f"checkov did not do its work: {done.stdout[-1000:]}{done.stderr[-1000:]}", pytrace=False)
    failed = [
        f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in found["results"]["failed_checks"]
    ]
    assert failed == []
    assert found["results"]["parsing_errors"] == []
    summary: dict[str, Any] = found["summary"]
    return summary


def test_nothing_is_found_in_terraform(checkov: Path) -> None:
    """Every check passes or is excused, and every file was understood."""
    summary = scan(checkov, "terraform", "--directory", FOLDER)
    assert summary["passed"] > 30 and summary["resource_count"] > 30


def test_nothing_is_found_in_the_dockerfile(checkov: Path) -> None:
    """The same for how the image is made."""
    assert scan(checkov, "dockerfile", "--file", REPOSITORY / "Dockerfile")["passed"] > 30


def test_excuses_have_reasons() -> None:
    """An excuse says why, in place."""
    text = "".join(file.read_text() for file in [*FOLDER.glob("*.tf"), REPOSITORY / "Dockerfile"])
    excuses = re.findall(r"#\s*checkov:skip=(\S+?)(?::(.*))?$", text, re.MULTILINE)
    assert excuses and len(excuses) == text.count("checkov:skip")
    assert [check for check, reason in excuses if len(reason.split()) < 5] == []
