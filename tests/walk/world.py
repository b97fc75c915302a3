"""The cloud of the walk: what the stand-ins of gcloud and terraform made, in files of one folder.

Why files: each call is a process of its own. The order of all calls is that of their lines in `calls`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn


@dataclass(frozen=True)
class World:
    """A folder with a file for each thing that is kept."""

    folder: Path

    def read(self, name: str, default: Any = None) -> Any:
        """A thing, as JSON."""
        path = self.folder / f"{name}.json"
        return json.loads(path.read_text()) if path.exists() else default

    def write(self, name: str, value: Any) -> None:
        """Keeps a thing."""
        (self.folder / f"{name}.json").write_text(json.dumps(value, indent=1))

    @property
    def state(self) -> dict[str, dict[str, Any]]:
        """What terraform has made: resources by address."""
        return dict(self.read("state", {}))

    def note(self, program: str, words: list[str]) -> None:
        """Notes a call."""
        with (self.folder / "calls").open("a") as calls:
            calls.write(json.dumps([program, *words]) + "\n")

    def calls(self) -> list[list[str]]:
        """All calls since the last time that this was asked."""
        path = self.folder / "calls"
        found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return found


def refuse(told: str) -> NoReturn:
    """Ends the program as those do that were called wrongly."""
    sys.stderr.write(f"stand-in: {told}\n")
    sys.exit(1)
