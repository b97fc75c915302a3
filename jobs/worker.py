"""The worker process: `python -m jobs.worker --layers 2-6`, one chunk at a time until idle or told to end.

SIGTERM and SIGINT end it within seconds: nothing new is begun, messages at hand are given back, and
the chunk being built is given back too unless it ends by itself in time. Whatever holds that up, the process
is gone after `LAST_SECONDS`: the leases of what it could not give back end by themselves. Its exit code is
0 then, as when nothing came for long; 2 when it cannot work here, 70 after an error outside of any chunk.
Imports are kept low: a task that starts is paid for from its first second.
"""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    import contextlib
    import logging
    import os
    import signal
    import socket
    import sys
    import threading
    import time
    from collections.abc import Callable, Mapping
    from types import FrameType

    import click

    from jobs import memory_limit as memory
    from jobs.lanes import in_lanes
    from jobs.program import Program, ended
    from shared import logs
    from shared.environment import Environment
    from shared.errors import IngestError, ShuttingDown
    from shared.exit_codes import Exit
    from shared.gcp.backend import GoogleBackend
    from shared.gcp.progress import CLASSIFY
    from shared.operate.feeding import Feeder
    from shared.run.events import Event
    from shared.work.attempt import of_error
    from shared.work.crowd import Crowd
    from shared.work.open_runs import OpenRuns
    from shared.work.worker import Worker

logger = logging.getLogger("jobs.worker")

WAKE_SECONDS = 0.2
"""How soon a worker that waits notices that it is to end."""

GRACE_SECONDS = 7
"""How long the chunk at hand may go on after SIGTERM; Cloud Run kills after 10."""

LAST_SECONDS = 9.7
"""After so long nothing is waited for any more, as to give messages back where Pub/Sub is out of reach."""

AGAIN_SECONDS = 0.5
"""How often whatever the worker does after that is interrupted too: to note that a chunk was given up
would otherwise be tried for minutes while Firestore is out of reach."""


def parse_layers(_context: object, _parameter: object, text: str) -> list[int]:
    """`2-5` or `2,3` as a list of layers."""
    try:
        if "-" in text:
            low, high = (int(part) for part in text.split("-"))
            return list(range(low, high + 1))
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither like 2-5 nor like 2,3") from error


def task_fields(environ: Mapping[str, str]) -> dict[str, object]:
    """Which task of which execution this is, as Cloud Run says; nothing elsewhere."""
    if "CLOUD_RUN_EXECUTION" not in environ:
        return {}
    return {
        "execution": environ["CLOUD_RUN_EXECUTION"],
        "task": int(environ.get("CLOUD_RUN_TASK_INDEX", 0)),
        "task_attempt": int(environ.get("CLOUD_RUN_TASK_ATTEMPT", 0)),
    }


def never() -> None:
    """What a worker without layer 2 does between its chunks."""


class Stop:
    """Notices signals; a second stage raises ShuttingDown in whatever is being built."""

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> None:
        """Takes over SIGTERM, SIGINT and SIGALRM of this process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        signal.signal(signal.SIGALRM, self._interrupt)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            signal.setitimer(signal.ITIMER_REAL, GRACE_SECONDS, AGAIN_SECONDS)
            last = threading.Timer(LAST_SECONDS, os._exit, [Exit.OK])
            last.daemon = True
            # Without room for a thread whoever started this worker ends it.
            with contextlib.suppress(RuntimeError, MemoryError):
                last.start()

    def _interrupt(self, _number: int, _frame: FrameType | None) -> None:
        raise ShuttingDown("the worker was told to end, and the chunk was not done in time")


@click.command(cls=Program)
@click.option("--layers", callback=parse_layers, required=True, help="Layers to work on, like 2-5 or 2,3.")
@click.option("--idle-seconds", default=60.0, show_default=True, help="End when nothing came for so long.")
@click.option(
    "--at-once", type=click.IntRange(1, 32), default=1, show_default=True, help="Chunks under way at a time."
)
@click.option("--parent", type=int, help="End when this process, which started it, is gone.")
def main(layers: list[int], idle_seconds: float, at_once: int, parent: int | None) -> None:
    """Build chunks from the queue until it is empty or the process is told to end."""
    name = f"{socket.gethostname()}:{os.environ.get('CLOUD_RUN_TASK_INDEX', '0')}:{os.getpid()}"
    logs.set_up(common={"worker": name} | task_fields(os.environ))
    stop = Stop()
    stop.install()

    def stopped() -> bool:
        return stop.asked or (parent is not None and os.getppid() != parent)

    def wait(seconds: float) -> None:
        until = time.monotonic() + seconds
        while not stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, WAKE_SECONDS))

    try:
        environment = Environment.read(os.environ)
        memory.cap(environment.memory_mib or memory.share(1))
        backend = GoogleBackend(environment)
        queue, crowd = backend.queue(layers, at_once), Crowd()
        # Of several lanes each counts its own CPU, and one feeds.
        clock = time.process_time if at_once == 1 else time.thread_time

        def work(lane: int, over: Callable[[], bool]) -> int:
            runs = OpenRuns(backend, time.monotonic)
            meter = memory.ProcessMeter(alone=lambda: crowd.alone, cpu=clock)
            feeder = Feeder(backend, queue, time.time) if min(layers) <= 2 and not lane else never
            worker = Worker(
                queue,
                runs,
                f"{name}/{lane}" if lane else name,
                time.monotonic,
                lambda: stopped() or over(),
                wait,
                meter,
                feeder,
                backend.classify,
                crowd,
            )
            return worker.run(idle_seconds, WAKE_SECONDS)

        try:
            logger.info(Event.WORKER_START, extra={"fields": {"layers": layers, "at_once": at_once}})
            done = in_lanes(at_once, work, lambda: crowd.narrow)
            logger.info(Event.WORKER_END, extra={"fields": {"chunks": done}})
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            queue.close()
    except ShuttingDown:
        sys.exit(Exit.OK)
    except IngestError as error:
        logger.error(Event.WORKER_REFUSED, extra={"fields": of_error(error)})
        sys.exit(Exit.REFUSED)
    except Exception as error:
        logger.error(Event.WORKER_BUG, extra={"fields": of_error(error), "error": error})
        sys.exit(Exit.BUG)


if __name__ == "__main__":
    entry.leave(ended(lambda: main(standalone_mode=False), CLASSIFY))
