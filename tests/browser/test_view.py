"""`make view` in a browser: Neuroglancer shows what the table says, tells it of what one points at, and asks nobody
else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from jobs.look.loopback import Answer, LoopbackServer, Request, Route
from jobs.look.view import VIEW_POLICY, GraphView, view_routes
from shared.gcp.progress import CLASSIFY
from shared.plan.grid import Chunk
from tests.browser.conftest import Browser
from tests.small_graphs import built, supervoxels_of

ASKED: list[tuple[str, tuple[str, ...]]] = []
READY = "return document.documentElement.dataset.ready === 'yes'"

ALL = """
const layer = viewer.layerManager.getLayerByName(arguments[0]).layer;
const found = arguments[1].map((voxel) => {
  const at = Float32Array.from(voxel, (value) => value + 0.5);
  for (const part of layer.renderLayers) {
    const value = part.getValueAt?.(at);
    if (value !== undefined && value !== null) return String(value.value ?? value);
  }
  return null;
});
return found.includes(null) ? null : found;
"""
"""What the viewer has at voxels of a layer, as it draws it; null while it has not loaded all of them."""

SHOW_ONLY = """
for (const layer of viewer.layerManager.managedLayers) {
  if (layer.layer.displayState?.segmentationGroupState) layer.setVisible(layer.name === arguments[0]);
}
"""
COUNTED = "return document.querySelector('#clicked > :nth-last-child(2)')?.textContent === arguments[0]"
POINTED = "return document.getElementById('hovered').dataset.voxel === arguments[0]"
ASK = "document.getElementById('wanted').value = arguments[0]; document.getElementById('go').requestSubmit()"
SELECTED = """
const state = viewer.layerManager.getLayerByName(arguments[0])?.layer?.displayState?.segmentationGroupState.value;
return state ? [...state.visibleSegments].map(String) : null;
"""
IN_ADDRESS = "return decodeURIComponent(location.hash).includes(arguments[0])"
POSITION = 'return `"position":${JSON.stringify(Array.from(viewer.position.value))}`'
OUTLINED = """
const kept = viewer.layerManager.getLayerByName('outlined').layer.localAnnotations;
return [...kept].map((one) => one.id);
"""


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> GraphView:
    """A view of a small graph."""
    return GraphView(built(tmp_path_factory.mktemp("small") / "example"))


@pytest.fixture(scope="module")
def server(view: GraphView) -> Iterator[LoopbackServer]:
    """It, served."""
    ASKED.clear()
    routes = {path: noted(path, route) for path, route in view_routes(view).items()}
    with LoopbackServer(routes, policy=VIEW_POLICY, classify=CLASSIFY) as found:
        yield found


def noted(path: str, route: Route) -> Route:
    """The same route, which notes what it was asked for: what workers of the page ask is not known to the page."""

    def answer(request: Request) -> Answer:
        ASKED.append((path, request.parts))
        return route(request)

    return answer


@pytest.fixture
def page(browser: Browser, server: LoopbackServer) -> Iterator[Browser]:
    """The page, ready. Afterwards: it said of no error, and asked for nothing but this server."""
    browser.open(server.address)
    browser.wait(READY)
    yield browser
    assert browser.errors() == []
    assert browser.asked_elsewhere == []
    asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert asked and all(name.startswith((server.address, "data:", "blob:")) for name in asked)


def in_slice(view: GraphView, count: int, seed: int = 0) -> list[list[int]]:
    """Voxels of supervoxels in the middle slice along z, which is what a view opens with."""
    volume, space = supervoxels_of(view.run), view.space
    z = (space.low[2] + space.high[2]) // 2
    flat = np.argwhere(volume[:, :, z - space.low[2]])
    chosen = np.random.default_rng(seed).choice(flat, count, replace=False)
    return [[int(x) + space.low[0], int(y) + space.low[1], z] for x, y in chosen]


def expected(view: GraphView, voxels: list[list[int]], layer: int) -> list[str]:
    """The nodes at voxels by the table, as texts."""
    volume = supervoxels_of(view.run)
    found = []
    for voxel in voxels:
        inside = tuple(at - low for at, low in zip(voxel, view.space.low, strict=True))
        found.append(str(view.lineage.lifted(volume[inside].reshape(1), layer)[0]))
    return found


def point(page: Browser, voxel: list[int], click: bool = False) -> None:
    """Moves the view so that a voxel is in the middle of the slices' panel, and points, or clicks, there."""
    from selenium.webdriver import ActionChains

    page.run("viewer.position.value = Float32Array.from(arguments[0], (at) => at + 0.5)", voxel)
    panel = page.run("return [...document.querySelectorAll('.neuroglancer-rendered-data-panel')]")[0]
    # Away and back, as a pointer that stays says nothing.
    actions = ActionChains(page.driver).move_to_element_with_offset(panel, 40, 60).move_to_element(panel)
    (actions.click() if click else actions).perform()


def listed(page: Browser, name: str) -> list[str]:
    """What a list of the page says, cell by cell."""
    found: list[str] = page.run(
        "return [...document.querySelectorAll(`#${arguments[0]} > *`)].map((cell) => cell.textContent)", name
    )
    return found


