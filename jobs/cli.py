"""The command line: `python -m jobs.cli COMMAND`; each command is also a make target where it is daily use."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Sequence

import click

from jobs import interrupts
from jobs.commands.chunk import chunk, chunk_local
from jobs.commands.control import pause, reset, resume
from jobs.commands.down import down
from jobs.commands.failures import discard, failed, replay
from jobs.commands.ingest import ingest, layer
from jobs.commands.plan import plan
from jobs.commands.show import show
from jobs.commands.status import status
from jobs.commands.upgrade import upgrade
from jobs.commands.verify import verify
from jobs.console import Ended
from jobs.local import emulator_guard
from shared import logs
from shared.classify import Kind
from shared.errors import IngestError
from shared.exit_codes import Exit
from shared.gcp.progress import CLASSIFY
from shared.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, prog_name="chunkedgraph-ingest", message="%(prog)s %(version)s")
def cli() -> None:
    """Turn an over-segmented volume into a chunked graph in Bigtable."""


for command in (
    *(ingest, plan, status, verify, show, layer, chunk, chunk_local, reset, upgrade, down),
    *(failed, replay, discard, pause, resume),
):
    cli.add_command(command)


def run(arguments: Sequence[str] | None = None) -> Exit:
    """Runs a command; every error of ours becomes its text and an exit code, without a traceback."""
    try:
        cli(arguments, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return Exit.REFUSED
    except IngestError as error:
        click.echo(str(error), err=True)
        return Exit.REFUSED
    except Ended as end:
        return end.code
    except (click.Abort, KeyboardInterrupt):
        return interrupts.answer()
    except Exception as error:
        if CLASSIFY(error) is Kind.OUTAGE:
            if emulator_guard.has_more_to_say():
                return interrupts.answer()
            click.echo(f"a service is out of reach: {error}; nothing is lost, try again", err=True)
            return Exit.TRY_AGAIN
        if CLASSIFY(error) is Kind.MEMORY:
            text = str(error) or type(error).__name__
            click.echo(
                f"this process may have no more memory or threads ({text}); a limit (ulimit -v, ulimit -u) or the "
                "machine leaves too little. Nothing is lost, try again with more",
                err=True,
            )
            return Exit.TRY_AGAIN
        traceback.print_exc()
        return Exit.BUG
    return Exit.OK


def main() -> None:
    """Runs the command that the process was started with."""
    interrupts.install()
    logs.set_up(logging.WARNING)
    interrupts.leave(run())


if __name__ == "__main__":
    main()
