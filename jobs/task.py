"""One task of a Cloud Run Job: `python -m jobs.task --layers 3`, a worker process for each CPU of the container.

SIGTERM and SIGINT go to the workers, which end within seconds. The exit code is what the Job's retry policy
goes by: 0 if every worker ended in order (idle or told to), so that nothing is tried again; otherwise that
of one that did not, and Cloud Run starts the task anew. Work is never lost by it: the queue has it.
"""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    import os
    import signal
    import subprocess
    import sys
    from collections.abc import Sequence
    from types import FrameType

    import click

    from jobs import memory_limit as memory
    from jobs.container import cpus
    from jobs.paths import ISOLATED, REPOSITORY
    from jobs.program import Program, ended
    from shared.classify import Classifier


@click.command(cls=Program, context_settings={"ignore_unknown_options": True})
@click.option("--processes", type=click.IntRange(1), help="Worker processes; one for each CPU unless given.")
@click.option("--look-around", help="Work on nothing, and note what there is; as `doctor` says it.")
@click.option("--sample", help="Work on nothing, and build a few chunks to be thrown away; as `sample` asks.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(processes: int | None, look_around: str | None, sample: str | None, arguments: tuple[str, ...]) -> None:
    """Run worker processes until all have ended; ARGUMENTS are those of jobs.worker."""
    for program, asked in (("jobs.looking_around", look_around), ("jobs.sampled_task", sample)):
        if asked is not None:
            os.chdir(REPOSITORY)
            os.execve(sys.executable, [*ISOLATED, "-m", program, asked], dict(os.environ))
    count = processes or cpus()
    command = [*ISOLATED, "-m", "jobs.worker", *arguments]
    environ = dict(os.environ)
    # Terraform says it; where nobody does, the container is asked, by files that Cloud Run promises nothing of.
    environ["INGEST_MEMORY_MIB"] = environ.get("INGEST_MEMORY_MIB") or str(memory.share(count))
    if count == 1:
        # In this process' place: one to start, one to signal, one whose end counts.
        os.chdir(REPOSITORY)
        os.execve(sys.executable, command, environ)
    workers: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def tell(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, tell)
    for _ in range(count):
        workers.append(subprocess.Popen([*command, "--parent", str(os.getpid())], cwd=REPOSITORY, env=environ))
    if told:  # by a signal that came while they were started
        tell(told[-1], None)
    sys.exit(exit_code([worker.wait() for worker in workers]))


def exit_code(codes: Sequence[int]) -> int:
    """The task's exit code, from those of its processes; one that a signal ended counts as a shell says it."""
    bad = [code if code > 0 else 128 - code for code in codes if code]
    return max(bad, default=0)


if __name__ == "__main__":
    entry.leave(ended(lambda: main(standalone_mode=False), Classifier()))
