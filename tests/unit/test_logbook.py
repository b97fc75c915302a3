"""The lines of one chunk, wherever they are: found among others, whatever else is there, in order, and shown as
text."""

from __future__ import annotations

import gzip
import io
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import CliRunner, Result

from jobs.commands import logs as command
from jobs.local.apis_server import ApisServer
from shared.errors import IngestError, StateError, Unreachable
from shared.exit_codes import Exit
from shared.gcp.doctor.rest import RestCloud
from shared.logbook import cloud_logging, files
from shared.logbook.cloud_logging import console, in_cloud, query
from shared.logbook.files import in_file, in_folder
from shared.logbook.line import Wanted, newest, shown
from shared.memory.backend import MemoryBackend
from shared.memory.cloud import MemoryCloud, error
from shared.plan.grid import Chunk
from tests.contract.test_cloud import known
from tests.harness import record_of
from tests.volumes import random_volume

CHUNK = Chunk(2, 1, 1, 1)
WANTED = Wanted("g", CHUNK, "r2", "2026-01-01T00:00:00.000+00:00")
TRACE = 'Traceback (most recent call last):\n  File "x.py", line 1\nValueError: \x1b[31mred'


def line(at: int, event: str = "chunk.retried", **fields: Any) -> dict[str, Any]:
    """A line as a worker writes it, so many seconds after midnight."""
    known_of_all = {"severity": "WARNING", "time": f"2026-01-01T00:00:{at:02}.000+00:00", "message": event}
    return {**known_of_all, "version": "1", "worker": "w:0:1", "graph": "g", "run": "r2", "layer": 2} | {
        "chunk": "2/1_1_1",
        "attempt": at,
        **fields,
    }


OURS = [line(1, reason="no space"), line(2, stack_trace=TRACE), line(3, "chunk.done", severity="INFO", rows=7)]
OTHERS = [
    line(4, chunk="2/1_1_10"),
    line(5, chunk="3/1_1_1"),
    line(6, graph="G"),
    line(7, run="r1"),
    line(8, chunk="2/1_1_2", reason="it waits for 2/1_1_1"),
    {"message": "worker.start", "layers": "2/1_1_1"},
]
"""Of other chunks, graphs and runs, some of which name this one."""


def write(path: Path, lines: list[dict[str, Any]]) -> None:
    """A log."""
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))


def test_lines_of_a_chunk_among_others(tmp_path: Path) -> None:
    """Those of the run, in the order of their times though they are in several files, packed and rotated ones too;
    with all runs the older ones before them."""
    write(tmp_path / "g-1-0.log", [OURS[2], *OTHERS])
    write(tmp_path / "g-2-0.log.1", [OTHERS[0], OURS[0]])
    with gzip.open(tmp_path / "g-2-1.log.2.gz", "wt") as packed:
        packed.write(json.dumps(OURS[1]) + "\n")
    found = in_folder(tmp_path, WANTED)
    assert (list(found.lines), found.left_out, found.remarks) == (OURS, 0, ())
    every = in_folder(tmp_path, Wanted("g", CHUNK))
    assert [one["run"] for one in every.lines] == ["r2", "r2", "r2", "r1"]


def test_broken_logs(tmp_path: Path) -> None:
    """Lines cut off, no JSON, deep or no objects, bytes that are no text, files that are damaged, gone or no files:
    the lines around them are found, and what has to do with the chunk is told of."""
    good = json.dumps(OURS[0]).encode()
    bad = [
        b'{"chunk": "2/1_1_1", "run',
        b'["2/1_1_1"]',
        b"\xff\xfe 2/1_1_1",
        b"[" * 100_000 + b"2/1_1_1",
        b"chatter",
    ]
    (tmp_path / "a.log").write_bytes(b"\n".join([*bad, good, b""]))
    (tmp_path / "b.log.gz").write_bytes(gzip.compress(good + b"\n")[:-9])
    (tmp_path / "c.log.gz").write_bytes(b"no gzip")
    (tmp_path / "d.log").symlink_to("gone")
    (tmp_path / "e.log").mkdir()
    found = in_folder(tmp_path, WANTED)
    assert OURS[0] in found.lines
    assert "4 lines that name the chunk are no JSON objects" in found.remarks[-1]
    assert len([remark for remark in found.remarks if "cannot be read to its end" in remark]) == 3
    missing = in_folder(tmp_path / "none", WANTED)
    assert missing.lines == () and "there is no folder" in missing.remarks[0]


