"""Servers that outlive the command that started them: recorded, recognised again, ended safely.

Why: what one command starts serves the next one, so all that is known of it is what a file says,
and a pid in a file may by now be somebody else's process. Invariants: a process is taken for ours
only while its pid *and* the kernel's start time both match; it leads a process group of its own,
so ending the group ends all that it started and nothing else; and a port counts as served by it
only if its group owns the listening socket, as another program that answers on a port taken in
between must not be mistaken for it. Needs Linux's /proc.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from shared.errors import StateError

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
_LISTEN = "0A"
"""The state of a listening socket in /proc/net/tcp."""


@dataclass(frozen=True)
class Server:
    """The leader of a process group (its pid is the group's id), and the address it was given."""

    pid: int
    started: int
    """The kernel's start time, in clock ticks since the machine came up."""
    host: str


@dataclass(frozen=True)
class _Stat:
    """The few fields of /proc/<pid>/stat that matter here."""

    group: int
    started: int
    zombie: bool


def _stat(pid: int) -> _Stat | None:
    """What the kernel says of a pid; None when there is no such process."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may itself contain blanks and brackets.
    fields = raw.rpartition(b")")[2].split()
    return _Stat(group=int(fields[2]), started=int(fields[19]), zombie=fields[0] in (b"Z", b"X"))


def pids() -> list[int]:
    """All processes of this machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> bytes:
    """The arguments of a process, each with a zero byte after it; nothing for one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def members(group: int) -> list[int]:
    """The pids of a process group that are still running."""
    return [pid for pid in pids() if (found := _stat(pid)) and found.group == group and not found.zombie]


def spawn(command: list[str], host: str, log: Path) -> Server:
    """Start a command as the leader of its own session, with all its output in `log` (overwritten).

    Raises OSError when the program cannot be executed.
    """
    # Not subprocess: its handle complains when it goes while the process stays, which is what is wanted here.
    pid = os.posix_spawnp(
        command[0],
        command,
        # The language is fixed, as what the system says about a port in use is looked for in the log.
        {**os.environ, "LC_ALL": "C.UTF-8"},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigdef=[signal.SIGPIPE],  # Python ignores it, and a child would inherit that
    )
    found = _stat(pid)  # there even if it has ended already, unless the system reaps all children by itself
    return Server(pid, -1 if found is None else found.started, host)


def alive(server: Server) -> bool:
    """Whether this very process still runs; a later one with the same pid does not count."""
    return _stat(server.pid) == _Stat(group=server.pid, started=server.started, zombie=False)


def serves(server: Server, seconds: float) -> bool:
    """Whether the server's group listens on its port and a gRPC channel to it gets ready in time."""
    return _listens(server.pid, int(server.host.rpartition(":")[2])) and _answers(server.host, seconds)


def _listens(group: int, port: int) -> bool:
    sockets: set[str] = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # no IPv6 here
            for line in Path("/proc/net", table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    sockets.add(f"socket:[{fields[9]}]")
    return bool(sockets) and any(sockets & _open_files(pid) for pid in members(group))


def _open_files(pid: int) -> set[str]:
    names: set[str] = set()
    with contextlib.suppress(OSError):  # ended, or somebody else's
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                names.add(os.readlink(entry))
    return names


def _answers(host: str, seconds: float) -> bool:
    # A call that no server knows: its refusal comes at once, while gRPC looks only five times a
    # second whether a channel is ready. A proxy must not be asked for the way to the loopback.
    with grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary("/ingest.Emulator/Answers")(b"", timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNIMPLEMENTED)
        return True


def end(servers: Iterable[Server], grace: float = 5.0) -> None:
    """End the groups of those that still run: asked first, all at once; killed after `grace` seconds."""
    # A zombie of ours counts here: it is reaped.
    found = [(server, _stat(server.pid)) for server in servers]
    ours = [s.pid for s, stat in found if stat and (stat.group, stat.started) == (s.pid, s.started)]
    for sent in (signal.SIGTERM, signal.SIGKILL):
        ours = [group for group in ours if not _gone(group)]
        for group in ours:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, sent)
        deadline = time.monotonic() + grace
        while not all([_gone(group) for group in ours]) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)


def _gone(group: int) -> bool:
    """Whether nothing of a group runs any more; its leader is reaped if it is a child of this process."""
    if members(group):
        return False
    try:
        return os.waitpid(group, os.WNOHANG)[0] == group
    except ChildProcessError:  # reaped before, or somebody else's to reap
        return True


def free_ports(count: int) -> list[int]:
    """Different loopback ports that nobody uses; nothing keeps them free once this returns."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [int(one.getsockname()[1]) for one in sockets]


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let only one command at a time change a folder; the kernel frees the lock of one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def recorded(path: Path) -> dict[str, Server]:
    """The servers that a file records, running or not; none without the file.

    Raises StateError when the file is not such a record.
    """
    try:
        entries = json.loads(path.read_text()).items()
        return {key: Server(int(e["pid"]), int(e["started"]), str(e["host"])) for key, e in entries}
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path}: not a record of running servers ({error!r})"
        raise StateError(f"{what}: end them by hand, then delete it") from error


def record(path: Path, servers: Mapping[str, Server]) -> None:
    """Write the record at once and whole: a reader sees the old one or the new one."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps({key: asdict(server) for key, server in servers.items()}, indent=2) + "\n")
    draft.replace(path)
