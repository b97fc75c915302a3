"""Chaos: worker processes killed at random, the emulators' connections cut, until a run is done all the same."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from random import Random

from jobs.example import ExampleParams, make_example
from shared.plan.grid import Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from tests.faults.emulated import EmulatedRun, kill
from tests.faults.proxy import Proxy
from tests.volumes import Volume

WORKERS = 3
KILL_SECONDS = (0.3, 1.2)
"""The time between two kills."""

CUT_SECONDS = (0.5, 2.0)
"""The time between two faults of a connection."""

OUTAGE_SECONDS = (0.3, 1.5)
"""How long connections are refused or held up."""


@dataclass
class Tally:
    """What a run of chaos has seen."""

    runs: int = 0
    chunks: int = 0
    kills: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """The longest time from a kill to the next chunk that was done."""
        return max(self.recoveries, default=0.0)

    def __str__(self) -> str:
        cuts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.cuts.items()))
        return (
            f"{self.runs} runs of {self.chunks} chunks done in {self.seconds:.0f} s: {self.kills} kills survived, "
            f"{self.cuts.total()} connection faults ({cuts}); longest recovery {self.longest:.1f} s"
        )


def example_volume(folder: Path, params: ExampleParams) -> Volume:
    """An example dataset's files as a volume."""
    make_example(folder, params)
    grid = Grid(params.grid)
    volume = Volume(Plan(grid, IdLayout(grid.layer_count)))
    volume.edges = {path.name: path.read_bytes() for path in (folder / "edges").iterdir()}
    volume.components = {path.name: path.read_bytes() for path in (folder / "components").iterdir()}
    return volume


def chaos(run: EmulatedRun, hosts: Mapping[str, str], rng: Random, seconds: float, tally: Tally) -> bool:
    """Has `run` done by workers that die, over connections that break; whether it was, within `seconds`."""
    begin, never, kills = time.monotonic(), threading.Event(), list[float]()
    with ExitStack() as stack:
        proxies = {name: Proxy(host) for name, host in hosts.items()}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        stack.callback(run.stop)
        through = {name: proxy.host for name, proxy in proxies.items()}
        faults = disturbances(proxies, rng)
        next_kill, next_cut = rng.uniform(2.0, 4.0), rng.uniform(*CUT_SECONDS)
        while not (finished := run.finished) and time.monotonic() - begin < seconds:
            run.reap()
            while len(run.workers) < WORKERS:
                run.work(through)
            now = time.monotonic() - begin
            if now > next_kill:
                kill(rng.choice(run.workers))
                kills.append(time.time())
                next_kill = now + rng.uniform(*KILL_SECONDS)
            if now > next_cut:
                kind, disturb = next(faults)
                disturb()
                tally.cuts[kind] += 1
                next_cut = now + rng.uniform(*CUT_SECONDS)
            never.wait(0.1)
    tally.runs += 1
    tally.seconds += time.monotonic() - begin
    tally.kills += len(kills)
    done = done_times(run.folder)
    tally.chunks += len(done)
    tally.recoveries += [later[0] - at for at in kills if (later := [time for time in done if time > at])]
    return finished


def disturbances(proxies: Mapping[str, Proxy], rng: Random) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every fault of every emulator's connections in turn, in random order, again and again."""
    while True:
        faults: list[tuple[str, Callable[[], None]]] = []
        for proxy in proxies.values():
            faults.append(("cut", proxy.cut))
            faults.append(("refused", partial(proxy.refuse, rng.uniform(*OUTAGE_SECONDS))))
            faults.append(("stalled", partial(proxy.stall, rng.uniform(*OUTAGE_SECONDS))))
        yield from rng.sample(faults, len(faults))


def done_times(folder: Path) -> list[float]:
    """When chunks were done, by the logs of all workers, in order."""
    times = []
    for path in folder.glob("worker-*.log"):
        for line in path.read_text(errors="replace").splitlines():
            if '"chunk.done"' in line and line.startswith("{") and line.endswith("}"):
                times.append(datetime.fromisoformat(json.loads(line)["time"]).timestamp())
    return sorted(times)
