"""The picture of the page of a run in the documents: a run in the memory of this process, with a damaged file."""

from __future__ import annotations

import shutil
import time

from jobs.look.loopback import LoopbackServer
from jobs.look.page import Page
from jobs.paths import PRICES, REPOSITORY
from shared.estimate.prices import load_prices
from shared.look.states import Look
from shared.look.watch import Watch
from shared.run.facts import AtWork
from shared.run.history import Sample, note_sample
from shared.run.ports import Failure, State
from shared.timestamps import text_of
from tests.browser.conftest import SECONDS, Browser
from tests.followed import Followed, expected
from tests.harness import MemoryRun
from tests.volumes import random_volume

DOCS = REPOSITORY / "docs"
STEP = 48
"""Chunks that are built in a minute of the picture's run."""


def half_done() -> Followed:
    """A run of a grid that fills a map, an hour after its begin."""
    begun = int(time.time() * 1000) - 3_600_000
    followed = Followed(MemoryRun.of(random_volume(1, (32, 20, 2), size=2), timestamp_ms=begun).start())
    memory, board, plan = followed.memory, followed.backend.board(), followed.memory.record.plan
    for minute in range(1, 21):
        followed.build(STEP // 2 + 2 * minute + 7 * (minute % 3))
        done = {layer: progress.done for layer, progress in memory.completion.progress(plan.layers).items()}
        at = begun + 1_000 * (3600 - 60 * (20 - minute))
        note_sample(board, "graph", "run", Sample(at, done, min(minute, 12), 500, 1))
    queued = [chunk for chunk, state in expected(followed).items() if state is Look.QUEUED and chunk.z == 1]
    near = sorted(queued, key=lambda chunk: abs(chunk.x - 22) + abs(chunk.y - 6))
    for number, chunk in enumerate(near[:3]):
        text = f"chunk {chunk}: gs://volumes/fly/edges/edges_22_6_1.data: its frame is cut off after 20,480 bytes"
        when = text_of(begun / 1000 + 3000 + number)
        memory.completion.add_failure(
            Failure(chunk, "DataError", text, f"DataError: {text}", 1, "l2-7", when, State.DEAD, when)
        )
    for number, chunk in enumerate(queued[5:-5:17]):
        memory.completion.note_at_work(AtWork(f"l2-{number}", chunk, begun + 3_590_000))
    followed.watch = Watch(followed.watch.run, load_prices(PRICES), followed.clock, followed.wall)
    return followed


def picture(browser: Browser) -> None:
    """docs/page.png: the page of it."""
    followed = half_done()
    browser.resize(1180, 1560)
    with LoopbackServer(Page(followed.watch, SECONDS).routes) as server:
        browser.open(f"{server.address}/#layer=2&axis=2&at=1")
        browser.wait("return document.querySelector('#failures button.chunk') !== null", "failures")
        browser.run("document.querySelector('#failures button.chunk').click()")
        browser.wait("return document.body.dataset.chunk", "the chunk")
        browser.run("document.activeElement.blur(); window.scrollTo(0, 0)")
        shutil.copy(browser.screenshot("page"), DOCS / "page.png")
