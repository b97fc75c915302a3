"""`view`: a graph in Neuroglancer, in a browser of this machine."""

from __future__ import annotations

import click

from jobs.console import command, graph_option, open_run
from jobs.output import say
from shared.gcp.progress import CLASSIFY


@command("view")
@graph_option
@click.option("--node", type=click.IntRange(0), help="Open at this supervoxel, node or root.")
@click.option("--layer", type=int, help="Colour by the nodes of this layer; 1 are supervoxels, the top one roots.")
@click.option("--port", type=click.IntRange(0, 65_535), default=0, help="A port of 127.0.0.1; any unless given.")
def view(graph: str, node: int | None, layer: int | None, port: int) -> None:
    """Show a graph in Neuroglancer: its volume coloured by root, or by the nodes of a layer."""
    from jobs.look.loopback import LoopbackServer
    from jobs.look.view import VIEW_POLICY, GraphView, view_routes

    shown = GraphView(open_run(graph), layer, node)
    server = LoopbackServer(view_routes(shown), port, VIEW_POLICY, CLASSIFY)
    say(f"{graph}: the volume {shown.location}, coloured from table {shown.run.record.table}")
    say(f"open {server.address}/ in a browser of this machine; Ctrl-C ends this")
    server.run()
