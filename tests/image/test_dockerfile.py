"""The Dockerfile by itself: what the linter says of it, and what Cloud Run relies on."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.image.dockerfile import DOCKERFILE, last, stages

HADOLINT = Path(sys.executable).parent / "hadolint"
EXCUSE = re.compile(r"# hadolint ignore=(.+)")


def findings(*options: str) -> list[dict[str, Any]]:
    """What hadolint finds."""
    command = [str(HADOLINT), "--no-fail", "--format", "json", *options, str(DOCKERFILE)]
    found: list[dict[str, Any]] = json.loads(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout
    )
    return found


def test_hadolint() -> None:
    """hadolint finds nothing that is not excused in place."""
    assert findings() == []


def test_excuses() -> None:
    """Each excuse has its reason in the line above, and without the excuses just these things are found."""
    lines = DOCKERFILE.read_text().splitlines()
    excused = Counter[str]()
    for above, line in itertools.pairwise(lines):
        if match := EXCUSE.fullmatch(line):
            assert above.startswith("# ") and not EXCUSE.fullmatch(above), f"no reason above: {line}"
            excused.update(match[1].split(","))
    assert Counter(found["code"] for found in findings("--disable-ignore-pragma")) == excused


def test_entry_point_in_exec_form() -> None:
    """No shell stands between Cloud Run's SIGTERM and the program, and a Job's arguments are the program's."""
    assert json.loads(last("ENTRYPOINT")) == ["python", "-m", "jobs.task"]
    assert "CMD" not in {instruction.keyword for instruction in stages()[-1]}


def test_user_is_a_number() -> None:
    """The user is given as numbers, none of them root's."""
    user, group = last("USER").split(":")
    assert int(user) > 0 and int(group) > 0


def test_dependencies_have_layers_of_their_own() -> None:
    """Packages are installed where the sources are not, so that a change of code leaves those layers alone."""
    installs = [stage for stage in stages() if any("pip install" in at.rest for at in stage)]
    (stage,) = installs
    assert [at.rest.split()[:-1] for at in stage if at.keyword == "COPY"] == [
        ["requirements.txt", "constraints.txt"]
    ]
    final = [at.rest for at in stages()[-1] if at.keyword == "COPY"]
    assert final[0].startswith("--from=environment ") and final[1:] == ["shared shared", "jobs jobs"]
