"""The page of a run in a real browser: it shows what the records have, while the run goes on, fails, pauses, ends,
or cannot be seen; it asks nothing of any other place, and shows text from outside as text."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import axe_core_python
import pytest

from jobs.look.loopback import LoopbackServer
from jobs.look.page import Page
from shared.look.slices import MOST_RECORDS, sliced
from shared.look.states import Look
from shared.look.watch import Watch
from shared.plan.grid import Chunk
from shared.run.facts import AtWork
from shared.run.history import Sample, note_sample
from shared.run.ports import Failure, State
from tests.browser.conftest import SECONDS, Browser
from tests.followed import Fallible, Followed, expected
from tests.harness import MemoryRun
from tests.prices import prices
from tests.synthetic import synthetic_run
from tests.volumes import random_volume

AXE = (Path(axe_core_python.__file__).parent / "axe.min.js").read_text()
MARKUP = (
    "<img src=x onerror=\"document.title='broken in'\"><b>it</b> of /data/<script>alert(1)</script>/edges_1.zst"
)


@contextmanager
def shown(followed: Followed, browser: Browser, where: str = "") -> Iterator[str]:
    """The page of a run, once it shows a map; what a browser may not do was not done when it is left."""
    with LoopbackServer(Page(followed.watch, SECONDS).routes) as server:
        browser.open(f"{server.address}/{where}")
        browser.wait("return Number(document.body.dataset.maps) > 0", "the map")
        yield server.address
        assert browser.errors() == [] and browser.asked_elsewhere == []


def again(browser: Browser) -> None:
    """Presses the button that has everything be looked at, and waits until it was."""
    counts = "[document.body.dataset.looks, document.body.dataset.maps].map(Number)"
    looks, maps = browser.run(f"return {counts}")
    browser.run("document.getElementById('again').click()")
    browser.wait(f"const [looks, maps] = {counts}; return looks > {looks} && maps > {maps}", "a new look")


def choose(browser: Browser, **values: object) -> None:
    """Sets controls of the map one after the other, each by its id, and waits for what is shown then."""
    for name, value in values.items():
        maps = browser.run("return Number(document.body.dataset.maps)")
        browser.run(
            """const [name, value] = arguments, control = document.getElementById(name);
            control.value = value;
            control.dispatchEvent(new Event(name == 'at' ? 'input' : 'change'))""",
            name,
            str(value),
        )
        browser.wait(f"return Number(document.body.dataset.maps) > {maps}", f"{name} {value}")


def text(browser: Browser, element: str) -> str:
    """The text of an element, as it is seen."""
    found: str = browser.run("return document.getElementById(arguments[0]).innerText", element)
    return found


def table(browser: Browser) -> dict[str, str]:
    """The states of the chunks in view, by the table behind the map."""
    rows = """const rows = document.getElementById('rows'); rows.open = true;
        const more = document.getElementById('more'); while (!more.hidden) more.click();
        const shown = [...document.querySelectorAll('#chunks tbody tr')];
        return shown.map(row => [...row.cells].map(cell => cell.innerText))"""
    browser.run("document.getElementById('rows').open = true")
    browser.wait("return document.querySelectorAll('#chunks tbody tr').length > 0", "the table")
    return {row[0]: row[1] for row in browser.run(rows)}


def painted(browser: Browser) -> list[str]:
    """The state of each cell of the map by the colour of a pixel near its corner."""
    script = """const canvas = document.getElementById('canvas'), pen = canvas.getContext('2d');
        const [columns, rows] = arguments, names = ['waiting', 'queued', 'building', 'done', 'failed', 'discarded'];
        const side = canvas.width / columns, found = [], probe = document.createElement('canvas').getContext('2d');
        const colours = Object.fromEntries(names.map(name => {
          probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue('--' + name);
          probe.fillRect(0, 0, 1, 1);
          return [[...probe.getImageData(0, 0, 1, 1).data].join(), name];
        }));
        for (let v = 0; v < rows; v++) for (let u = 0; u < columns; u++)
          found.push(colours[[...pen.getImageData(u * side + 3, v * side + 3, 1, 1).data].join()] || 'another');
        return found"""
    view = browser.run("return document.getElementById('canvas').getAttribute('aria-label')")
    columns, rows = view.split(", ")[-1].removesuffix(" chunks").split(" by ")
    found: list[str] = browser.run(script, int(columns), int(rows))
    return found


def check_map(browser: Browser, followed: Followed, layer: int, axis: int, at: int) -> None:
    """The map, the table behind it and the legend show the states that the records have."""
    states = expected(followed)
    view = sliced(followed.memory.record.plan, layer, axis, at)
    assert table(browser) == {str(chunk): str(states[chunk]) for chunk in view.chunks()}
    names = [str(states[chunk]).replace("being built", "building") for chunk in view.chunks()]
    assert painted(browser) == names
    legend = {line.split(": ")[0] for line in text(browser, "legend").splitlines()}
    assert legend == {str(states[chunk]) for chunk in view.chunks()}


def check_access(browser: Browser) -> None:
    """No rule of axe-core is broken that its authors call serious or critical."""
    browser.run(AXE)
    found = browser.driver.execute_async_script(
        "const done = arguments[0]; axe.run(document).then(found => done(found.violations))"
    )
    told = [
        (one["id"], [node["html"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert told == []


def colour_scheme(browser: Browser, name: str) -> None:
    """Light or dark, as a person's system says."""
    features = {"features": [{"name": "prefers-color-scheme", "value": name}]}
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", features)


