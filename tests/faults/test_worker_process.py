"""The life of a real worker process: told to end, out of memory, its services gone for a while.

Bounds are generous, as they only keep a test from hanging: what is measured is how a worker ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from jobs.worker import AGAIN_SECONDS, GRACE_SECONDS
from shared.exit_codes import Exit
from shared.gcp.pubsub.pulls import PULL_SECONDS
from shared.operate.replay import current_failures
from shared.plan.grid import Chunk
from shared.run.events import Event
from tests.faults.crash import Point
from tests.faults.emulated import EmulatedRun, wait_until
from tests.faults.proxy import Proxy
from tests.volumes import random_volume

SECONDS = 600.0
VOLUME = random_volume(3, (2, 2, 1), size=4)
CHUNK = Chunk(2, 1, 1, 0)
SHORT = 1.0
"""A grace that is shorter than the product's, for tests that only wait for its end."""
REFUSALS = 3
STALL_SECONDS = 3.0
"""An outage lasts until a worker was turned away so often, or so long after nothing came of what it sent."""
CLOUD_RUN_SECONDS = 10.0
"""After SIGTERM Cloud Run waits so long, and then kills."""

Fresh = Callable[[str, list[Point]], EmulatedRun]


@pytest.fixture
def fresh(emulators: dict[str, str], tmp_path: Path) -> Iterator[Fresh]:
    """Starts a run in which one chunk meets faults of a kind; its workers end with the test."""
    with ExitStack() as stack:

        def start(fault: str, points: list[Point]) -> EmulatedRun:
            run = EmulatedRun(VOLUME, tmp_path, emulators, fault)
            stack.callback(run.stop)
            run.plan_faults({CHUNK: points})
            return run

        yield start


@pytest.fixture
def proxies(emulators: dict[str, str]) -> Iterator[dict[str, Proxy]]:
    """A proxy in front of each emulator."""
    with ExitStack() as stack:
        found = {name: Proxy(host) for name, host in emulators.items()}
        for proxy in found.values():
            stack.callback(proxy.close)
        yield found


def done_with(run: EmulatedRun) -> None:
    """Waits for the end of a run, and checks that it is the undisturbed one's, by the first worker of all."""
    assert wait_until(lambda: run.finished, SECONDS), run.logs()
    assert run.raw_table() == run.expected_table()
    assert current_failures(run.record, run.opened.completion) == []


def events(run: EmulatedRun) -> list[object]:
    """The names of all events."""
    return [line["message"] for line in run.lines()]


def test_all_stages_of_the_end_fit() -> None:
    """The chunk's grace, one more try to note its end, and the last pulls: together less than the cloud waits."""
    assert GRACE_SECONDS + AGAIN_SECONDS + PULL_SECONDS < CLOUD_RUN_SECONDS


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_while_idle(fresh: Fresh, number: signal.Signals) -> None:
    """A worker that waits for messages ends in order."""
    run = fresh("hang", [])
    worker = run.work()
    done_with(run)
    worker.send_signal(number)
    assert worker.wait(SECONDS) == Exit.OK, run.logs()
    assert events(run)[-1] == Event.WORKER_END


@pytest.mark.parametrize(
    ("number", "grace"), [(signal.SIGTERM, GRACE_SECONDS), (signal.SIGINT, SHORT)], ids=["SIGTERM", "SIGINT"]
)
def test_told_to_end_at_work(fresh: Fresh, number: signal.Signals, grace: float) -> None:
    """A chunk that takes too long is given back by a worker that is told to end, and nothing is held against it."""
    run = fresh("hang", [Point.BUILT])
    worker = run.work({"GRACE_SECONDS": str(grace)})
    assert wait_until(lambda: bool(run.met()), SECONDS), run.logs()
    worker.send_signal(number)
    assert worker.wait(SECONDS) == Exit.OK, run.logs()
    assert events(run)[-1] in (Event.CHUNK_GIVEN_BACK, Event.WORKER_END)
    assert run.opened.completion.failures() == []
    run.work()
    done_with(run)


def has_met(run: EmulatedRun, count: int) -> bool:
    """Whether a run has met so many faults."""
    return run.met().total() == count


def test_told_to_end_without_firestore(fresh: Fresh, proxies: dict[str, Proxy]) -> None:
    """A worker ends in order also where it cannot note that it gave up the chunk at hand."""
    run = fresh("hang", [Point.BUILT, Point.BUILT])
    hosts = {name: proxy.host for name, proxy in proxies.items()} | {"GRACE_SECONDS": str(SHORT)}
    for attempt in (1, 2):
        worker = run.work(hosts)
        assert wait_until(partial(has_met, run, attempt), SECONDS), run.logs()
        if attempt == 2:
            proxies["FIRESTORE_EMULATOR_HOST"].refuse()
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(SECONDS) == Exit.OK, run.logs()
    assert events(run)[-1] in (Event.CHUNK_GIVEN_BACK, Event.WORKER_END)
    run.work()
    done_with(run)


def test_out_of_memory(fresh: Fresh) -> None:
    """An attempt that needs more memory than its worker may have ends; its worker does not, nor does another."""
    run = fresh("hog", [Point.READ, Point.BUILT])
    for _ in range(2):
        run.work({"INGEST_MEMORY_MIB": "1024"})
    done_with(run)
    assert run.planned() == 0 and [worker.poll() for worker in run.workers] == [None, None]
    assert events(run).count(Event.CHUNK_MEMORY) == 2


def test_several_under_way(fresh: Fresh) -> None:
    """A worker with several chunks under way, killed and replaced by another: the same table to the byte; and one
    that is idle ends in order."""
    run = fresh("hang", [])
    killed = run.work(at_once=4)
    assert wait_until(lambda: events(run).count(Event.CHUNK_DONE) >= 1, SECONDS), run.logs()
    killed.send_signal(signal.SIGKILL)
    killed.wait(SECONDS)
    worker = run.work(at_once=4)
    done_with(run)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(SECONDS) == Exit.OK, run.logs()
    assert events(run)[-1] == Event.WORKER_END


@pytest.mark.parametrize("name", ["BIGTABLE_EMULATOR_HOST", "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"])
@pytest.mark.parametrize("kind", ["refuse", "stall"])
def test_service_is_gone(fresh: Fresh, proxies: dict[str, Proxy], name: str, kind: str) -> None:
    """While a service refuses or does not answer its workers wait, then go on; no chunk has a failure."""
    run, proxy = fresh("hang", []), proxies[name]
    (proxy.refuse if kind == "refuse" else proxy.stall)()
    worker = run.work({name: proxy.host for name, proxy in proxies.items()})
    # From when the worker meets it, however long that takes.
    met = (lambda: proxy.turned_away >= REFUSALS) if kind == "refuse" else (lambda: proxy.held_up > 0)
    assert wait_until(met, SECONDS), run.logs()
    proxy.relent(after=0.0 if kind == "refuse" else STALL_SECONDS)
    done_with(run)
    assert worker.poll() is None
    assert not {Event.CHUNK_RETRIED, Event.CHUNK_FAILED} & set(events(run))
