"""Why local workers wait, by their logs."""

from __future__ import annotations

import json
import os
from pathlib import Path

from jobs.local.worker_logs import END_BYTES, latest, reason_in


def line(message: str, severity: str = "INFO", **fields: object) -> str:
    return json.dumps({"severity": severity, "time": "2026-01-01T10:00:00.000+00:00", "message": message, **fields})


WAITS = line("service.unreachable", "ERROR", worker="w", error="IngestError", reason="no space", chunk="2/0_0_0")


def test_the_last_grave_line_counts() -> None:
    """The reason is what a worker said last with a warning or worse, with its error and chunk."""
    found = reason_in([line("worker.start", worker="w"), line("a", "WARNING", worker="w"), WAITS], "file")
    assert found is not None
    assert (found.worker, found.error, found.message, found.chunk) == ("w", "IngestError", "no space", "2/0_0_0")
    assert found.when.startswith("2026-01-01T10")


def test_a_chunk_that_is_done_ends_it() -> None:
    """After a chunk was done, or in a new process, nothing holds the worker up any more."""
    for event in ("chunk.done", "chunk.already_done", "worker.start", "worker.end"):
        assert reason_in([WAITS, line(event)], "file") is None
    assert reason_in([], "file") is None


def test_what_python_says() -> None:
    """A process that ends before it can log leaves the last line of a traceback, and that is the reason."""
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1', "MemoryError"]
    found = reason_in([line("worker.start"), *lines], "graph-1-0")
    assert found is not None and (found.worker, found.error, found.message) == ("graph-1-0", *["MemoryError"] * 2)
    named = reason_in(["grpc._channel.InactiveRpcError: it is gone"], "graph-1-0")
    assert named is not None and (named.error, named.message) == ("InactiveRpcError", "it is gone")
    assert reason_in(["some library's chatter", "[1, 2]", '"text"'], "graph-1-0") is None


def test_only_what_was_written_lately(tmp_path: Path) -> None:
    """Logs of earlier commands do not count, and of a long one only the end is read."""
    (tmp_path / "old.log").write_text(WAITS)
    os.utime(tmp_path / "old.log", (100.0, 100.0))
    (tmp_path / "new.log").write_text("x" * 5 * END_BYTES + "\n" + WAITS + "\n")
    assert [reason.worker for reason in latest(tmp_path, since=1000.0)] == ["w"]
    assert latest(tmp_path / "none", since=0.0) == []