def test_what_it_shows(page: Browser, view: GraphView) -> None:
    """200 voxels of the slice that it opens with have, in the viewer itself, the root that the table says, in all
    64 bits; and on demand the node of any layer."""
    voxels = in_slice(view, 200)
    page.run("viewer.crossSectionScale.value = 0.5")  # all of the slice
    for layer, name in ((view.top, "roots"), (2, "layer 2"), (3, "layer 3"), (1, "supervoxels")):
        page.run(SHOW_ONLY, name)
        assert page.wait(ALL, f"all voxels of {name}", name, voxels) == expected(view, voxels, layer)
    page.screenshot("view-supervoxels")


def test_hovering_and_clicking(page: Browser, view: GraphView) -> None:
    """What the pointer is on is told: supervoxel, each parent with its chunk, root; a click counts its
    supervoxels."""
    volume, space = supervoxels_of(view.run), view.space
    for voxel in in_slice(view, 2, seed=3):
        inside = tuple(at - low for at, low in zip(voxel, space.low, strict=True))
        chain = view.lineage.chain(int(volume[inside]))
        point(page, voxel)
        page.wait(POINTED, f"facts of {voxel}", ",".join(map(str, voxel)))
        cells = listed(page, "hovered")
        assert [text for text in cells if text.isdigit()] == list(map(str, chain))
        assert str(view.run.record.plan.ids.chunk_of(chain[-1])) in cells
        point(page, voxel, click=True)
        page.wait(COUNTED, "the number of its supervoxels", str(view.lineage.supervoxels(chain[-1])[0]))
    page.screenshot("view-clicked")


def go(page: Browser, wanted: str) -> str:
    """Asks the page's form for something; what it says then."""
    page.run(ASK, wanted)
    text = "return document.getElementById('said').textContent"
    page.wait(lambda: page.run(text) not in ("", "looking for it …"), f"an answer to {wanted}")
    return str(page.run(text))


def test_selecting_by_id(page: Browser, view: GraphView) -> None:
    """A node that is asked for is selected where it is, with its chunk outlined, and the view moves there; the
    position is in the address, so the page can be loaded again, and begins with it then."""
    volume = supervoxels_of(view.run)
    chain = max((view.lineage.chain(int(one)) for one in np.unique(volume)[1:][::40]), key=len)
    said = go(page, str(chain[1]))
    assert said.startswith(f"{chain[1]} is at ")
    position = page.run("return Array.from(viewer.position.value, Math.floor)")
    assert said.endswith(", ".join(map(str, position)))
    inside = tuple(at - low for at, low in zip(position, view.space.low, strict=True))
    assert chain[1] in view.lineage.chain(int(volume[inside]))
    assert page.run(SELECTED, "roots") == [str(chain[-1])] and page.run(SELECTED, "layer 2") == [str(chain[1])]
    assert page.run(OUTLINED) == [str(view.run.record.plan.ids.chunk_of(chain[1]))]
    page.wait(IN_ADDRESS, "the selection in the address", str(chain[-1]))
    # The address follows a moment later, and not everything at once.
    page.wait(IN_ADDRESS, "the position in the address", page.run(POSITION))
    page.driver.refresh()
    page.wait(READY)
    assert page.run("return Array.from(viewer.position.value, Math.floor)") == position
    page.wait(lambda: page.run(SELECTED, "roots") == [str(chain[-1])], "the same selection")


def test_outlines(page: Browser, view: GraphView) -> None:
    """The boxes of chunks are loaded as they come into view; a chunk of any layer is outlined on demand."""
    layers = {str(layer) for layer in range(2, view.space.grid.layer_count + 1)}
    page.wait(lambda: layers <= {parts[0] for path, parts in ASKED if path.startswith("/chunks/l")}, "all layers")
    for chunk in (Chunk(2, 1, 2, 0), Chunk(3, 0, 1, 0), view.space.grid.root):
        said = go(page, f"{chunk.layer} {chunk.x} {chunk.y} {chunk.z}")
        low, high = view.space.box(chunk)
        assert said == f"chunk {chunk}, voxels {', '.join(map(str, low))} to {', '.join(map(str, high))}"
    page.screenshot("view-outlined")


def test_a_slow_machine(page: Browser, view: GraphView, server: LoopbackServer) -> None:
    """Where the client takes long to restore its state, every layer is there all the same."""
    try:
        page.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": 10})
        page.open(server.address)
        page.wait(READY)
    finally:
        page.driver.execute_cdp_cmd("Emulation.setCPUThrottlingRate", {"rate": 1})
    names = page.run("return viewer.layerManager.managedLayers.map((layer) => layer.name)")
    assert names == [layer["name"] for layer in view.start["state"]["layers"]]


def test_what_is_not_there(browser: Browser, server: LoopbackServer) -> None:
    """An id that no row has, and text that is none, are said, as text, whatever it looks like."""
    browser.open(server.address)
    browser.wait(READY)
    assert "no node 5" in go(browser, "5")
    assert go(browser, "<img src=x onerror=alert(1)>") == "an id, or a chunk as in 3/1_0_0"
    assert "no chunk 9/9_9_9" in go(browser, "9/9_9_9")
    assert not browser.run("return document.querySelectorAll('#facts img').length")
    # A browser says of each answer that is none that it is none; nothing else went wrong.
    assert all("404" in text for text in browser.errors()) and browser.asked_elsewhere == []
