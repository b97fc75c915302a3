"""Has a run built: by tasks in the project, by processes here, or by a thread where all is in memory."""

from __future__ import annotations

import threading

from jobs.console import Ended, some
from jobs.deployed import dispatch_now
from jobs.local.cloudrun import LocalCloudRun
from jobs.output import say
from jobs.progress import watch
from shared.exit_codes import Exit
from shared.gcp.backend import GoogleBackend
from shared.memory.backend import MemoryBackend
from shared.operate.causes import causes
from shared.operate.replay import current_failures
from shared.operate.run import Run
from shared.operate.status import RunStatus
from shared.run.ports import Failure, State


def work_until_done(run: Run, workers: int) -> None:
    """Stays until a run is done, or as far as it can be; Ended if it stands still before that."""
    if isinstance(run.backend, GoogleBackend) and run.backend.project is not None:
        status = _watch_cloud(run, run.backend)
    elif isinstance(run.backend, GoogleBackend):
        if not workers:
            say(
                "no worker runs here (WORKERS=0), so nothing moves until some do; in another terminal: "
                f"make resume {run.where} WORKERS=1"
            )
        with LocalCloudRun(run.backend, run.record, workers) as cloud:
            status = watch(run, cloud.keep_going, cloud.why)
        if cloud.gave_up:
            log, tail = cloud.executor.log_tail()
            short = "\n".join(line if len(line) <= 400 else f"{line[:400]} …" for line in tail.splitlines())
            say(f"the workers keep ending; the log {log} ends with:\n{short}")
            raise Ended(Exit.STOPPED)
    else:
        status = _watch_here(run)
    if (status.failed or status.discarded) and not status.finished:
        _say_failed(run, current_failures(run.record, run.completion))
        raise Ended(Exit.FAILED_CHUNKS)


def _watch_here(run: Run) -> RunStatus:
    """Builds with a worker in a thread of this process."""
    stop = threading.Event()
    thread = threading.Thread(target=run.work, args=(stop.is_set, 3600.0, stop.wait), daemon=True)
    thread.start()
    try:
        return watch(run, lambda _: thread.is_alive())
    finally:
        stop.set()
        thread.join()


def _watch_cloud(run: Run, backend: GoogleBackend) -> RunStatus:
    """Has tasks started at once, and watches them; an interrupt ends the watching alone."""
    try:
        dispatch_now(backend)
        return watch(run, lambda _: True)
    except KeyboardInterrupt as interrupt:
        say(f"the run goes on in the cloud; see: make status {run.where}. To hold it: make pause {run.where}")
        raise Ended(Exit.INTERRUPTED) from interrupt


def _say_failed(run: Run, failures: list[Failure]) -> None:
    dead = [failure for failure in failures if failure.state is State.DEAD]
    discarded = sum(failure.state is State.DISCARDED for failure in failures)
    for cause in causes(dead)[:10]:
        chunks = some([failure.chunk for failure in cause.failures])
        say(f"chunk{'s' if len(cause.failures) > 1 else ''} {chunks}: {cause.error}: {cause.text}")
    if isinstance(run.backend, MemoryBackend):
        say(
            f"chunks in the dead letters: {len(dead):,}; what is left waits for them. The run was in memory and is "
            "gone now: when their cause is mended, the same command builds it anew"
        )
        return
    if dead:
        say(
            f"chunks in the dead letters: {len(dead):,}; what is left waits for them. See: make failed "
            f"{run.where}. When their cause is mended: {run.how_to_go_on}"
        )
    if discarded:
        say(
            f"chunks discarded: {discarded:,}; what waits for them is never built. "
            f'One comes back with: make replay {run.where} CHUNK="L X Y Z"'
        )