def test_the_map_of_a_run_that_goes_on(browser: Browser) -> None:
    """After each change of layer, axis and slice, with failures and a worker at work, paused, while the run goes on
    and when it is done, the page shows the states that the records have; so does each chunk that is clicked on."""
    followed = Followed()
    followed.build(17)
    completion, plan = followed.memory.completion, followed.memory.record.plan
    left = sorted(chunk for chunk, state in expected(followed).items() if state is Look.QUEUED and chunk.layer == 2)
    completion.add_failure(Failure(left[0], "DataError", "damaged", "Trace\nback", 5, "host", "2026-01-01"))
    completion.add_failure(Failure(left[1], "DataError", "damaged", state=State.DISCARDED))
    completion.note_at_work(AtWork("host-7", left[2], followed.memory.record.timestamp_ms))
    with shown(followed, browser):
        assert text(browser, "graph") == "graph" and "1 chunk needs you" in text(browser, "sentence")
        for layer, axis, at in ((2, 2, 0), (2, 2, 1), (2, 0, left[0].x), (2, 1, 1), (3, 2, 0), (4, 0, 1)):
            choose(browser, layer=layer, axis=axis, at=at)
            check_map(browser, followed, layer, axis, at)
        choose(browser, layer=2, axis=2, at=left[0].z)
        browser.run("document.querySelector(`#chunks [data-chunk='${arguments[0]}']`).click()", str(left[0]))
        browser.wait(f"return document.body.dataset.chunk == '{left[0]}'", "a chunk")
        told = text(browser, "chunk")
        assert (
            "failed" in told and "Trace\nback" in told and f'make replay GRAPH=graph CHUNK="2 {left[0].x}' in told
        )
        browser.screenshot("page-failures")
        followed.watch.run.pause("since noon by somebody")
        again(browser)
        assert text(browser, "sentence").startswith("paused since noon by somebody")
        followed.memory.scratch.put("control.json", b'{"paused": "", "check_done_first": false}')
        followed.build(6)
        again(browser)
        check_map(browser, followed, 2, 2, left[0].z)
        for failed in left[:2]:
            completion.drop_failure(failed)
        followed.build(1000)
        again(browser)
        check_map(browser, followed, 2, 2, left[0].z)
        assert text(browser, "sentence") == f"done: all {sum(map(plan.total, plan.layers))} chunks are built"
        choose(browser, number="supervoxels")
        assert "not known" not in text(browser, "legend") and "supervoxels: " in text(browser, "legend")
        browser.screenshot("page-done")


