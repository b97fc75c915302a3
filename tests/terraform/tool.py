"""The terraform command, and its answers as values."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "terraform"


@dataclass(frozen=True)
class Resource:
    """One instance of a resource or data source, as it is in a state."""

    address: str
    type: str
    name: str
    values: dict[str, Any]


@dataclass
class Outcome:
    """What `terraform test` said: the status of each run by file and name, all problems, states by run."""

    runs: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    states: dict[str, list[Resource]] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Takes in what came of other files."""
        self.runs |= other.runs
        self.problems += other.problems
        self.states |= other.states


@dataclass(frozen=True)
class Command:
    """A command, and the environment that it is run in."""

    words: tuple[str, ...]
    environ: Mapping[str, str]

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Command:
        """That of the variable TERRAFORM, which is kept from the command: a wrapper may take it for its own."""
        others = {name: value for name, value in environ.items() if name != "TERRAFORM" and value}
        quiet = {"CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}
        return cls(tuple(shlex.split(environ.get("TERRAFORM") or "terraform")), others | quiet)

    def there(self) -> bool:
        """Whether it can be run at all."""
        return shutil.which(self.words[0]) is not None

    def run(self, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Runs it in a folder and waits."""
        words = [*self.words, *arguments]
        return subprocess.run(
            words, cwd=folder, env=dict(self.environ), capture_output=True, text=True, timeout=900
        )


def read_messages(output: str, errors: str) -> Outcome:
    """Reads the lines of `terraform test -json -verbose`."""
    outcome = Outcome()
    for line in output.splitlines():
        message = json.loads(line)
        run = message.get("@testrun", "")
        if message["type"] == "test_run" and message["test_run"]["progress"] == "complete":
            outcome.runs[f"{message['@testfile']}: {run}"] = message["test_run"]["status"]
        elif message["type"] == "test_state":
            outcome.states[run] = _resources(message["test_state"])
        elif message["type"] == "diagnostic" and message["diagnostic"]["severity"] == "error":
            found = message["diagnostic"]
            outcome.problems.append(f"{message.get('@testfile')}: {run}: {found['summary']}: {found['detail']}")
    if not outcome.runs:
        outcome.problems.append(f"no run ended: {output[-2000:]}{errors[-2000:]}")
    return outcome


def _resources(state: dict[str, Any]) -> list[Resource]:
    found = state["root_module"]["resources"]
    return [Resource(one["address"], one["type"], one["name"], one["values"]) for one in found]


def environment(job: Resource) -> dict[str, str]:
    """The variables that the tasks of a Cloud Run Job get."""
    container = job.values["template"][0]["template"][0]["containers"][0]
    return {variable["name"]: variable["value"] for variable in container["env"]}
