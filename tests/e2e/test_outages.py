"""Services that end or do not answer under real commands: what is said, how a command ends, and that signals are
answered in every such state.

Bounds are those that people are promised, with much on top for a busy machine; outages last ten times as long.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from jobs.local import emulators as manager
from jobs.local import processes
from jobs.paths import REPOSITORY
from shared.exit_codes import Exit
from tests.e2e.test_ingest import in_memory, opened, rows
from tests.faults.emulated import wait_until
from tests.faults.proxy import Proxy
from tests.lacking import IN_CI, lacks

SECONDS = 120.0
NOTICED = 10.0
ANSWERED = 2.0
GRACE = 10.0
BUSY = 60.0
"""What a busy machine may add to those; still far less than any outage here lasts."""

LONG = 600.0
"""An outage that nobody waits for."""

INGEST = ("-m", "jobs.cli", "ingest", "--workers", 1)
COMMANDS = (("status",), ("failed", "--json"), ("resume",), ("reset", "--yes"), ("pause",))

ELSEWHERE = """
import sys
from pathlib import Path
import jobs.paths
jobs.paths.LOCAL = Path(sys.argv.pop(1))
from jobs.cli import main
main()
"""
"""The command line with a folder of its own for what is local, so that no emulators but a test's are touched."""


@dataclass
class Command:
    """A command that runs, and what it has said so far."""

    process: subprocess.Popen[bytes]
    output: Path

    @property
    def said(self) -> str:
        """All that it has printed."""
        return self.output.read_text(errors="replace")

    def says(self, text: str, seconds: float = SECONDS) -> bool:
        """Waits until it has said something."""
        return (
            wait_until(lambda: text in self.said or self.process.poll() is not None, seconds) and text in self.said
        )

    def ends(self, seconds: float) -> int:
        """Its exit code; the test fails if it does not end in time."""
        begun = time.monotonic()
        try:
            return self.process.wait(seconds + BUSY)
        except subprocess.TimeoutExpired:
            pytest.fail(f"still there after {time.monotonic() - begun:.1f} s:\n{self.said}")

    def workers(self) -> list[int]:
        """The worker processes that it started and that have not ended."""
        mark = f"--parent\0{self.process.pid}\0".encode()
        return [pid for pid in processes.pids() if mark in processes.command_line(pid)]


Start = Callable[..., Command]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts commands; those that a test leaves are killed, and their workers end by themselves."""
    with ExitStack() as stack:

        def begin(environ: dict[str, str], *command: object) -> Command:
            output = tmp_path / f"output-{uuid.uuid4().hex}"
            with open(output, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, *map(str, command)],
                    cwd=REPOSITORY,
                    env=environ,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=file,
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            return Command(process, output)

        yield begin


@pytest.fixture(scope="module")
def local(emulators: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which commands start emulators of their own."""
    folder = tmp_path_factory.mktemp("local")
    yield folder
    manager.stop(folder)


@pytest.fixture
def proxies(emulators: dict[str, str]) -> Iterator[dict[str, Proxy]]:
    """A proxy in front of each emulator of the session."""
    with ExitStack() as stack:
        found = {name: Proxy(host) for name, host in emulators.items()}
        for proxy in found.values():
            stack.callback(proxy.close)
        yield found


def graph() -> str:
    return f"g{uuid.uuid4().hex[:12]}"


def own(variables: dict[str, str], emulators: dict[str, str]) -> dict[str, str]:
    """The environment without the hosts of the session's emulators."""
    return {name: value for name, value in variables.items() if name not in emulators}