def test_keyboard(browser: Browser) -> None:
    """Without a mouse: the arrow keys go through the map and say where they are, Enter goes into a chunk, + and -
    change the layer, and the names of others lead to them."""
    from selenium.webdriver import ActionChains
    from selenium.webdriver.common.keys import Keys

    followed = Followed()
    followed.build(20)
    with shown(followed, browser, "#layer=2&axis=2&at=0"):
        browser.run("document.getElementById('canvas').focus()")
        ActionChains(browser.driver).send_keys(*[Keys.ARROW_RIGHT] * 3, Keys.ARROW_DOWN).perform()
        assert text(browser, "cursor").startswith("chunk 2/2_1_0: ")
        ActionChains(browser.driver).send_keys(Keys.ENTER).perform()
        browser.wait("return document.body.dataset.chunk == '2/2_1_0'", "the chunk")
        assert browser.run("return document.activeElement.id") == "chunk-title"
        browser.run("document.getElementById('canvas').focus()")
        ActionChains(browser.driver).send_keys("-").perform()
        browser.wait("return document.body.dataset.view.startsWith('3 2 0')", "the layer above")
        ActionChains(browser.driver).send_keys(Keys.PAGE_DOWN, "+").perform()
        browser.wait("return document.body.dataset.view.startsWith('2 2 ')", "the layer below")
        browser.run("[...document.querySelectorAll('#about button.chunk')].pop().click()")
        browser.wait("return document.body.dataset.chunk.startsWith('3/')", "who waits for it")
        # The map goes along, and its cursor is on the chunk.
        browser.wait("return document.body.dataset.view.startsWith('3 ')", "the map of it")
        assert f"chunk {browser.run('return document.body.dataset.chunk')}: " in text(browser, "cursor")
        assert "chunk=3" in browser.run("return location.hash")


LATE = """
const real = window.fetch;
let held = false;
window.fetch = async (...asked) => {
  const answer = await real(...asked);
  if (held || !String(asked[0]).startsWith('/api/map')) return answer;
  held = true;
  const content = await answer.json();
  await new Promise((release) => { window.release = release; });
  return { ok: true, json: async () => { window.released = true; return content; } };
};
"""
"""The next answer about the map comes when `release` is called."""


def test_an_answer_that_comes_late(browser: Browser) -> None:
    """Of two places that were asked for, the later one is shown, whatever the order of the answers."""
    from selenium.webdriver import ActionChains

    followed = Followed()
    followed.build(20)
    with shown(followed, browser, "#layer=3&axis=2&at=0"):
        browser.run(LATE + "document.getElementById('canvas').focus()")
        ActionChains(browser.driver).send_keys("-").perform()
        browser.wait("return window.release !== undefined", "an answer that is held back")
        ActionChains(browser.driver).send_keys("+").perform()
        browser.wait("return document.body.dataset.view.startsWith('2 2 ')", "the layer below")
        browser.run("window.release()")
        browser.wait("return window.released", "the answer from before")
        assert browser.run("return document.body.dataset.view").startswith("2 2 ")
        assert "layer=2" in browser.run("return location.hash")


def test_text_from_outside_and_every_reader(browser: Browser) -> None:
    """Markup in error messages, tracebacks, names of workers and paths is shown as it is; nothing of the page is
    cut off at the width of a phone; and axe-core finds nothing serious, in the light and in the dark."""
    path = "gs://bucket/<b>fragments</b>"
    volume = random_volume(1, (5, 3, 2))
    memory = MemoryRun.of(volume)
    memory.record = replace(memory.record, made_by="<i>0.9</i>")
    followed = Followed(memory.start())
    followed.build(12)
    chunk = next(one for one, state in expected(followed).items() if state is Look.QUEUED)
    failure = Failure(chunk, "<u>Error</u>", f"{path}: {MARKUP}", MARKUP, 5, "<s>host</s>", "2026-01-01T00:00:00")
    memory.completion.add_failure(failure)
    begun = memory.record.timestamp_ms
    for number in range(4):
        sample = Sample(begun + 60_000 * number, {2: 3 * number}, number, 9, 1)
        note_sample(followed.backend.board(), "graph", "run", sample)
    try:
        with shown(followed, browser, f"#chunk={chunk}"):
            browser.wait(f"return document.body.dataset.chunk == '{chunk}'", "the chunk")
            for element in ("chunk", "failures"):
                assert MARKUP in text(browser, element) and path in text(browser, element)
            assert "<s>host</s>" in text(browser, "chunk") and "<i>0.9</i>" in text(browser, "kind")
            assert (
                browser.run("return document.querySelectorAll('main b, main img, main u, main s, i').length") == 0
            )
            assert browser.run("return document.querySelectorAll('#curves svg path').length") == 2
            check_access(browser)
            colour_scheme(browser, "dark")
            browser.resize(360, 740)
            browser.wait("return document.getElementById('canvas').clientWidth <= 360", "the phone")
            assert browser.run("return document.documentElement.scrollWidth") <= 360
            check_access(browser)
            browser.screenshot("page-phone-dark")
    finally:
        colour_scheme(browser, "light")
        browser.resize(1280, 800)


