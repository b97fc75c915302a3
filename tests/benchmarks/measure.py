"""Stopwatches, memory and tables. Machines are noisy: ratios are taken inside one run, and CPU time beside time."""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

MB = 1e6
console = Console(width=130, highlight=False)


@dataclass
class Spent:
    """Seconds on the clock and of this process' CPU; `+=` of another adds it."""

    seconds: float = 0.0
    cpu: float = 0.0

    @contextmanager
    def more(self) -> Iterator[None]:
        """Adds what the block takes."""
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            yield
        finally:
            self.seconds += time.perf_counter() - wall
            self.cpu += time.process_time() - cpu

    def __iadd__(self, other: Spent) -> Spent:
        self.seconds += other.seconds
        self.cpu += other.cpu
        return self


def resident_mb() -> float:
    """Memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MB


def grown_mb(work: Callable[[], object]) -> float:
    """MB that `work` takes at its highest beyond what was there before, in a child process of its own.

    In a child, so that memory that other measurements freed is not used again unseen.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def child() -> None:
        gc.collect()
        gc.freeze()
        ctypes.CDLL(None).malloc_trim(0)  # what was freed before must not hide what is taken now
        Path("/proc/self/clear_refs").write_text("5")  # nor must what this process held before
        before = resident_mb()
        kept = work()
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024 / MB if "VmHWM:" in status else 0.0
        peak = peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
        sender.send(max(0.0, peak - before))
        del kept

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    found: float = receiver.recv()
    process.join()
    return found


class Sampler:
    """Memory and CPU of other processes while a block runs: a line of (seconds, MB of each pid)."""

    def __init__(self, pids: Sequence[int], every: float = 0.5) -> None:
        self.pids, self.every = pids, every
        self.samples: list[tuple[float, list[float]]] = []
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        start = time.monotonic()
        while not self._end.wait(self.every):
            self.samples.append((time.monotonic() - start, [rss_mb(pid) for pid in self.pids]))


def rss_mb(pid: int) -> float:
    """Resident memory of a process; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / MB
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0.0


def cpu_of(pid: int) -> float:
    """CPU seconds of another process so far; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def show(title: str, rows: Sequence[dict[str, Any]], note: str = "") -> None:
    """Prints rows as a table; the columns are the keys of the first."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0]:
        table.add_column(name, justify="left" if isinstance(rows[0][name], str) else "right")
    for row in rows:
        table.add_row(*(text(value) for value in row.values()))
    console.print()
    console.print(table)
    if note:
        console.print(note, style="dim")


def text(value: object) -> str:
    """A number as people read it."""
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