@pytest.mark.parametrize("service", manager.SERVICES, ids=lambda service: service.name)
def test_own_emulator_ends(
    start: Start,
    local: Path,
    variables: dict[str, str],
    emulators: dict[str, str],
    few: Path,
    service: manager.Service,
) -> None:
    """An emulator that make started is killed in the middle of a run: within seconds the command says which, and
    that it was ours, with its log, what is lost and what to type, and ends; what it says to type works."""
    name, environ = graph(), own(variables, emulators)
    dataset = few / "dataset.yml"
    command = start(environ, "-c", ELSEWHERE, local, "ingest", dataset, "--graph", name, "--workers", 1)
    assert command.says("queued 54 chunks"), command.said
    assert wait_until(lambda: bool(command.workers()), SECONDS)
    server = manager.recorded(local)[service.variable]
    os.killpg(server.pid, signal.SIGKILL)
    assert command.ends(NOTICED) == Exit.TRY_AGAIN, command.said
    told = f"the {service.name} emulator at {server.host} has ended. It was one that make had started"
    assert told in command.said and f"{service.name}.log ends with" in command.said
    assert "Emulators keep nothing on disk" in command.said and "Traceback" not in command.said
    assert wait_until(lambda: not command.workers(), GRACE + BUSY), command.workers()
    typed = command.said.strip().rpartition(": ")[2]
    if service.name == "bigtable":
        assert typed == f"make ingest DATASET={dataset} GRAPH={name}"
        arguments: list[object] = ["ingest", dataset]
    else:
        assert typed == f"make resume GRAPH={name}"
        arguments = ["resume"]
    again = start(environ, "-c", ELSEWHERE, local, *arguments, "--graph", name, "--workers", 2)
    assert again.ends(SECONDS) == Exit.OK, again.said
    assert "agrees with" in again.said


def test_outage_of_what_is_not_ours(
    start: Start, variables: dict[str, str], proxies: dict[str, Proxy], few: Path
) -> None:
    """While Firestore, given by its host, does not answer, that is said within seconds, with the host; when it is
    back the run goes on to its end, and the command that watches with it."""
    name, hosts = graph(), {name: proxy.host for name, proxy in proxies.items()}
    firestore = proxies["FIRESTORE_EMULATOR_HOST"]
    command = start(variables | hosts, *INGEST, few / "dataset.yml", "--graph", name)
    assert command.says("queued 54 chunks"), command.said
    assert wait_until(lambda: bool(command.workers()), SECONDS)
    firestore.refuse(LONG)
    assert command.says(f"Firestore at {firestore.host} does not answer", NOTICED + BUSY), command.said
    firestore.restore()
    assert command.ends(SECONDS) == Exit.OK, command.said
    assert "answers again" in command.said
    run = opened(variables, name)
    assert rows(run.table) == rows(in_memory(run))


STATES: list[tuple[str, Callable[[Proxy, float], None], signal.Signals]] = [
    ("FIRESTORE_EMULATOR_HOST", Proxy.refuse, signal.SIGTERM),
    ("FIRESTORE_EMULATOR_HOST", Proxy.stall, signal.SIGINT),
    ("BIGTABLE_EMULATOR_HOST", Proxy.stall, signal.SIGTERM),
    ("PUBSUB_EMULATOR_HOST", Proxy.stall, signal.SIGINT),
]


def has_workers(command: Command, some: bool = True) -> bool:
    """Whether a command has worker processes, or has none."""
    return bool(command.workers()) == some


def more_connections(proxy: Proxy, before: int) -> bool:
    """Whether more have connected than before."""
    return proxy.connections > before


def test_signals_are_answered_while_a_run_is_watched(
    start: Start, variables: dict[str, str], emulators: dict[str, str], example: Path
) -> None:
    """Whatever service is gone: the command ends within two seconds, and its workers within their grace."""
    with ExitStack() as stack:

        def disturbed(state: tuple[str, Callable[[Proxy, float], None], signal.Signals]) -> Command:
            """A command whose service is gone as soon as it has a worker; no other one is waited for, as the run
            would be done by then."""
            variable, fault, _ = state
            proxy = Proxy(emulators[variable])
            stack.callback(proxy.close)
            name = graph()
            environ = variables | {variable: proxy.host, "INGEST_PREFIX": name}
            command = start(environ, *INGEST, example / "dataset.yml", "--graph", name)
            assert command.says("queued 135 chunks"), command.said
            assert wait_until(partial(has_workers, command), SECONDS)
            fault(proxy, LONG)
            return command

        with ThreadPoolExecutor(len(STATES)) as pool:
            commands = list(pool.map(disturbed, STATES))
        for command, (variable, _, number) in zip(commands, STATES, strict=True):
            if variable == "FIRESTORE_EMULATOR_HOST":
                assert command.says("does not answer"), command.said
            command.process.send_signal(number)
            assert command.ends(ANSWERED) == Exit.INTERRUPTED, command.said
            assert "interrupted" in command.said
        for command in commands:
            assert wait_until(partial(has_workers, command, False), GRACE + BUSY), command.workers()


