"""The browser of these tests tells errors of a page, and what it asks of other places."""

from __future__ import annotations

from collections.abc import Mapping

from jobs.look.loopback import POLICY, Answer, LoopbackServer, Request
from tests.browser.conftest import Browser

PAGE = b"""<!doctype html><meta charset=utf-8><title>a page</title><link rel=icon href="data:,">
<script src="script.js"></script>"""


OPEN = {**POLICY, "default-src": "* 'self' blob:"}


def script(text: str, policy: Mapping[str, str] = OPEN) -> LoopbackServer:
    """A page with a script, which may ask for anything unless a policy says otherwise."""

    def page(_: Request) -> Answer:
        return Answer(PAGE, "text/html; charset=utf-8")

    def its_script(_: Request) -> Answer:
        return Answer(text.encode(), "text/javascript; charset=utf-8")

    return LoopbackServer({"/": page, r"/script\.js": its_script}, policy=policy)


def test_a_quiet_page(browser: Browser) -> None:
    """A page that keeps to itself leaves no trace of either."""
    with script("document.title = 'ready'") as server:
        browser.open(server.address)
        browser.wait("return document.title == 'ready'")
    assert browser.errors() == [] and browser.asked_elsewhere == []
    assert browser.screenshot("test-quiet").stat().st_size > 0


def test_what_it_notices(browser: Browser) -> None:
    """An error in the console, and requests of a page and of its worker for another place."""
    worker = "fetch('http://of-a-worker.example/x').catch(() => postMessage('done'))"
    with script(
        f"""const blob = new Blob([{worker!r}]);
        const worker = new Worker(URL.createObjectURL(blob));
        worker.onmessage = () => fetch('https://of-a-page.example/x').catch(() => document.title = 'asked');
        console.error('it is wrong');"""
    ) as server:
        browser.open(server.address)
        browser.wait("return document.title == 'asked'")
    assert any("it is wrong" in text for text in browser.errors())
    assert any("of-a-worker.example" in line for line in browser.asked_elsewhere)
    assert any("of-a-page.example" in line for line in browser.asked_elsewhere)


def test_the_policy_keeps_requests_here(browser: Browser) -> None:
    """By the policy that pages have unless they say otherwise, a browser asks nothing of another place."""
    text = "fetch('http://elsewhere.example/x').catch(() => document.title = 'refused')"
    with script(text, POLICY) as server:
        browser.open(server.address)
        browser.wait("return document.title == 'refused'")
    assert browser.asked_elsewhere == []
    assert any("Content Security Policy" in text for text in browser.errors())
