"""A place to start programs from: a folder that anybody may enter, a small dataset, and processes at once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from jobs.example import ExampleParams, make_example
from jobs.local.given import METHODS
from jobs.paths import REPOSITORY
from tests.e2e.conftest import DATASET

SECONDS = 120.0
"""What no command here takes; one that does is killed, and its row fails."""
PARAMS = ExampleParams(grid=(2, 2, 1), chunk_size=(24, 24, 20))
KEPT = ("PATH", "HOME", "LANG")


@dataclass(frozen=True)
class Done:
    """How a program ended."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def text(self) -> str:
        """All that was printed."""
        return self.out + self.err


@dataclass
class Zygote:
    """Starts programs; see tests/surroundings/zygote.py."""

    process: subprocess.Popen[str]
    count: int = 0

    def __call__(
        self,
        place: Path,
        *arguments: object,
        program: str = "jobs.cli",
        environ: dict[str, str] | None = None,
        streams: dict[str, str] | None = None,
        folder: Path = REPOSITORY,
        limits: dict[str, int] | None = None,
        nobody: bool = False,
        seconds: float = SECONDS,
        answer_seconds: float = 0.5,
        ignored: tuple[str, ...] = (),
        local: Path | None = None,
    ) -> Done:
        """Runs a program to its end."""
        self.count += 1
        out, err = (place / f"{name}-{self.count}" for name in ("out", "err"))
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        request: dict[str, Any] = {
            "program": program,
            "arguments": [*map(str, arguments)],
            "environ": kept | (environ or {}),
            "folder": str(folder),
            "limits": limits or {},
            "nobody": nobody,
            "seconds": seconds,
            "answer_seconds": answer_seconds,
            "ignored": ignored,
            "local": str(local or place / "local"),
            "stdin": os.devnull,
            "stdout": str(out),
            "stderr": str(err),
            **(streams or {}),
        }
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        said, complained = (path.read_text(errors="replace") if path.exists() else "" for path in (out, err))
        return Done(answer["code"], said, complained, answer["seconds"])


@pytest.fixture(scope="session")
def start() -> Iterator[Zygote]:
    """Starts programs of this project, each in a process of its own."""
    command = [sys.executable, "-E", "-s", "-m", "tests.surroundings.zygote"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and json.loads(process.stdout.readline()) == "ready"
        yield Zygote(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that any user may enter, which pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="surroundings-"))
    folder.chmod(0o777)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def dataset() -> Iterator[Path]:
    """A small dataset's file, beside its inputs, which any user may read."""
    with tempfile.TemporaryDirectory(prefix="surroundings-") as made:
        folder = Path(made)
        make_example(folder / "small", PARAMS)
        file = folder / "small" / "small.yml"
        file.write_text(DATASET.format(folder / "small"))
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield file


@dataclass
class StandIn:
    """A server on the loopback that answers what emulators are asked first, and knows nothing else."""

    host: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """Services that are there and refuse everything."""
    found = StandIn("")

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            found.asked.append(details.method)
            if details.method in METHODS.values():
                return grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
            return None

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    found.host = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield found
    server.stop(None).wait()


Start = Callable[..., Done]
