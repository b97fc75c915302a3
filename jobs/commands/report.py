"""`report`: what a run came to, as one file to keep."""

from __future__ import annotations

from jobs.console import command, graph_option


@command("report")
@graph_option
def report(graph: str) -> None:
    """Write what a run came to as one page that can be kept and printed."""
