"""What all places of shards promise: the bytes of a range as they are stored, and never more than there are."""

from __future__ import annotations

import resource
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import tenacity

from shared.classify import Kind
from shared.errors import IngestError
from shared.files import CloudFilesStorage
from shared.gcp.progress import CLASSIFY
from shared.inputs.raw.ranges import Range, RangeReader
from shared.ranges import CloudFilesRanges
from tests.raw_shards import MemoryRanges

FILES = {"deep/er/a": bytes(range(256)) * 300, "b": b"0123456789", "empty": b""}


class Server(BaseHTTPRequestHandler):
    """Serves FILES with ranges, or, below /whole/, as a server that knows none."""

    def do_GET(self) -> None:
        _, mode, name = self.path.split("/", 2)
        data = FILES.get(name)
        if data is None or mode == "broken":
            return self._answer(404 if data is None else 503, b"")
        wanted = self.headers.get("Range")
        if mode == "whole" or not wanted:
            return self._answer(200, data)
        start, end = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
        return self._answer(206 if start < len(data) else 416, data[start : end + 1])

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server on a free port; cloud-files does not wait before it asks again."""
    from cloudfiles.interfaces import HttpInterface

    monkeypatch.setattr(HttpInterface.get_file.retry, "wait", tenacity.wait_none())
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


@pytest.fixture(params=["memory", "disk", "bucket", "ranges", "whole"])
def reader(request: pytest.FixtureRequest, tmp_path: Path) -> RangeReader:
    """FILES in the place in question: the bucket is cloud-files' own in memory, the last two are servers."""
    if request.param == "memory":
        return MemoryRanges(FILES)
    if request.param in ("ranges", "whole"):
        return CloudFilesRanges(f"{request.getfixturevalue('server')}/{request.param}")
    folder = f"file://{tmp_path}/below" if request.param == "disk" else f"mem://{uuid.uuid4().hex}"
    for name, data in FILES.items():
        CloudFilesStorage(folder).put(name, data)
    return CloudFilesRanges(folder)


def test_parts(reader: RangeReader) -> None:
    """Each range has its bytes, in the order asked for, also when asked for twice."""
    asked = [Range("deep/er/a", 1000, 3), Range("b", 2, 5), Range("deep/er/a", 0, 70_000), Range("b", 2, 5)]
    assert reader.read(asked) == [FILES[name][start : start + length] for name, start, length in asked]
    assert reader.read([]) == []


def test_one_part(reader: RangeReader) -> None:
    """A single range is answered like several."""
    assert reader.read([Range("b", 9, 1)]) == [b"9"]
    assert reader.read([Range("b", 0, 10)]) == [b"0123456789"]


def test_beyond_the_end(reader: RangeReader) -> None:
    """A range gets what there is before the end, none where the object ends before it."""
    found = reader.read([Range("b", 8, 5), Range("b", 10, 5), Range("b", 10**12, 5), Range("empty", 0, 20)])
    assert found == [b"89", b"", b"", b""]


def test_missing(reader: RangeReader) -> None:
    """There is no part of an object that is not there."""
    assert reader.read([Range("b", 0, 2), Range("none", 0, 2), Range("b/none", 0, 2)]) == [b"01", None, None]


def test_claims_take_no_memory(reader: RangeReader) -> None:
    """Asking for a terabyte takes the memory of what is there."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert reader.read([Range("b", 0, 1 << 40)]) == [b"0123456789"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB


def test_folders(tmp_path: Path) -> None:
    """A bare path and a file:// one are the same folder."""
    assert CloudFilesRanges(str(tmp_path)).folder == CloudFilesRanges(f"file://{tmp_path}/").folder
    assert CloudFilesRanges("mem://a/b/").folder == "mem://a/b"


def test_unknown_folder() -> None:
    """A folder of an unknown protocol is refused at once."""
    with pytest.raises(IngestError, match="nothing://a"):
        CloudFilesRanges("nothing://a")


@pytest.mark.parametrize("suffix", [".gz", ".br", ".zstd", ".zst", ".xz", ".bz2"])
def test_compressed_files_are_not_missing(tmp_path: Path, suffix: str) -> None:
    """A file that a tool compressed as a whole is named, and not taken for missing."""
    (tmp_path / f"b{suffix}").write_bytes(b"x")
    with pytest.raises(IngestError, match=rf"b\{suffix} is compressed"):
        CloudFilesRanges(str(tmp_path)).read([Range("b", 0, 1)])


def test_what_cannot_be_opened_is_not_missing(tmp_path: Path) -> None:
    """A link to nothing, a folder in place of a file and a circle of links are errors with the name."""
    (tmp_path / "dead").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder").mkdir()
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in ("dead", "folder", "circle"):
        with pytest.raises(IngestError, match=name):
            CloudFilesRanges(str(tmp_path)).read([Range(name, 0, 1)])


def test_a_server_that_fails(server: str) -> None:
    """A service that does not do its part is an error with folder and name, and no fault of the chunk."""
    with pytest.raises(IngestError, match=r"broken: b cannot be read") as caught:
        CloudFilesRanges(f"{server}/broken").read([Range("b", 0, 1)])
    assert CLASSIFY(caught.value) is Kind.OUTAGE


@pytest.mark.parametrize("protocol", ["gs", "s3"])
def test_ends_of_objects_by_service(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the clients of Google and of S3 raise for a range beyond the end means no bytes, other errors do not."""
    from botocore.exceptions import ClientError
    from google.api_core import exceptions

    from shared.ranges import _beyond_the_end

    def aws(code: int) -> Exception:
        error: Exception = ClientError({"Error": {}, "ResponseMetadata": {"HTTPStatusCode": code}}, "GetObject")
        return error

    beyond, denied = {
        "gs": (exceptions.RequestRangeNotSatisfiable("416"), exceptions.Forbidden("403")),
        "s3": (aws(416), aws(403)),
    }[protocol]
    assert _beyond_the_end(beyond) and not _beyond_the_end(denied)