def test_huge_logs_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line is read up to a limit and no further, and of very many the newest are kept."""
    monkeypatch.setattr(files, "LONGEST", 1000)

    class Counting(io.BytesIO):
        longest = 0

        def readline(self, size: int | None = -1) -> bytes:
            found = super().readline(size)
            self.longest = max(self.longest, len(found))
            return found

    good = json.dumps(OURS[0]).encode() + b"\n"
    log, broken = Counting(b"2/1_1_1" + b"x" * 50_000 + b"\n" + good + b"y" * 2000), [0]
    assert list(in_file(log, WANTED, broken)) == [OURS[0]]
    assert (log.longest, broken) == (1000, [1])
    kept, left_out = newest(({"time": f"{at % 1000:04}", "at": at} for at in range(5000)), 10)
    assert left_out == 4990
    assert [one["at"] for one in kept] == [*range(998, 5000, 1000), *range(999, 5000, 1000)]


def test_shown_as_text() -> None:
    """Time, severity, event, delivery and worker in front; other fields and a traceback below; nothing in it moves
    a cursor, changes a colour or begins a line of its own."""
    told = shown(OURS[1] | {"execution": "fly-l2-x", "task": 3, "reason": "a\nb\r\x1b[2J\u202e"})
    assert told[0] == ("2026-01-01T00:00:02.000  WARNING   chunk.retried  delivery 2  w:0:1 (task 3 of fly-l2-x)")
    assert told[1] == "    reason=a b \\x1b[2J\\u202e"
    assert told[2:] == [
        "    | Traceback (most recent call last):",
        '    |   File "x.py", line 1',
        "    | ValueError: \\x1b[31mred",
    ]
    assert shown({}) and shown({"time": 3, "worker": None, "stack_trace": ["x"], "attempt": {}})


def cloud_with(lines: list[dict[str, Any]], slow: bool = False) -> MemoryCloud:
    """A project with these lines."""
    cloud = MemoryCloud()
    cloud.logged.slow = slow
    for one in lines:
        if "time" in one:
            cloud.logged.log(one)
    return cloud


@pytest.mark.parametrize("slow", [False, True])
def test_cloud_logging(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In memory and over HTTP the same lines, page after page, empty ones too; a graph whose name differs by case
    is another one, though the service gives its lines. What is asked for is the run's, by our own fields."""
    monkeypatch.setattr(cloud_logging, "PAGE", 2)
    cloud = cloud_with([*OURS, *OTHERS], slow)
    server = ApisServer(cloud)
    try:
        over_http = in_cloud(RestCloud("p", server.host, known()), "p", WANTED)
    finally:
        server.close()
    found = in_cloud(cloud, "p", WANTED)
    assert found == over_http and list(found.lines) == OURS and found.remarks == ()
    asked = cloud.logged.asked[-1]
    assert asked["resourceNames"] == ["projects/p"] and asked["pageSize"] == 2
    assert asked["filter"].splitlines() == [
        'timestamp>="2026-01-01T00:00:00.000+00:00"',
        'jsonPayload.graph="g"',
        'jsonPayload.chunk="2/1_1_1"',
        'jsonPayload.run="r2"',
    ]
    every = in_cloud(cloud, "p", Wanted("g", CHUNK))
    assert [one["run"] for one in every.lines] == ["r2", "r2", "r2", "r1"]


def test_very_many_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest are taken, and it is said that there are more; a search that finds nothing has an end."""
    monkeypatch.setattr(cloud_logging, "PAGE", 3)
    cloud = cloud_with([line(at) for at in range(1, 21)])
    found = in_cloud(cloud, "p", WANTED, most=5)
    assert [one["attempt"] for one in found.lines] == [16, 17, 18, 19, 20]
    assert "more than the newest 5 lines" in found.remarks[0] and len(cloud.logged.asked) == 2
    monkeypatch.setattr(cloud_logging, "MOST_PAGES", 4)
    empty = cloud_with(OTHERS * 20)
    lost = in_cloud(empty, "p", Wanted("g", CHUNK, "r1"), most=50)
    assert len(lost.lines) == 12 and "was still looking after 4 pages" in lost.remarks[0]


def test_the_console_asks_the_same() -> None:
    """The address has the very query."""
    address = console("my-project", WANTED)
    assert address.startswith("https://console.cloud.google.com/logs/query;query=")
    assert address.endswith("?project=my-project")
    assert unquote(address.partition("query;query=")[2].partition("?project")[0]) == query(WANTED)


def test_refusals() -> None:
    """Who may not, an API that is off, a service that does not answer, anything else: what to do about it."""
    told = {
        403: (StateError, "roles/logging.viewer"),
        400: (StateError, "cannot be read"),
        503: (IngestError, "try again"),
    }
    for code, (kind, says) in told.items():
        cloud = MemoryCloud({"https://logging.googleapis.com/v2/entries:list": error(code, "it says so")})
        with pytest.raises(kind, match=says) as raised:
            in_cloud(cloud, "p", WANTED)
        assert "it says so" in str(raised.value)
        assert isinstance(raised.value.__cause__, Unreachable) == (code == 503)
    off = error(403, "off", "SERVICE_DISABLED", service="logging.googleapis.com")
    with pytest.raises(StateError, match=r"services enable logging\.googleapis\.com --project=p"):
        in_cloud(MemoryCloud({"https://logging.googleapis.com/v2/entries:list": off}), "p", WANTED)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of graph g on this machine, without any emulator; its folder of logs."""
    monkeypatch.setattr(command, "LOCAL", tmp_path)
    record = record_of(random_volume(0, (3, 2, 2)), graph="g", run="r2", timestamp_ms=1_767_225_600_000)
    MemoryBackend(f"file://{tmp_path}/scratch").storage(f"file://{tmp_path}/scratch/g").put(
        "run.json", record.encode()
    )
    place = tmp_path / "logs" / "g"
    place.mkdir(parents=True)
    return place


