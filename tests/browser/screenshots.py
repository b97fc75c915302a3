"""`python -m tests.browser.screenshots`: the pictures of the documents, by a browser without a screen."""

from __future__ import annotations

import shutil

from jobs.look.loopback import LoopbackServer
from jobs.look.view import VIEW_POLICY, GraphView, view_routes
from jobs.paths import REPOSITORY
from shared.memory.backend import MemoryBackend
from shared.operate.begin import begin
from shared.operate.check import check
from tests.browser.conftest import Browser, chromium
from tests.browser.half_done import picture

DOCS = REPOSITORY / "docs"
POINTED = (60, -80)
"""Where the pointer is, in pixels from the middle of the first panel."""


def view(browser: Browser) -> None:
    """docs/view.png: the example coloured by root, with what is told of a voxel."""
    from selenium.webdriver import ActionChains

    run, _ = begin(MemoryBackend(), check(REPOSITORY / "configs" / "example.yml", graph="example"), "example")
    run.work()
    with LoopbackServer(view_routes(GraphView(run)), policy=VIEW_POLICY) as server:
        browser.open(server.address)
        browser.wait("return document.documentElement.dataset.ready === 'yes' && viewer.isReady()")
        panel = browser.run("return document.querySelector('.neuroglancer-rendered-data-panel')")
        actions = ActionChains(browser.driver).move_to_element(panel).move_to_element_with_offset(panel, *POINTED)
        actions.click().perform()
        browser.wait("return document.querySelector('#clicked > :nth-last-child(2)')?.textContent")
        browser.wait("return viewer.isReady()")
        shutil.copy(browser.screenshot("view"), DOCS / "view.png")


if __name__ == "__main__":
    with chromium(1200, 720) as opened:
        view(opened)
        picture(opened)
