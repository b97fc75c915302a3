"""The command line: `python -m jobs.cli COMMAND`; each command is also a make target where it is daily use."""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    import logging
    from collections.abc import Sequence

    import click

    from jobs import interrupts
    from jobs.commands.chunk import chunk, chunk_local
    from jobs.commands.completion import completion
    from jobs.commands.control import pause, reset, resume
    from jobs.commands.cost import cost, runs
    from jobs.commands.doctor import doctor
    from jobs.commands.down import down
    from jobs.commands.failures import discard, failed, replay
    from jobs.commands.ingest import ingest, layer
    from jobs.commands.logs import logs as logs_command
    from jobs.commands.page import page
    from jobs.commands.plan import plan
    from jobs.commands.report import report
    from jobs.commands.sample import sample
    from jobs.commands.show import show
    from jobs.commands.status import status
    from jobs.commands.upgrade import upgrade
    from jobs.commands.verify import repair, verify
    from jobs.commands.view import view
    from jobs.console import Ended
    from jobs.local import emulator_guard
    from jobs.program import ProgramGroup, ended
    from shared import logs
    from shared.classify import Kind
    from shared.exit_codes import Exit
    from shared.gcp.progress import CLASSIFY
    from shared.version import VERSION


@click.group(cls=ProgramGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="chunkedgraph-ingest", message="%(prog)s %(version)s")
def cli() -> None:
    """Turn an over-segmented volume into a chunked graph in Bigtable."""


for command in (
    *(ingest, plan, sample, status, verify, show, view, layer, chunk, chunk_local, reset, upgrade, down, doctor),
    *(failed, logs_command, replay, discard, pause, resume, repair, page, report, cost, runs, completion),
):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> Exit:
    """Runs a command; every error of ours becomes its text and an exit code, without a traceback."""

    def program() -> Exit:
        try:
            cli(arguments, standalone_mode=False)
        except Ended as end:
            return end.code
        except Exception as error:
            # Of an emulator of ours that has ended there is more to tell than that it is out of reach.
            if CLASSIFY(error) is Kind.OUTAGE and emulator_guard.has_more_to_say():
                return interrupts.answer()
            raise
        return Exit.OK

    return ended(program, CLASSIFY)


def main() -> None:
    """Runs the command that the process was started with."""
    interrupts.install()
    logs.set_up(logging.WARNING)
    interrupts.leave(run())


if __name__ == "__main__":
    main()
