"""`make view` on the loopback: Neuroglancer's own client, and the volume of nodes that it shows.

    /                                  leads to the page
    /v/graph/                          the page; /v/graph/NAME is the client, as its package has it
    /look/NAME                         what the page has of ours
    /start.json                        what the viewer is opened with
    /segments/LAYER/…                  the volume of a layer's nodes, precomputed, made block by block
    /chunks/…                          the boxes of chunks, precomputed annotations
    /at?x=&y=&z=, /node/ID, /place/ID, /chunk/L/X_Y_Z    what somebody points at

Invariants: everything is read, nothing written; each thread that answers has a volume of its own, as what
cloud-volume remembers of shards is made for one.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.look.loopback import POLICY, Answer, NoAnswer, Request, Route, files_of
from shared.errors import StateError
from shared.look.facts import Facts, need_layer, node_facts, place_of, voxel_facts
from shared.look.lineage import Lineage
from shared.look.outlines import cell_chunks, encode_box, encode_cell, outlines_info
from shared.look.relabelled import block_box, relabelled, segments_info
from shared.look.space import Box, Space, volume_of
from shared.look.state import viewer_state
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.voxels.scales import Scale, read_scales
from shared.voxels.volume import VoxelVolume, encoded_block

ASSETS = Path(__file__).parent / "view_assets"
PAGE = "index.html"

CLIENT_NAME = re.compile(r"[A-Za-z0-9._-]+\.(js|css|wasm)")
"""The files of the client but for its own page, and sources, which nobody debugs here."""

VIEW_POLICY = {
    **POLICY,
    "script-src": "'self' 'unsafe-eval'",
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
}
"""What the client needs: decoders in WebAssembly, workers, styles of elements, and functions that it makes of the
properties of annotations (new Function), which is what unsafe-eval lets it do."""

BINARY = "application/octet-stream"


@dataclass
class GraphView:
    """What is shown of a run's graph. `layer` and `node` are what it is opened with.

    StateError for a run without a table or a volume, a layer that there is not, and a node that the table has not.
    """

    run: Run
    layer: int | None = None
    node: int | None = None
    _own: threading.local = field(default_factory=threading.local, init=False)

    def __post_init__(self) -> None:
        self.run.need_table()
        self.location, chunk_size = volume_of(self.run.record)
        self.scales = read_scales(self.location)
        plan, finest = self.run.record.plan, self.scales[0]
        self.space = Space(finest.low, finest.high, chunk_size, finest.resolution, replace(plan.grid, lowest=2))
        self.top = plan.top.layer
        self.lineage = Lineage(self.run.opened.table, plan.ids, self.run.record.table)
        self.opened_with = self._start()

    def read(self, scale: Scale, box: Box) -> npt.NDArray[Any]:
        """The supervoxels of a box, 0 where a block is not there (yet). DataError for a damaged one."""
        volumes: dict[int, VoxelVolume] = self._own.__dict__.setdefault("volumes", {})
        if scale.mip not in volumes:
            volumes[scale.mip] = VoxelVolume(self.location, scale.mip, fill_missing=True)
        return volumes[scale.mip].read(*box, self._chunk_of(scale, box))

    def block(self, layer: int, scale: Scale, box: Box) -> bytes:
        """A served block of the nodes of a layer."""
        voxels = self.read(scale, box)
        return encoded_block(relabelled(voxels, lambda ids: self.lineage.lifted(ids, self._lifted_to(layer))))

    def at(self, voxel: tuple[int, int, int]) -> Facts:
        """What is at a voxel of the volume."""
        x, y, z = voxel
        found = self.read(self.scales[0], (voxel, (x + 1, y + 1, z + 1)))
        return voxel_facts(self.lineage, self.space, voxel, int(found[0, 0, 0]))

    def place(self, node: int) -> tuple[int, int, int] | None:
        """A voxel of a node."""
        finest = self.scales[0]
        return place_of(self.lineage, self.space, finest, lambda box: self.read(finest, box), node)

    def _lifted_to(self, layer: int) -> int:
        """Of the top layer there are the roots of lower ones, too; of a test, whatever has no parent."""
        return self.run.record.plan.grid.layer_count if layer >= self.top else layer

    def _chunk_of(self, scale: Scale, box: Box) -> Chunk:
        """The chunk of layer 2 that a box begins in, for errors; voxels of other mip levels are larger."""
        factors = [own / nm for own, nm in zip(scale.resolution, self.space.resolution, strict=True)]
        x, y, z = (
            min(max(int(at * factor), low), high - 1)
            for at, factor, low, high in zip(box[0], factors, self.space.low, self.space.high, strict=True)
        )
        return self.space.chunk_at((x, y, z))

    def _start(self) -> dict[str, Any]:
        ids, node = self.run.record.plan.ids, self.node
        if node is None:
            shown = need_layer(self.layer, self.top)
            return viewer_state(self.space, self.top, shown, None, [], [])
        self.lineage.need(node)
        position, chain = self.place(node), self.lineage.chain(node)
        # A root is of the top layer here, whichever layer its id is of.
        own = self.top if len(chain) == 1 and ids.chunk_of(node).layer > 1 else ids.chunk_of(node).layer
        shown = need_layer(self.layer, self.top) if self.layer is not None else min(own, self.top)
        lower = self.lineage.chain(self.lineage.a_supervoxel(node))
        whole = [*lower[: lower.index(node)], *chain] if node in lower else chain
        selected = [one for one in whole if ids.chunk_of(one).layer <= self._lifted_to(shown)][-1:]
        chunk = ids.chunk_of(node)
        outlined = [chunk._replace(layer=max(2, chunk.layer))]
        return viewer_state(
            self.space, self.top, shown, position, selected, [one for one in outlined if one in self.space.grid]
        )

    @cached_property
    def start(self) -> dict[str, Any]:
        """What the page begins with."""
        scripts, styles = _client_parts()
        return {
            "scripts": scripts,
            "styles": styles,
            "state": self.opened_with,
            "graph": self.run.graph,
            "table": self.run.record.table,
            "where": self.run.where,
            "top": self.top,
            "low": self.space.low,
            "high": self.space.high,
        }


def client_folder() -> Path:
    """Where Neuroglancer's client is; StateError where its package is not installed."""
    found = find_spec("neuroglancer")
    for place in (found.submodule_search_locations or []) if found else []:
        folder = Path(place) / "static" / "client"
        if folder.is_dir():
            return folder
    raise StateError(
        "neuroglancer is not installed in this environment; make view installs it (requirements-look.txt)"
    )


