"""The page of a run: what it is made of, and the answers that it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.console import parse_chunk
from jobs.look.loopback import Answer, NoAnswer, Request, Route, files_of
from jobs.look.refresher import PATIENCE, Refresher
from shared.look import answers
from shared.look.shown import NUMBERS
from shared.look.slices import Slice, first_layer, sliced
from shared.look.watch import View, Watch
from shared.plan.grid import Chunk

ASSETS = Path(__file__).parent / "assets" / "page"


class Page:
    """Answers what the page of one run asks, each with what is known after `patience` seconds at the most."""

    def __init__(self, watch: Watch, patience: float = PATIENCE) -> None:
        self._watch, self._refresher, self._patience = watch, Refresher(watch), patience

    @property
    def routes(self) -> Mapping[str, Route]:
        """Paths and who answers them."""
        files = files_of(ASSETS)
        return {
            "/": lambda _: files(Request(("index.html",))),
            r"/page/([a-z.]+)": files,
            "/api/run": self.run,
            "/api/map": self.map,
            "/api/chunk": self.chunk,
        }

    def run(self, request: Request) -> Answer:
        """The run as a whole."""
        return self._answer(View(), request, answers.of_run)

    def map(self, request: Request) -> Answer:
        """A view of the map; numbers that lead outside are brought inside."""
        given = request.arguments
        number = given.get("number") or None
        if number is not None and number not in NUMBERS:
            raise NoAnswer(400, f"a number is one of {', '.join(NUMBERS)}")
        view = self._slice(given)
        return self._answer(View(slice=view), request, lambda watch: answers.of_view(watch, view, number))

    def chunk(self, request: Request) -> Answer:
        """One chunk by its name."""
        text = request.arguments.get("chunk", "")
        try:
            chunk = parse_chunk(text[:100])
        except Exception as error:
            raise NoAnswer(400, f"{text[:100]!r} is no chunk; write one as L X Y Z or L/X_Y_Z") from error
        self._need(chunk)
        return self._answer(View(chunk=chunk), request, lambda watch: answers.of_chunk(watch, chunk))

    def _need(self, chunk: Chunk) -> None:
        if chunk not in self._watch.run.record.plan:
            raise NoAnswer(404, f"the run has no chunk {chunk}")

    def _slice(self, given: Mapping[str, str]) -> Slice:
        plan = self._watch.run.record.plan
        try:
            axis = _whole(given, "axis")
            axis = 2 if axis is None else axis
            layer = _whole(given, "layer")
            layer = first_layer(plan, axis) if layer is None else layer
            return sliced(plan, layer, axis, *(_whole(given, name) for name in ("at", "u", "v")))
        except ValueError as error:
            raise NoAnswer(400, str(error)) from error

    def _answer(self, view: View, request: Request, made: Any) -> Answer:
        slow = self._refresher.ask(view, request.arguments.get("again") == "1", self._patience)
        return Answer.of_json({**made(self._watch), "slow_seconds": slow})


def _whole(given: Mapping[str, str], name: str) -> int | None:
    """A whole number; ValueError for what is none, or has more digits than a grid's."""
    text = given.get(name, "")
    if not text:
        return None
    if len(text) > 12:
        raise ValueError(f"{name} is no number of a grid")
    return int(text)
