"""`make view`: what is served is what the table says, voxel by voxel, and nothing else is."""

from __future__ import annotations

import json
import math
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from jobs.commands import show as show_command
from jobs.look.loopback import LoopbackServer
from jobs.look.view import VIEW_POLICY, GraphView, view_routes
from shared.errors import DataError, StateError
from shared.gcp.progress import CLASSIFY
from shared.look.lineage import Lineage, Memory
from shared.look.relabelled import MOST_VOXELS, relabelled, served_block
from shared.operate.run import Run
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from tests.small_graphs import PARAMS, begun, built, location_of, supervoxels_of


@pytest.fixture(scope="session")
def small_graph(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run in memory of a small example, whose volume is on disk; for reading only."""
    return built(tmp_path_factory.mktemp("small") / "example")


@pytest.fixture(scope="module")
def view(small_graph: Run) -> GraphView:
    """The view of it."""
    return GraphView(small_graph)


@pytest.fixture(scope="module")
def server(view: GraphView) -> Iterator[LoopbackServer]:
    """It, served."""
    with LoopbackServer(view_routes(view), policy=VIEW_POLICY, classify=CLASSIFY) as found:
        yield found


def volume_at(address: str) -> Any:
    """The whole volume at an address, read by cloud-volume over HTTP."""
    from cloudvolume import CloudVolume

    volume: Any = CloudVolume(f"precomputed://{address}", progress=False, cache=False, bounded=True)
    return np.asarray(volume[:, :, :])[..., 0]


def answer(server: LoopbackServer, path: str) -> tuple[int, bytes]:
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(server.address + path, timeout=60) as found:
            return found.status, found.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def facts(server: LoopbackServer, path: str) -> Any:
    """An answer in JSON."""
    status, body = answer(server, path)
    assert status == 200, body
    return json.loads(body)


@pytest.fixture
def shown_chain(small_graph: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """What the command `show` prints of a node: itself and all above it; nothing if it has no row."""
    said: list[str] = []
    monkeypatch.setattr(show_command, "open_run", lambda graph: small_graph)
    monkeypatch.setattr(show_command, "say", said.append)
    callback = cast(Callable[..., None], show_command.show.callback)

    def shown(node: int) -> list[int]:
        said.clear()
        try:
            callback(node, "small")
        except StateError:
            return []
        lines = [line.split() for line in said if line.lstrip().startswith(("root", "parent"))]
        return [node, *(int(words[1].rstrip(":")) for words in lines)]

    return shown


def test_voxels_are_coloured_by_what_show_says(
    small_graph: Run, server: LoopbackServer, shown_chain: Callable[[int], list[int]]
) -> None:
    """200 voxels, read back over HTTP by cloud-volume at each layer: the highest node that `show` names which is
    not above the layer, at the top one the root; nothing where `show` knows no row."""
    ids, volume = small_graph.record.plan.ids, supervoxels_of(small_graph)
    rng = np.random.default_rng(1)
    known = np.isin(volume, np.load(location_of(small_graph).with_name("truth.npz"))["supervoxel"])
    alone, others = np.argwhere((volume > 0) & ~known), np.argwhere(known)
    voxels = np.concatenate([rng.choice(alone, 10), rng.choice(others, 190, replace=False)])
    chains = [shown_chain(int(volume[tuple(voxel)])) for voxel in voxels]
    assert any(not chain for chain in chains) and max(map(len, chains)) == ids.layer_count
    for layer in range(1, ids.layer_count + 1):
        served = volume_at(f"{server.address}/segments/{layer}")
        assert served.dtype == np.uint64 and served.shape == volume.shape
        assert ((served != 0) <= (volume != 0)).all()
        for voxel, chain in zip(voxels, chains, strict=True):
            below = [node for node in chain if ids.chunk_of(node).layer <= layer]
            expected = below[-1] if below else int(volume[tuple(voxel)]) if layer == 1 else 0
            assert int(served[tuple(voxel)]) == expected, (layer, voxel, chain)
    assert (volume_at(f"{server.address}/segments/1") == volume).all()


def test_little_memory_shows_the_same(small_graph: Run, view: GraphView) -> None:
    """What is remembered of the table changes no answer, even where nearly all of it is forgotten."""
    supervoxels = np.unique(supervoxels_of(small_graph))[1:]
    table, plan = small_graph.opened.table, small_graph.record.plan
    forgetful = Lineage(table, plan.ids, "small", Memory(bits=3))
    for layer in range(2, plan.grid.layer_count + 1):
        expected = view.lineage.lifted(supervoxels, layer)
        assert (forgetful.lifted(supervoxels, layer) == expected).all()
        assert (forgetful.lifted(supervoxels[::3], layer) == expected[::3]).all()


def test_reads_are_few(small_graph: Run, view: GraphView) -> None:
    """What was looked up once is not read again; and it is asked for by the thousand, not one by one."""
    supervoxels = np.unique(supervoxels_of(small_graph))[1:]
    asked: list[int] = []
    table = small_graph.opened.table

    def read_keys(keys: Any, column: Any = None) -> Any:
        asked.append(len(keys))
        return table.read_keys(keys, column)

    counting = cast(Any, SimpleNamespace(read_keys=read_keys))
    lineage = Lineage(counting, small_graph.record.plan.ids, "small")
    rows = lineage.lifted(supervoxels, small_graph.record.plan.grid.layer_count)
    assert len(asked) <= small_graph.record.plan.grid.layer_count
    asked.clear()
    again = lineage.lifted(supervoxels, small_graph.record.plan.grid.layer_count)
    # Only of what has no row, or shares its place in memory with another.
    assert (again == rows).all() and sum(asked) < len(supervoxels) / 10


def test_a_run_that_goes_on(tmp_path: Path) -> None:
    """While a graph is built its voxels have the highest node that there is, which grows with it."""
    run = begun(tmp_path / "example", replace(PARAMS, grid=(2, 2, 1)))
    view, volume = GraphView(run), supervoxels_of(run)
    ids, top = run.record.plan.ids, run.record.plan.grid.layer_count
    supervoxels = np.unique(volume)[1:]
    assert not view.lineage.lifted(supervoxels, top).any()
    run.work(stopped=Counted(2))
    some = view.lineage.lifted(supervoxels, top)
    assert some.any() and not some.all()
    run.work()
    done = view.lineage.lifted(supervoxels, top)
    assert run.finished and set(ids.layers(done[done > 0]).tolist()) == {top}
    assert ((some > 0) <= (done > 0)).all()


def test_a_test_run(tmp_path: Path) -> None:
    """Of a test, which ends at a chunk of layer 3, whatever has no parent is a root; all else is empty."""
    run = begun(tmp_path / "example", test=True)
    run.work()
    view, ids = GraphView(run), run.record.plan.ids
    assert run.finished and view.top == 3
    layers = view.start["state"]["layers"]
    assert [layer["name"] for layer in layers[:3]] == ["roots", "layer 2", "supervoxels"]
    supervoxels = np.unique(supervoxels_of(run))[1:]
    with LoopbackServer(view_routes(view), classify=CLASSIFY) as server:
        shown = np.unique(volume_at(f"{server.address}/segments/3"))[1:]
        assert answer(server, "/segments/4/info")[0] == 404
    inside = {view.lineage.chain(int(one))[-1] for one in supervoxels if len(view.lineage.chain(int(one))) > 1}
    assert set(shown.tolist()) == inside
    assert inside
    node = int(shown[0])
    shown_at, selected, _, outlined = opened(run, node=node)
    assert (shown_at, selected, outlined) == ("roots", [str(node)], [str(ids.chunk_of(node))])


class Counted:
    """Says that it is time to stop after so many questions."""

    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_facts_of_voxels(small_graph: Run, server: LoopbackServer, shown_chain: Callable[[int], list[int]]) -> None:
    """A voxel's supervoxel and chain are those of `show`; ids are texts; background and outside say so."""
    volume, space = supervoxels_of(small_graph), GraphView(small_graph).space
    for voxel in np.argwhere(volume)[::5000]:
        at = [int(low + step) for low, step in zip(space.low, voxel, strict=True)]
        found = facts(server, "/at?x={}&y={}&z={}".format(*at))
        chain = shown_chain(int(found["supervoxel"]))
        assert found["supervoxel"] == str(volume[tuple(voxel)])
        assert [line["node"] for line in found["chain"]] == list(map(str, chain or [int(found["supervoxel"])]))
        assert found["root"] == (str(chain[-1]) if chain else None)
        for line in found["chain"]:
            low, high = line["box"]
            assert all(start <= here < end for start, here, end in zip(low, at, high, strict=True))
    empty = [int(low + step) for low, step in zip(space.low, np.argwhere(volume == 0)[0], strict=True)]
    found = facts(server, "/at?x={}&y={}&z={}".format(*empty))
    assert found["supervoxel"] is None and found["chain"] == [] and found["root"] is None
    x, y, z = space.high
    assert answer(server, f"/at?x={x}&y={y - 1}&z={z - 1}")[0] == 404
    for odd in (
        "x=1&y=2",
        "x=1&y=2&z=3.5",
        "x=1&y=2&z=1e3",
        "x=1&y=2&z=",
        "x=1&y=2&z=%3Cb%3E",
        "x=9&y=9&z=" + "9" * 99,
    ):
        assert answer(server, f"/at?{odd}")[0] == 400


def test_facts_of_nodes(small_graph: Run, server: LoopbackServer, view: GraphView) -> None:
    """A root's supervoxels are counted as those that lead to it; any node is found at a voxel of its own."""
    volume, top = supervoxels_of(small_graph), small_graph.record.plan.grid.layer_count
    supervoxels = np.unique(volume)[1:]
    for layer in (1, 2, 3, top):
        nodes = view.lineage.lifted(supervoxels, layer)
        node = int(nodes[nodes > 0][len(nodes) // 3])
        found = facts(server, f"/node/{node}")
        assert (found["supervoxels"], found["whole"]) == (int((nodes == node).sum()), True)
        assert found["node"] == str(node) and found["root"] == found["chain"][-1]["node"]
        voxel = facts(server, f"/place/{node}")["voxel"]
        inside = tuple(at - low for at, low in zip(voxel, view.space.low, strict=True))
        assert int(view.lineage.lifted(volume[inside].reshape(1), layer)[0]) == node


def test_counting_ends(small_graph: Run, view: GraphView) -> None:
    """A root with very many nodes is counted as far as a few reads go, and it is said that there are more."""
    top = small_graph.record.plan.grid.layer_count
    roots, counts = np.unique(
        view.lineage.lifted(np.unique(supervoxels_of(small_graph))[1:], top), return_counts=True
    )
    largest = int(roots[1:][np.argmax(counts[1:])])
    assert view.lineage.supervoxels(largest) == (int(counts[1:].max()), True)
    count, whole = view.lineage.supervoxels(largest, most_rows=3)
    assert not whole and count < counts[1:].max()


@pytest.mark.parametrize("node", [0, 1, 7 << 56, (1 << 64) - 1, 1 << 64, 10**19, 99999999999999999999])
def test_unknown_nodes(server: LoopbackServer, node: int) -> None:
    """An id that no row has is not there, with the sentence of `show`, whatever its layer would be."""
    for kind in ("node", "place"):
        status, body = answer(server, f"/{kind}/{node}")
        assert status == 404 and b"no node" in body


def outlines(server: LoopbackServer, layer: int, cell: tuple[int, ...]) -> list[tuple[int, list[float], list[int]]]:
    """The boxes of a cell: id, corners and properties, by the words of the format."""
    status, data = answer(server, f"/chunks/l{layer}/{'_'.join(map(str, cell))}")
    assert status == 200, data
    count = int(np.frombuffer(data[:8], "<u8")[0])
    assert len(data) == 8 + count * (24 + 16 + 8)
    names = np.frombuffer(data[8 + 40 * count :], "<u8").tolist()
    boxes = [data[8 + 40 * at : 48 + 40 * at] for at in range(count)]
    return [
        (name, np.frombuffer(box[:24], "<f4").tolist(), np.frombuffer(box[24:], "<u4").tolist())
        for name, box in zip(names, boxes, strict=True)
    ]


def test_outlines_of_chunks(small_graph: Run, server: LoopbackServer, view: GraphView) -> None:
    """The cells of a level have each chunk of its layer once, under the chunk's id; boxes of a layer fill the
    volume."""
    info, grid, ids = facts(server, "/chunks/info"), small_graph.record.plan.grid, small_graph.record.plan.ids
    assert [level["key"] for level in info["spatial"]] == [f"l{at}" for at in range(grid.layer_count, 1, -1)]
    whole = np.prod([high - low for low, high in zip(view.space.low, view.space.high, strict=True)])
    for level in info["spatial"]:
        layer = int(level["key"][1:])
        found = [one for cell in np.ndindex(*level["grid_shape"]) for one in outlines(server, layer, cell)]
        assert sorted(name for name, _, _ in found) == sorted(ids.chunk_id(chunk) for chunk in grid.chunks(layer))
        assert sum(np.prod(np.subtract(corners[3:], corners[:3])) for _, corners, _ in found) == whole
        for name, corners, (of, *coords) in found:
            assert of == layer and ids.chunk_id(Chunk(layer, *coords)) == name
            assert answer(server, f"/chunks/by_id/{name}")[1][:24] == np.array(corners, "<f4").tobytes()
    found = facts(server, "/chunk/3/1_0_0")
    assert found["chunk"] == "3/1_0_0" and found["box"] == list(map(list, view.space.box(Chunk(3, 1, 0, 0))))


HOSTILE = [
    *("/segments/0/info", "/segments/99/info", "/segments/-1/info", "/segments/2/../info", "/segments/2/s0/info"),
    *("/segments/2/s1/0-1_0-1_0-1", "/segments/2/s0/0-1_0-1_0-1", "/segments/2/s0/..%2f..%2finfo"),
    *("/segments/2/s0/0-99999999999_0-1_0-1", "/segments/2/s0/1_2_3", "/segments/2/..%2Fws/info", "/ws/info"),
    *("/chunks/l2/9_9_9", "/chunks/l0/0_0_0", "/chunks/l99/0_0_0", "/chunks/l2/-1_0_0", "/chunks/l2/0_0"),
    *("/chunks/by_id/0", "/chunks/by_id/1", "/chunks/by_id/" + "9" * 20, "/chunks/by_id/" + "9" * 400),
    *("/chunk/2/9_0_0", "/chunk/99/0_0_0", "/chunk/2/0_0", "/chunk/2/0_0_0_0", "/node/", "/node/x", "/node/-1"),
    *("/node/" + "9" * 5000, "/v/graph/index.html", "/v/graph/..%2f..%2fserver.py", "/v/graph/../../server.py"),
    *("/look/..%2fview.py", "/look/../view.py", "/look/__init__.py", "/run.json", "/v/", "/v/other/"),
]


@pytest.mark.parametrize("path", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_else_is_there(server: LoopbackServer, path: str) -> None:
    """Blocks that no info has, other layers, other files: not there, and nothing is read for them."""
    assert answer(server, path)[0] == 404


def test_blocks_of_one_grid(server: LoopbackServer, view: GraphView) -> None:
    """Every block that the info has is there, and one that is shifted by a voxel is not."""
    (scale,) = facts(server, "/segments/2/info")["scales"]
    low, side, size = scale["voxel_offset"], scale["chunk_sizes"][0], scale["size"]
    ends = [min(start + length, start + whole) for start, length, whole in zip(low, side, size, strict=True)]
    right = "_".join(f"{start}-{end}" for start, end in zip(low, ends, strict=True))
    wrong = "_".join(f"{start + 1}-{end + 1}" for start, end in zip(low, ends, strict=True))
    assert answer(server, f"/segments/2/s0/{right}")[0] == 200
    assert answer(server, f"/segments/2/s0/{wrong}")[0] == 404


def test_the_page(server: LoopbackServer) -> None:
    """The page, its own files and all of the client that it names are there; the start names each layer once."""
    assert answer(server, "/")[1] == answer(server, "/v/graph/")[1] != b""
    start = facts(server, "/start.json")
    for name in [*start["scripts"], *start["styles"]]:
        assert answer(server, f"/v/graph/{name}")[0] == 200
    for name in ("start.js", "panel.js", "view.css"):
        assert answer(server, f"/look/{name}")[0] == 200
    names = [layer["name"] for layer in start["state"]["layers"]]
    assert names == ["roots", "layer 3", "layer 2", "supervoxels", "chunk grid", "outlined"]
    assert [layer["name"] for layer in start["state"]["layers"] if layer.get("visible")] == ["roots"]


def opened(run: Run, **given: int) -> tuple[str, list[str], list[float], list[str]]:
    """What a view is opened with: the layer shown, what is selected in it, the position, what is outlined."""
    state = GraphView(run, **given).start["state"]
    (shown,) = [layer for layer in state["layers"] if layer.get("visible")]
    return (
        shown["name"],
        shown["segments"],
        state["position"],
        [one["id"] for one in state["layers"][-1]["annotations"]],
    )


def test_opened_at_a_node(small_graph: Run, view: GraphView) -> None:
    """NODE selects it in its own layer, at one of its voxels, with its chunk outlined; LAYER shows what it is
    there."""
    volume, ids = supervoxels_of(small_graph), small_graph.record.plan.ids
    chains = [view.lineage.chain(int(one)) for one in np.unique(volume)[1:][::50]]
    chain = max(chains, key=len)
    assert len(chain) == 4
    for node, name in zip(chain, ("supervoxels", "layer 2", "layer 3", "roots"), strict=True):
        shown, selected, position, outlined = opened(small_graph, node=node)
        chunk = ids.chunk_of(node)
        assert (shown, selected) == (name, [str(node)])
        assert outlined == [str(chunk._replace(layer=max(2, chunk.layer)))]
        inside = tuple(int(at) - low for at, low in zip(position, view.space.low, strict=True))
        assert node in view.lineage.chain(int(volume[inside]))
    assert opened(small_graph, node=chain[0], layer=3)[:2] == ("layer 3", [str(chain[2])])
    assert opened(small_graph, node=chain[0], layer=4)[:2] == ("roots", [str(chain[3])])
    # Of a root one of its own nodes is selected: the one at the position.
    shown, (own,), *_ = opened(small_graph, node=chain[3], layer=2)
    assert shown == "layer 2" and view.lineage.chain(int(own))[-1] == chain[3]
    assert opened(small_graph, layer=2)[:2] == ("layer 2", [])


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"layer": 0}, "LAYER=0"),
        ({"layer": 5}, "layers 2 to 4"),
        ({"node": 5}, "no node 5"),
        ({"node": 0}, "no node"),
    ],
)
def test_refused(small_graph: Run, given: dict[str, int], told: str) -> None:
    """A layer or a node that there is not is refused before anything is served."""
    with pytest.raises(StateError, match=told):
        GraphView(small_graph, **given)


