"""How much memory a worker process may take, and how much it took: Linux's own limits and counters.

Why a limit: without one, a chunk that is too large has the kernel kill whichever process is largest,
often a sibling that did nothing wrong. With it the attempt ends with a MemoryError, which is
recorded like any other failure, and the worker goes on. What it covers is what the process itself
allocates (RLIMIT_DATA): files that are only mapped do not count.
"""

from __future__ import annotations

import mmap
import resource
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from shared.environment import USABLE

LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Where a container's limit is, by the version of cgroups."""

ROOM = 256 << 20
"""Bytes that any program here takes for threads and connections, before a chunk."""

MEMINFO = Path("/proc/meminfo")
SELF = Path("/proc/self")

RESERVED = 256 << 20
"""Bytes that a process reserves and does not use (stacks of threads); the limit counts them too."""


def available(limits: Iterable[Path] = LIMITS, meminfo: Path = MEMINFO) -> int:
    """The bytes that this container, or else this machine, has."""
    found = [_field(meminfo, "MemTotal")]
    for path in limits:
        text = path.read_text().strip() if path.exists() else "max"
        if text.isdigit():
            found.append(int(text))
    return min(found)


def share(processes: int) -> int:
    """MiB for each of so many workers."""
    return int(available() * USABLE / processes) >> 20


def cap(mib: int) -> None:
    """Limits this process: what it allocates beyond fails with a MemoryError."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = (mib << 20) + RESERVED
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard < 0 else min(wanted, hard), hard))


def need_room() -> None:
    """MemoryError where a limit of this process leaves no room to begin with: a thread that cannot even start
    would be waited for without end."""
    if any(
        resource.getrlimit(limit)[0] != resource.RLIM_INFINITY
        for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA)
    ):
        try:
            mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
        except OSError as error:
            raise MemoryError from error


class ProcessMeter:
    """The most memory that this process held since `start`, and its CPU; answers `shared.work.attempt.Meter`."""

    def __init__(
        self,
        process: Path = SELF,
        alone: Callable[[], bool] = lambda: True,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._process = process
        self._alone = alone
        self._clock = cpu
        self._cpu = 0.0

    def start(self) -> None:
        """Has the kernel begin anew; where it refuses, the peak is that of the whole life, and where other chunks
        are at work, that since one was alone."""
        self._cpu = self._clock()
        if not self._alone():
            return
        try:
            (self._process / "clear_refs").write_text("5")
        except OSError:
            return

    def cpu_seconds(self) -> float:
        """Of this process, or of what else `cpu` measures."""
        return self._clock() - self._cpu

    def peak_mb(self) -> float | None:
        """In MiB; None where /proc has no such number."""
        try:
            return _field(self._process / "status", "VmHWM") / (1 << 20)
        except (OSError, KeyError):
            return None


def _field(path: Path, name: str) -> int:
    """A line like `VmHWM: 1234 kB`, in bytes; KeyError without it."""
    for line in path.read_text().splitlines():
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) << 10
    raise KeyError(name)