def test_signals_are_answered_by_other_commands(
    start: Start,
    cli: Callable[..., subprocess.CompletedProcess[str]],
    variables: dict[str, str],
    proxies: dict[str, Proxy],
    few: Path,
) -> None:
    """Commands that are asking a Firestore which does not answer end within two seconds."""
    name = graph()
    assert cli("ingest", few / "dataset.yml", "--graph", name, "--test").returncode == Exit.OK
    firestore = proxies["FIRESTORE_EMULATOR_HOST"]
    firestore.stall(LONG)
    environ = variables | {"FIRESTORE_EMULATOR_HOST": firestore.host}
    numbers = itertools.cycle([signal.SIGTERM, signal.SIGINT])
    for arguments, number in zip(COMMANDS, numbers, strict=False):
        before = firestore.connections
        command = start(environ, "-m", "jobs.cli", *arguments, "--graph", name)
        assert wait_until(partial(more_connections, firestore, before), SECONDS), command.said
        command.process.send_signal(number)
        assert command.ends(ANSWERED) == Exit.INTERRUPTED, (arguments, command.said)


def test_no_worker(start: Start, variables: dict[str, str], few: Path) -> None:
    """A run that nobody builds says so at once."""
    command = start(variables, "-m", "jobs.cli", "ingest", few / "dataset.yml", "--graph", graph(), "--workers", 0)
    assert command.says("no worker runs here (WORKERS=0)") and "make resume" in command.said, command.said
    command.process.send_signal(signal.SIGTERM)
    assert command.ends(ANSWERED) == Exit.INTERRUPTED


FULL_DISK = """
import os, sys
disk, more, *command = sys.argv[1:]
script = 'mount -t tmpfs -o size=40k tmpfs "$0" || exit 99; more=$1; shift; "$@" & child=$!; read go < "$more"; \
    mount -o remount,size=64m tmpfs "$0"; wait $child'
os.execvp("unshare", ["unshare", "-m", "sh", "-c", script, disk, more, sys.executable, *command])
"""
"""Runs a command with a small disk of its own, in a namespace of mounts, until a pipe says to make it larger."""


@pytest.mark.skipif(not IN_CI, reason="waits until a worker tries again; CI=true runs it")
def test_scratch_disk_is_full(start: Start, variables: dict[str, str], few: Path, tmp_path: Path) -> None:
    """A disk on which no more hand-offs fit is said to be full while the run waits; once there is room it goes on
    by itself, and nothing is held against any chunk."""
    mounts = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    if mounts.returncode:
        lacks("mounts", f"a full disk takes one of its own: {mounts.stderr}")
    disk, more = tmp_path / "disk", tmp_path / "more"
    disk.mkdir()
    os.mkfifo(more)
    environ = variables | {"INGEST_SCRATCH": f"file://{disk}"}
    command = start(environ, "-c", FULL_DISK, disk, more, *INGEST, few / "dataset.yml", "--graph", graph())
    assert command.says("No space left on device"), command.said
    more.write_text("go")
    assert command.ends(SECONDS) == Exit.OK, command.said
    assert "agrees with" in command.said and "dead letters" not in command.said


def test_workers_without_memory(start: Start, variables: dict[str, str], few: Path) -> None:
    """Workers that cannot live say why, and the command ends by itself."""
    environ = variables | {"INGEST_MEMORY_MIB": "1"}
    command = start(environ, "-m", "jobs.cli", "ingest", few / "dataset.yml", "--graph", graph(), "--workers", 1)
    assert command.says("waiting: ") and command.says("processes have ended"), command.said
    assert command.ends(SECONDS) == Exit.STOPPED
    assert "the workers keep ending" in command.said