def test_without_a_volume(small_graph: Run, tmp_path: Path) -> None:
    """A record that names no volume, one that is gone, and a run without a table: each says what is missing."""
    of = small_graph.record
    with pytest.raises(StateError, match="names no volume"):
        GraphView(Run(small_graph.backend, replace(of, dataset={})))
    moved = {**of.dataset, "data_source": {**of.dataset["data_source"], "WATERSHED": f"file://{tmp_path}/gone"}}
    with pytest.raises(StateError, match="gone: the volume of supervoxels cannot be read"):
        GraphView(Run(small_graph.backend, replace(of, dataset=moved)))
    with pytest.raises(StateError, match="has no table"):
        GraphView(Run(small_graph.backend, replace(of, prepare=True)))


def test_blocks_that_are_missing_or_damaged(small_graph: Run, tmp_path: Path) -> None:
    """A block that is not there (yet) is background; one that is damaged is said to be, with its chunk."""
    of = small_graph.record
    shutil.copytree(location_of(small_graph), tmp_path / "ws")
    blocks = sorted(path for path in (tmp_path / "ws").rglob("*_*_*") if path.is_file())
    low, high = zip(*(map(int, part.split("-")) for part in blocks[0].name.split("_")), strict=True)
    blocks[0].unlink()
    blocks[1].write_bytes(b"damaged")
    changed = {**of.dataset, "data_source": {**of.dataset["data_source"], "WATERSHED": f"file://{tmp_path}/ws"}}
    view = GraphView(Run(small_graph.backend, replace(of, dataset=changed)))
    assert not view.read(view.scales[0], (low, high)).any()
    name = blocks[1].name
    with LoopbackServer(view_routes(view), classify=CLASSIFY) as server:
        status, body = answer(server, f"/segments/2/s0/{name}")
        assert answer(server, f"/segments/2/s0/{blocks[2].name}")[0] == 200
    assert status == 500 and name.encode() in body and b"cannot be read" in body