def told(*arguments: str, **environ: str) -> Result:
    """The command's end."""
    clean = {name: "" for name in os.environ if name.startswith(("INGEST_", "GOOGLE_")) or name.endswith("_HOST")}
    return CliRunner().invoke(command.logs, [*arguments, "--graph", "g"], env=clean | environ)


def test_the_command_here(begun: Path) -> None:
    """The run's lines with no emulator running; all runs' where that is said; JSON; what it says without any."""
    empty = told("2 1 1 1")
    assert empty.exit_code == 0 and "has no line of chunk 2/1_1_1 of run r2" in empty.output
    write(begun / "g-1-0.log", [*OURS, *OTHERS])
    found = told("2", "1", "1", "1")
    assert found.exit_code == 0 and found.output.count("chunk.retried") == 2
    assert "3 lines of chunk 2/1_1_1 of run r2; ALL=1" in found.output and "\x1b" not in found.output
    assert "run r1" in told("2/1_1_1", "--all").output
    as_json = json.loads(told("2/1_1_1", "--json").output)
    assert as_json["lines"] == OURS and (as_json["run"], as_json["console"]) == ("r2", None)
    assert "has no chunk 2/9_9_9" in str(told("2/9_9_9").exception)


def test_the_command_for_a_graph_that_is_gone(begun: Path) -> None:
    """Without a run's record nothing tells which run is meant; the lines of all can be had."""
    write(begun / "g-1-0.log", OURS)
    (begun.parents[1] / "scratch" / "g" / "run.json").unlink()
    assert "there is no run of graph 'g'" in str(told("2/1_1_1").exception)
    assert "3 lines of chunk" in told("2/1_1_1", "--all").output


def test_the_command_in_a_project(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Console's address first, then the lines; where the services are emulators there is no Cloud Logging."""
    cloud = cloud_with([*OURS, *OTHERS])
    monkeypatch.setattr(command, "RestCloud", lambda project, host: cloud)
    given = {
        "INGEST_PROJECT": "my-project",
        "INGEST_SCRATCH": f"file://{begun.parents[1]}/scratch",
        "GOOGLE_APIS_EMULATOR_HOST": "localhost:1",
    }
    lines = told("2/1_1_1", **given).output.splitlines()
    assert lines[0].startswith("https://console.cloud.google.com/") and lines[-1].startswith("3 lines of chunk")
    as_json = json.loads(told("2/1_1_1", "--json", **given).output)
    assert as_json["console"] == lines[0] and as_json["lines"] == OURS
    given |= {"GOOGLE_APIS_EMULATOR_HOST": "", "FIRESTORE_EMULATOR_HOST": "localhost:1"}
    refused = told("2/1_1_1", **given)
    assert isinstance(refused.exception, StateError) and "in no Cloud Logging" in str(refused.exception)


def test_what_does_not_answer_may_later(begun: Path) -> None:
    """An outage ends a program with the code for that."""
    from shared.endings import ending_of
    from shared.gcp.progress import CLASSIFY

    cloud = MemoryCloud({"https://logging.googleapis.com/v2/entries:list": error(503, "not now")})
    with pytest.raises(IngestError) as raised:
        in_cloud(cloud, "p", WANTED)
    assert ending_of(raised.value, CLASSIFY).code is Exit.TRY_AGAIN