def test_records_out_of_reach(browser: Browser) -> None:
    """While Firestore is out of reach the page says so and shows what it knew; then it goes on by itself."""
    memory = MemoryRun.of(random_volume(1, (5, 3, 2)))
    memory.completion = Fallible()
    followed = Followed(memory.start())
    followed.build(12)
    with shown(followed, browser, "#layer=2&axis=2&at=0"):
        known, sentence = table(browser), text(browser, "sentence")
        memory.completion.broken = ConnectionError("<b>Firestore</b> is gone")
        followed.clock.now = 10.0
        again(browser)
        assert "Nothing new can be seen (ConnectionError: <b>Firestore</b> is gone)" in text(browser, "trouble")
        assert (table(browser), text(browser, "sentence")) == (known, sentence)
        memory.completion.broken = None
        followed.build(18)
        followed.clock.now = 20.0
        again(browser)
        assert text(browser, "trouble") == ""
        check_map(browser, followed, 2, 2, 0)


def test_a_million_chunks(browser: Browser) -> None:
    """Of 10^6 chunks a layer is shown that a person can see, whose states and numbers are those of the records;
    going into it reads the records of one view each time."""
    run, reads = synthetic_run((100, 100, 100), failed=3)
    records: Any = run.completion
    followed = Followed()
    followed.watch = Watch(run, prices())
    with shown(followed, browser):
        assert "layer 2 is 60 % done" in text(browser, "sentence")
        assert browser.run("return document.body.dataset.view").startswith("3 2 25")
        choose(browser, layer=2)
        for id in ("right", "down"):
            before, maps = reads.count, browser.run("return Number(document.body.dataset.maps)")
            browser.run("document.getElementById(arguments[0]).click()", id)
            browser.wait(f"return Number(document.body.dataset.maps) > {maps}", id)
            # Beside the view, what is known of the run as a whole may be looked at again.
            assert reads.count - before <= 2 * MOST_RECORDS + 1000
        states = table(browser)
        assert len(states) == 4096
        for name, state in states.items():
            layer, coords = name.split("/")
            chunk = Chunk(int(layer), *map(int, coords.split("_")))
            assert state == ("done" if records.is_done(chunk) else "queued") or chunk in records.failed
        choose(browser, number="seconds")
        assert "seconds: 0" in text(browser, "legend") and "not known" in text(browser, "legend")
        browser.screenshot("page-million")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/map?layer=9", 400),
        ("/api/map?layer=x", 400),
        ("/api/map?at=9999999999999999999", 400),
        ("/api/map?number=__class__", 400),
        ("/api/map?layer=2&axis=2&at=-5&u=-9&v=99999", 200),
        ("/api/chunk?chunk=<b>", 400),
        ("/api/chunk?chunk=2%2099%200%200", 404),
        ("/page/../page.py", 404),
        ("/page/%2e%2e/page.py", 404),
        ("/page/..%2f..%2fpage.py", 404),
        ("/page/index.html", 200),
        ("/etc/passwd", 404),
    ],
)
def test_what_is_asked_wrongly(path: str, status: int) -> None:
    """Whatever is asked for that is not there is refused with a sentence, and nothing but the page's files is
    served."""
    from http.client import HTTPConnection

    followed = Followed()
    with LoopbackServer(Page(followed.watch, SECONDS).routes) as server:
        connection = HTTPConnection(server.address.removeprefix("http://"))
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == status and b"Traceback" not in answer.read()
        connection.request("POST", "/api/run")
        assert connection.getresponse().status == 405
        connection.close()
        connection = HTTPConnection(server.address.removeprefix("http://"))
        connection.request("GET", "/api/run", headers={"Host": "elsewhere.example"})
        assert connection.getresponse().status == 403
        connection.close()