def test_damaged_cells(small_graph: Run) -> None:
    """A parent that is none, or in no higher layer (which might lead round and round), is a DataError with its
    row."""
    from shared.run.ports import Row

    ids = small_graph.record.plan.ids
    node = int(np.unique(supervoxels_of(small_graph))[1])

    def lineage(value: bytes) -> Lineage:
        row = Row(b"%020d" % node, {"0:parents": value})
        return Lineage(cast(Any, SimpleNamespace(read_keys=lambda keys, column: iter([row]))), ids, "t")

    one: Ids = np.array([node], np.uint64)
    for value in (b"short", node.to_bytes(8, "little"), bytes(8)):
        with pytest.raises(DataError, match=str(node)):
            lineage(value).lifted(one, 4)


@given(st.tuples(*[st.integers(1, 4096)] * 3))
def test_served_blocks_are_small(stored: tuple[int, int, int]) -> None:
    """However large the blocks of a volume are, those that are served take a bounded memory, and small ones are
    served as they are."""
    served = served_block(stored)
    assert math.prod(served) <= MOST_VOXELS and all(
        1 <= part <= side for part, side in zip(served, stored, strict=True)
    )
    assert math.prod(stored) > MOST_VOXELS or served == stored


@given(st.lists(st.lists(st.integers(1, (1 << 64) - 1), min_size=1, max_size=30, unique=True), max_size=20))
def test_memory_forgets_and_never_mixes_up(rounds: list[list[int]]) -> None:
    """What is remembered of a node is its own parent, or nothing: also of nodes that share a slot."""
    memory, parents = Memory(bits=2), dict[int, int]()
    for nodes in rounds:
        of = [node ^ 0x5555 or 1 for node in nodes]
        parents.update(zip(nodes, of, strict=True))
        memory.put(np.array(nodes, np.uint64), np.array(of, np.uint64))
        assert int(memory.get(np.array(nodes[-1:], np.uint64))[0]) == of[-1]
        asked = np.array(list(parents), np.uint64)
        for node, found in zip(asked.tolist(), memory.get(asked).tolist(), strict=True):
            assert found in (0, parents[node])


