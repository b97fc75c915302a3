"""The command line: `python -m jobs.cli COMMAND`; each command is also a make target where it is daily use."""

from __future__ import annotations

import logging
import sys
import traceback

import click

from jobs import interrupts
from jobs.commands.common import Ended
from jobs.commands.control import pause, resume_command
from jobs.commands.failures import discard_command, failed, replay_command
from jobs.commands.ingest import ingest, layer
from jobs.commands.inspect import plan, show, status, verify
from jobs.commands.single import chunk, chunk_local, down, reset
from jobs.commands.upgrade import upgrade
from shared import logs
from shared.errors import IngestError
from shared.outcome import Exit
from shared.run.classify import Kind, classify


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Turn an over-segmented volume into a chunked graph in Bigtable."""


for command in (
    *(ingest, plan, status, verify, show, layer, chunk, chunk_local, reset, upgrade, down),
    *(failed, replay_command, discard_command, pause, resume_command),
):
    cli.add_command(command)


def main() -> None:
    """Runs a command; every error of ours becomes its text and an exit code, without a traceback."""
    interrupts.install()
    logs.set_up(logging.WARNING)
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(Exit.REFUSED)
    except IngestError as error:
        click.echo(str(error), err=True)
        sys.exit(Exit.REFUSED)
    except Ended as end:
        sys.exit(end.code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted; what is done stays done", err=True)
        sys.exit(Exit.INTERRUPTED)
    except Exception as error:
        if classify(error) is Kind.OUTAGE:
            click.echo(f"a service is out of reach: {error}; nothing is lost, try again", err=True)
            sys.exit(Exit.TRY_AGAIN)
        traceback.print_exc()
        sys.exit(Exit.BUG)


if __name__ == "__main__":
    main()
