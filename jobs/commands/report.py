"""`report`: what a run came to, as one file to keep."""

from __future__ import annotations

from jobs.console import command, graph_option, open_run
from jobs.keeping import shown, write_report
from jobs.output import say
from jobs.paths import PRICES
from shared.estimate.prices import load_prices


@command("report")
@graph_option
def report(graph: str) -> None:
    """Write what a run came to as one page to keep and print: sizes, times, cost, histograms, a heat map."""
    run = open_run(graph)
    say(f"wrote {shown(write_report(run, run.books.settle(load_prices(PRICES))))}")
