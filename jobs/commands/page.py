"""`page`: a run in a browser."""

from __future__ import annotations

import click

from jobs.console import command, graph_option, open_run
from jobs.output import say
from jobs.paths import PRICES
from shared.estimate.prices import load_prices


@command("page")
@graph_option
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="The port to serve at; any free one unless given."
)
def page(graph: str, port: int) -> None:
    """Show a run in a browser of this machine: layers, a map of all chunks, failures; reads only."""
    from jobs.look.loopback import LoopbackServer
    from jobs.look.page import Page
    from shared.look.watch import Watch

    run = open_run(graph)
    routes = Page(Watch(run, load_prices(PRICES))).routes
    server = LoopbackServer(routes, port, classify=run.backend.classify)
    say(f"{graph}: open {server.address} in a browser of this machine; Ctrl-C ends the page, and not the run")
    server.run()
