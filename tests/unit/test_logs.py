"""Log lines: JSON as Cloud Logging reads it, and text for people."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from shared.logs import JsonFormatter, TextFormatter, set_up
from shared.plan.grid import Chunk
from shared.run.events import Event
from shared.version import VERSION


def record(level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    logger = logging.getLogger("shared.tests")
    return logger.makeRecord("shared", level, "file", 1, Event.CHUNK_DONE, (), None, extra=extra)


def raised() -> ValueError:
    try:
        raise ValueError("no")
    except ValueError as error:
        return error


def test_json() -> None:
    """One line with severity, time, the event's name, and the fields beside them."""
    line = JsonFormatter().format(record(fields={"layer": 2, "chunk": Chunk(2, 1, 2, 3), "peak_mb": 12.5}))
    found = json.loads(line)
    assert "\n" not in line
    assert found.pop("time").endswith("+00:00")
    assert found == {
        "severity": "INFO",
        "version": VERSION,
        "message": "chunk.done",
        "layer": 2,
        "chunk": [2, 1, 2, 3],
        "peak_mb": 12.5,
    }


def test_json_of_an_error() -> None:
    """An error comes with its traceback, cut to a limit, where error reporting looks for it."""
    found = json.loads(
        JsonFormatter().format(record(logging.ERROR, error=raised(), fields={"error": "ValueError"}))
    )
    assert (found["severity"], found["error"]) == ("ERROR", "ValueError")
    assert found["stack_trace"].startswith("Traceback") and "ValueError: no" in found["stack_trace"]


def test_text() -> None:
    """For people: the time of day, the level, the event and its fields, no traceback of what is foreseen."""
    line = TextFormatter().format(record(logging.WARNING, error=raised(), fields={"layer": 2, "rows": 7}))
    assert line[8:] == " warning chunk.done layer=2 rows=7"
    try:
        raise KeyError("surprise")
    except KeyError:
        surprise = logging.getLogger().makeRecord("x", logging.ERROR, "f", 1, "worker.bug", (), sys.exc_info())
    assert "KeyError: 'surprise'" in TextFormatter().format(surprise)


def test_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no terminal is, our own events go out as JSON; of libraries only warnings do."""
    before, levels = logging.getLogger().handlers[:], {}
    names = ("", "shared", "jobs", "functions")
    levels = {name: logging.getLogger(name).level for name in names}
    out = io.StringIO()
    monkeypatch.setattr(sys, "stderr", out)
    try:
        set_up()
        logging.getLogger("shared.run").info("chunk.done", extra={"fields": {"layer": 2}})
        logging.getLogger("urllib3").info("quiet")
        logging.getLogger("urllib3").warning("loud")
    finally:
        logging.getLogger().handlers[:] = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    messages = [json.loads(line)["message"] for line in out.getvalue().splitlines()]
    assert messages == ["chunk.done", "loud"]


def test_events_are_names() -> None:
    """Every event is a dotted name, each used once."""
    assert all(event.count(".") == 1 and event.islower() for event in Event)
    assert len({str(event) for event in Event}) == len(Event)
