"""`verify`: whether a table is right."""

from __future__ import annotations

from pathlib import Path

import click

from jobs.console import Ended, command, graph_option, open_run
from jobs.output import say
from shared.exit_codes import Exit
from shared.operate.run import Run


@command("verify")
@graph_option
@click.option("--truth", type=click.Path(path_type=Path), help="File with the object of every supervoxel.")
def verify(graph: str, truth: Path | None) -> None:
    """Check the whole table of a finished run; exit code 1 if anything in it is wrong."""
    show_verification(open_run(graph), truth)


def show_verification(run: Run, truth: Path | None = None) -> None:
    """Checks a table and prints the result; Ended with FAULTY if a violation was found."""
    found = run.verify(None if truth is None else str(truth))
    say("rows by layer: " + "  ".join(f"layer {layer}: {count:,}" for layer, count in sorted(found.rows.items())))
    for violation in found.violations:
        say(violation)
    if found.violation_count:
        say(f"table {run.record.table} has {found.violation_count:,} violations")
        raise Ended(Exit.FAULTY)
    compared = ", ".join(found.compared).replace(f"{Path.cwd()}/", "")
    say(f"table {run.record.table} agrees with {compared}")
