"""The program that builds the image and runs commands in it: an engine, or one that IMAGE_TOOL names.

Invariants: either way a command sees the image, the machine's network and the one folder that is given
to it; variables go through `env`, so no program's own way to pass them matters.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENGINES = ("docker", "podman")
ANSWER_SECONDS = 60.0
"""After which an engine is taken for one that does not run."""


@dataclass(frozen=True)
class ImageTool:
    """An engine, or a program that knows `build -t NAME [-f FILE] DIR` and `run [-v HOST:DIR] NAME -- COMMAND`."""

    program: str

    @property
    def engine(self) -> bool:
        """Whether the program takes the options that docker takes."""
        return Path(self.program).name in ENGINES

    def build(self, name: str, folder: Path, file: Path) -> subprocess.CompletedProcess[str]:
        """Builds an image of a folder."""
        command = [self.program, "build", "-t", name, "-f", str(file), str(folder)]
        return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def command(
        self, name: str, command: list[str], mount: tuple[Path, str] | None, variables: dict[str, str]
    ) -> list[str]:
        """The command line that runs a command in an image, in the place of its entry point."""
        within = ["env", *(f"{key}={value}" for key, value in variables.items()), *command]
        volume = ["-v", f"{mount[0]}:{mount[1]}"] if mount else []
        if self.engine:
            first, *rest = within
            return [
                self.program,
                "run",
                "--rm",
                "-i",
                "--network",
                "host",
                *volume,
                "--entrypoint",
                first,
                name,
                *rest,
            ]
        return [self.program, "run", *volume, name, "--", *within]

    def run(self, name: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        return subprocess.run(
            self.command(name, list(command), None, {}), capture_output=True, text=True, timeout=900
        )

    def start(self, name: str, *command: str, mount: tuple[Path, str], **variables: str) -> subprocess.Popen[str]:
        """Starts a command, in a process group of its own, with pipes to its standard input and error."""
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        line = self.command(name, list(command), mount, variables)
        return subprocess.Popen(line, text=True, start_new_session=True, **pipes)


def find_tool() -> ImageTool | None:
    """The program that IMAGE_TOOL names, if it is there, or else an engine that runs."""
    if named := os.environ.get("IMAGE_TOOL"):
        return ImageTool(named) if shutil.which(named) else None
    for engine in filter(None, map(shutil.which, ENGINES)):
        with contextlib.suppress(subprocess.TimeoutExpired, OSError):
            if subprocess.run([engine, "info"], capture_output=True, timeout=ANSWER_SECONDS).returncode == 0:
                return ImageTool(engine)
    return None
