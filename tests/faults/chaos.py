"""Chaos: worker processes killed at random, the emulators' connections cut, until a run is done all the same.

Invariants: chaos ends. After `FUTILE` kills in a row without a chunk done, all faults wait for the next
chunk, as a slow machine must not keep every worker from ever coming to its work. A chunk that had the bad
luck to be at hand in too many kills goes to the dead letters, and is replayed, as an operator would.
"""

from __future__ import annotations

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
from shared.errors import WorkerKilled
from shared.operate.replay import chosen, current_failures, replay
from shared.plan.grid import Grid
from shared.plan.ids import IdLayout
from shared.plan.plan import Plan
from shared.run.events import Event
from shared.timestamps import now
from tests.faults.emulated import EmulatedRun, kill
from tests.faults.proxy import Proxy
from tests.volumes import Volume

WORKERS = 3
KILL_SECONDS = (0.5, 1.5)
"""The time between two kills."""

CUT_SECONDS = (0.5, 2.0)
"""The time between two faults of a connection."""

OUTAGE_SECONDS = (0.3, 1.5)
"""How long connections are refused or held up."""

FUTILE = 4
LOOK_SECONDS = 5.0
"""How often the dead letters are looked at."""


@dataclass
class Tally:
    """What runs of chaos have seen."""

    runs: int = 0
    chunks: int = 0
    kills: int = 0
    cuts: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    seconds: float = 0.0
    recoveries: list[float] = field(default_factory=list)

    @property
    def longest(self) -> float:
        """The longest time from a kill to the next chunk that was done, in seconds."""
        return max(self.recoveries, default=0.0)

    def add(self, other: Tally) -> None:
        """Adds what other runs have seen."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)

    def __str__(self) -> str:
        cuts = ", ".join(f"{count} {kind}" for kind, count in sorted(self.cuts.items()))
        return (
            f"runs: {self.runs}, builds of chunks: {self.chunks}, seconds: {self.seconds:.0f}, "
            f"kills survived: {self.kills}, connection faults: {self.cuts.total()} ({cuts}), "
            f"chunks replayed: {self.replayed}, longest recovery: {self.longest:.1f} s"
        )


class Stuck(AssertionError):
    """A run under chaos that did not end, or ended with failures that chaos does not explain."""


def example_volume(folder: Path, params: ExampleParams) -> Volume:
    """An example dataset's files as a volume."""
    make_example(folder, params)
    grid = Grid(params.grid)
    volume = Volume(Plan(grid, IdLayout(grid.layer_count)))
    volume.edges = {path.name: path.read_bytes() for path in (folder / "edges").iterdir()}
    volume.components = {path.name: path.read_bytes() for path in (folder / "components").iterdir()}
    return volume


def chaos(
    run: EmulatedRun, hosts: Mapping[str, str], rng: Random, calm: float, seconds: float, outage: float = 0.0
) -> Tally:
    """Has `run` done by workers that die, over connections that break; what was seen.

    After `calm` seconds nothing is disturbed any more; Stuck, with logs, if the run is not done after
    `seconds`. One of the services is gone for `outage` seconds, right after workers have begun.
    """
    begin, never, kills, tally = time.monotonic(), threading.Event(), list[float](), Tally(runs=1)
    with ExitStack() as stack:
        proxies = {name: Proxy(host) for name, host in hosts.items()}
        for proxy in proxies.values():
            stack.callback(proxy.close)
        stack.callback(run.stop)
        through = {name: proxy.host for name, proxy in proxies.items()}
        faults, pace = disturbances(proxies, rng), Pace(run)
        next_kill, next_cut, next_look = rng.uniform(*KILL_SECONDS), 0.5, LOOK_SECONDS
        gone = rng.choice(sorted(proxies)) if outage else None
        while not run.finished:
            passed = time.monotonic() - begin
            if passed > seconds:
                raise Stuck(f"not done after {seconds:.0f} s; {tally}\n{run.logs()}")
            run.reap()
            while len(run.workers) < WORKERS:
                run.work(through)
            if passed > next_look:
                tally.replayed += replay_killed(run)
                next_look = passed + LOOK_SECONDS
            if gone and passed > next_kill:
                proxies[gone].refuse(outage)
                tally.cuts[f"gone for {outage:.0f} s"] += 1
                gone = None
            if passed > min(next_kill, next_cut) and passed < calm and pace.allows():
                if passed > next_kill:
                    kill(rng.choice(run.workers))
                    kills.append(time.time())
                    pace.futile += 1
                    next_kill = passed + rng.uniform(*KILL_SECONDS)
                if passed > next_cut:
                    kind, disturb = next(faults)
                    disturb()
                    tally.cuts[kind] += 1
                    next_cut = passed + rng.uniform(*CUT_SECONDS)
            never.wait(0.1)
    done = done_times(run)
    tally.seconds, tally.kills, tally.chunks = time.monotonic() - begin, len(kills), len(done)
    tally.recoveries = [later[0] - at for at in kills if (later := [time for time in done if time > at])]
    return tally


@dataclass
class Pace:
    """Whether faults may go on: not after too many kills with nothing done in between."""

    run: EmulatedRun
    futile: int = 0
    done: int = 0

    def allows(self) -> bool:
        """Looks what was done, if that matters."""
        if self.futile < FUTILE:
            return True
        done = len(done_times(self.run))
        if done > self.done:
            self.done, self.futile = done, 0
        return self.futile < FUTILE


def replay_killed(run: EmulatedRun) -> int:
    """Queues chunks again that were at hand in too many kills, how many; Stuck for any other dead letter."""
    completion = run.opened.completion
    found = chosen(current_failures(run.record, completion), None, [])
    others = [failure for failure in found if failure.error != WorkerKilled.__name__]
    if others:
        raise Stuck(f"chunks failed of themselves: {others}\n{run.logs()}")
    if not found:
        return 0
    queue = run.backend.queue([])
    try:
        return replay(run.record, completion, queue, found, now())
    finally:
        queue.close()


def disturbances(proxies: Mapping[str, Proxy], rng: Random) -> Iterator[tuple[str, Callable[[], None]]]:
    """Every fault of every emulator's connections in turn, in random order, again and again."""
    while True:
        faults: list[tuple[str, Callable[[], None]]] = []
        for proxy in proxies.values():
            faults.append(("cut", proxy.cut))
            faults.append(("refused", partial(proxy.refuse, rng.uniform(*OUTAGE_SECONDS))))
            faults.append(("stalled", partial(proxy.stall, rng.uniform(*OUTAGE_SECONDS))))
        yield from rng.sample(faults, len(faults))


def done_times(run: EmulatedRun) -> list[float]:
    """When chunks were done, by the logs of all workers, in order; seconds since 1970."""
    done = (str(line["time"]) for line in run.lines() if line["message"] == Event.CHUNK_DONE)
    return sorted(datetime.fromisoformat(time).timestamp() for time in done)