@given(hnp.arrays(np.uint64, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=st.integers(0, 9)))
def test_relabelling(voxels: Any) -> None:
    """Each supervoxel is asked for once, in order, and each voxel has the answer, in all 64 bits; 0 stays."""
    asked: list[list[int]] = []

    def nodes_of(ids: Ids) -> Ids:
        asked.append(ids.tolist())
        return np.uint64(1 << 63) + ids

    found = relabelled(voxels, nodes_of)
    assert asked == [sorted(set(voxels.ravel().tolist()) - {0})]
    assert (found == np.where(voxels == 0, 0, voxels + np.uint64(1 << 63))).all() and found.dtype == np.uint64


def test_coarser_scales(small_graph: Run, tmp_path: Path) -> None:
    """The mip levels that a volume has are served too, each voxel with the node of the supervoxel there."""
    from cloudvolume import CloudVolume

    of, voxels = small_graph.record, supervoxels_of(small_graph)
    shutil.copytree(location_of(small_graph), tmp_path / "ws")
    volume: Any = CloudVolume(f"file://{tmp_path}/ws", progress=False)
    volume.add_scale((2, 2, 1), chunk_size=[16, 16, 16])
    volume.commit_info()
    volume = CloudVolume(f"file://{tmp_path}/ws", mip=1, progress=False)
    coarse = np.asfortranarray(voxels[::2, ::2])
    low = [int(at) for at in volume.bounds.minpt]
    volume[tuple(slice(at, at + side) for at, side in zip(low, coarse.shape, strict=True))] = coarse[..., None]
    changed = {**of.dataset, "data_source": {**of.dataset["data_source"], "WATERSHED": f"file://{tmp_path}/ws"}}
    view = GraphView(Run(small_graph.backend, replace(of, dataset=changed)))
    with LoopbackServer(view_routes(view), classify=CLASSIFY) as server:
        served: Any = CloudVolume(f"precomputed://{server.address}/segments/{view.top}", mip=1, progress=False)
        found = np.asarray(served[:, :, :])[..., 0]
    assert [scale.mip for scale in view.scales] == [0, 1]
    assert (
        found[: coarse.shape[0], : coarse.shape[1]] == relabelled(coarse, lambda ids: view.lineage.lifted(ids, 9))
    ).all()
