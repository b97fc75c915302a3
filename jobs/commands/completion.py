"""`completion`: the shell completes commands, options and what stands for them."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from jobs.console import command
from jobs.output import put

PROGRAM = "chunkedgraph-ingest"
VARIABLE = "_CHUNKEDGRAPH_INGEST_COMPLETE"
"""By which click, in the program, is asked for completions."""


@command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what has a SHELL complete chunkedgraph-ingest, as in: eval "$(chunkedgraph-ingest completion bash)"."""
    context = click.get_current_context().find_root()
    found = get_completion_class(shell)
    assert found is not None
    put(found(context.command, {}, PROGRAM, VARIABLE).source())