def _client_parts() -> tuple[list[str], list[str]]:
    """Scripts and styles that the client's own page has, in their order."""
    page = (client_folder() / PAGE).read_text(encoding="utf-8")
    return re.findall(r'<script[^>]* src="([^"]+)"', page), re.findall(r'<link href="([^"]+)"', page)


def view_routes(view: GraphView) -> Mapping[str, Route]:
    """The routes of a view."""
    scales = {f"s{scale.mip}": scale for scale in view.scales}

    def need(layer: str) -> int:
        if not 1 <= int(layer) <= view.top:
            raise NoAnswer(404, f"there is no layer {layer}")
        return int(layer)

    def info(request: Request) -> Answer:
        need(request.parts[0])
        return Answer.of_json(segments_info(view.scales))

    def block(request: Request) -> Answer:
        layer, scale = need(request.parts[0]), scales.get(request.parts[1])
        box = block_box(scale, request.parts[2]) if scale else None
        if scale is None or box is None:
            raise NoAnswer(404, "there is no such block")
        return Answer(view.block(layer, scale, box), BINARY)

    def cell(request: Request) -> Answer:
        layer, x, y, z = map(int, request.parts)
        chunks = list(cell_chunks(view.space, layer, (x, y, z)))
        if not chunks:
            raise NoAnswer(404, "there is no such cell")
        return Answer(encode_cell(view.space, view.lineage.ids, chunks), BINARY)

    def chunk_of(layer: str, place: str) -> Chunk:
        x, y, z = map(int, place.split("_"))
        chunk = Chunk(int(layer), x, y, z)
        if chunk not in view.space.grid:
            raise NoAnswer(404, f"there is no chunk {chunk}")
        return chunk

    def box(request: Request) -> Answer:
        chunk = view.lineage.ids.chunk_of(_id(request.parts[0]))
        if chunk not in view.space.grid or view.lineage.ids.chunk_id(chunk) != int(request.parts[0]):
            raise NoAnswer(404, "no chunk has this id")
        return Answer(encode_box(view.space, chunk), BINARY)

    def at(request: Request) -> Answer:
        found = [request.arguments.get(name, "") for name in "xyz"]
        if not all(re.fullmatch(r"-?[0-9]{1,10}", text) for text in found):
            raise NoAnswer(400, "x, y and z have to be whole numbers of voxels")
        x, y, z = map(int, found)
        if (x, y, z) not in view.space:
            raise NoAnswer(404, "this is outside of the volume")
        return Answer.of_json(view.at((x, y, z)))

    def node(request: Request) -> Answer:
        with _missing():
            return Answer.of_json(node_facts(view.lineage, view.space, _id(request.parts[0])))

    def place(request: Request) -> Answer:
        with _missing():
            return Answer.of_json({"voxel": view.place(_id(request.parts[0]))})

    def chunk(request: Request) -> Answer:
        found = chunk_of(*request.parts)
        return Answer.of_json({"chunk": str(found), "layer": found.layer, "box": view.space.box(found)})

    client = client_folder()
    served = [path.name for path in client.iterdir() if CLIENT_NAME.fullmatch(path.name)]
    page, triple = files_of(ASSETS, [PAGE]), r"([0-9]{1,8})_([0-9]{1,8})_([0-9]{1,8})"
    return {
        r"/": lambda _: Answer(b"", "text/plain", {"Location": "/v/graph/"}, 302),
        r"/v/graph/": lambda _: page(Request((PAGE,))),
        r"/v/graph/([^/]+)": files_of(client, served),
        r"/look/([^/]+)": files_of(ASSETS),
        r"/favicon\.ico": lambda _: Answer(b"", "image/x-icon"),
        r"/start\.json": lambda _: Answer.of_json(view.start),
        r"/segments/([0-9]{1,2})/info": info,
        r"/segments/([0-9]{1,2})/([a-z0-9]+)/([^/]+)": block,
        r"/chunks/info": lambda _: Answer.of_json(outlines_info(view.space)),
        rf"/chunks/l([0-9]{{1,2}})/{triple}": cell,
        r"/chunks/by_id/([0-9]{1,20})": box,
        r"/at": at,
        r"/node/([0-9]{1,20})": node,
        r"/place/([0-9]{1,20})": place,
        r"/chunk/([0-9]{1,2})/([0-9]{1,8}_[0-9]{1,8}_[0-9]{1,8})": chunk,
    }


def _id(text: str) -> int:
    """An id; nothing has one of more than 64 bits."""
    if not 0 < int(text) <= int(np.iinfo(np.uint64).max):
        raise NoAnswer(404, "no node has this id")
    return int(text)


class _missing:
    """What is not in the table is not there, and no fault of the server."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, StateError):
            raise NoAnswer(404, str(error)) from error
