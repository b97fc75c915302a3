"""An input folder gives the same files on a disk, in a bucket and on a web server, and errors are never "missing".

          disk            bucket                     web server
plain     x               x                          x
packed    x.gz, x.br …    x with Content-Encoding    x with Content-Encoding
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import uuid
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
import zstandard

from shared.errors import IngestError, PermanentError, Unreachable
from shared.inputs.edges import ChunkEdges, EdgeList, decode_edges, encode_edges
from shared.inputs.folder import SIBLINGS, CannotList, InputFiles, plain_location
from shared.plan.grid import Chunk
from tests.web_server import serving

DATA = encode_edges(ChunkEdges(inside=EdgeList()))
NAME = "edges_0_0_0.proto.zst"
PACK = {
    ".gz": gzip.compress,
    ".br": brotli.compress,
    ".zstd": zstandard.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


def test_endings_are_those_of_cloud_files() -> None:
    """What is looked for behind a name is what cloud-files looks for."""
    from cloudfiles.interfaces import COMPRESSION_EXTENSIONS

    assert set(SIBLINGS) == set(COMPRESSION_EXTENSIONS) == set(PACK)


@pytest.mark.parametrize("end", SIBLINGS)
def test_packed_files_of_a_disk(tmp_path: Path, end: str) -> None:
    """A file that a tool packed on disk is read as cloud-files reads it there."""
    from cloudfiles import CloudFiles

    (tmp_path / (NAME + end)).write_bytes(PACK[end](DATA))
    folder = InputFiles(f"file://{tmp_path}")
    theirs = CloudFiles(f"file://{tmp_path}", progress=False).get(NAME)
    ours = folder.get([NAME])[NAME]
    chunk = Chunk(2, 0, 0, 0)
    assert theirs == DATA
    assert decode_edges(ours, NAME, chunk).inside.pairs.tolist() == []
    assert folder.has([NAME, "none"]) == {NAME: True, "none": False}
    (tmp_path / NAME).write_bytes(b"plain")
    assert folder.get([NAME]) == {NAME: b"plain"}


@pytest.mark.parametrize("compress", [None, "gzip", "br", "zstd"])
def test_moved_between_disk_and_bucket(tmp_path: Path, compress: str | None) -> None:
    """The same files read from the disk to which cloud-files wrote them and from a bucket are the same edges."""
    from cloudfiles import CloudFiles

    found = []
    for location in (f"file://{tmp_path}", f"mem://{uuid.uuid4().hex}"):
        CloudFiles(location, progress=False).put(NAME, DATA, compress=compress)
        folder = InputFiles(location)
        assert folder.has([NAME]) == {NAME: True}
        found.append(decode_edges(folder.get([NAME])[NAME], NAME, Chunk(2, 0, 0, 0)).inside.pairs.tolist())
    assert found[0] == found[1]


def test_nothing_there(tmp_path: Path) -> None:
    """A file that is not there is None, on a disk and in a bucket."""
    for location in (f"file://{tmp_path}", f"mem://{uuid.uuid4().hex}"):
        folder = InputFiles(location)
        assert folder.get([NAME, "a/b"]) == {NAME: None, "a/b": None}
        assert folder.has([NAME]) == {NAME: False}


@pytest.mark.parametrize("end", ["", ".gz"])
def test_links_to_nothing(tmp_path: Path, end: str) -> None:
    """A link whose file is gone, as annexes and lost mounts leave them, is an error that names it."""
    (tmp_path / (NAME + end)).symlink_to(tmp_path / "gone")
    folder = InputFiles(f"file://{tmp_path}")
    with pytest.raises(PermanentError, match=rf"{NAME}{end} is a link to a file that is not there"):
        folder.get([NAME])
    assert folder.has([NAME]) == {NAME: True}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A folder of a file's name, and a folder that went away while a run is on, are errors."""
    (tmp_path / "edges").mkdir()
    (tmp_path / "edges" / NAME).mkdir()
    with pytest.raises(IngestError, match=f"{NAME} cannot be read"):
        InputFiles(f"file://{tmp_path}/edges").get([NAME])
    with pytest.raises(Unreachable, match="the folder is not there"):
        InputFiles(f"file://{tmp_path}/gone").get([NAME])
    (tmp_path / "file").touch()
    with pytest.raises(Unreachable, match="the folder is not there"):
        InputFiles(f"file://{tmp_path}/file").get([NAME])


@pytest.mark.parametrize("data", [b"noise", brotli.compress(bytes(1 << 26), quality=5), brotli.compress(DATA)[:-3]])
def test_damaged_brotli(tmp_path: Path, data: bytes) -> None:
    """What no magic tells is bounded and checked where it is unpacked."""
    (tmp_path / f"{NAME}.br").write_bytes(data)
    with pytest.raises(PermanentError, match=rf"{NAME}\.br"):
        InputFiles(f"file://{tmp_path}").get([NAME])


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        ("precomputed://gs://b/x", "gs://b/x"),
        ("gs://b/x", "gs://b/x"),
        ("precomputed://file:///x", "file:///x"),
        ("gs://b/x|neuroglancer-precomputed:", "gs://b/x"),
        ("graphene://https://h/x", "https://h/x"),
        ("/precomputed://x", "/precomputed://x"),
    ],
)
def test_formats_say_nothing_of_a_place(given: str, plain: str) -> None:
    """The name of a format is taken off a location."""
    assert plain_location(given) == plain


def test_one_function_opens_for_check_and_worker(tmp_path: Path) -> None:
    """A location with a format's name opens like the one without."""
    (tmp_path / NAME).write_bytes(DATA)
    folder = InputFiles(f"precomputed://file://{tmp_path}")
    assert folder.folder == f"file://{tmp_path}"
    assert folder.get([NAME]) == {NAME: DATA} and list(folder.names()) == [NAME]


@pytest.fixture(params=[True, False], ids=["HEAD", "no HEAD"])
def web(request: pytest.FixtureRequest) -> Iterator[str]:
    """A web server that answers HEAD, and one that does not."""
    with serving({NAME: DATA}, request.param) as address:
        yield f"{address}/data"


def test_sizes(tmp_path: Path, web: str) -> None:
    """Stored bytes of what is there, packed or not, on a disk and in a bucket; a web server is not asked."""
    from cloudfiles import CloudFiles

    (tmp_path / NAME).write_bytes(DATA)
    (tmp_path / "packed.gz").write_bytes(b"12345")
    assert InputFiles(str(tmp_path)).sizes([NAME, "packed", "none"]) == {NAME: len(DATA), "packed": 5}
    assert InputFiles(web).sizes([NAME]) == {}
    bucket = f"mem://{uuid.uuid4().hex}"
    CloudFiles(bucket).put(NAME, DATA)
    assert InputFiles(bucket).sizes([NAME]) == {NAME: len(DATA)}


def test_web_server(web: str) -> None:
    """Files of a web server are read, and names asked for, as there are no listings."""
    folder = InputFiles(web)
    assert folder.get([NAME, "none"]) == {NAME: DATA, "none": None}
    assert folder.has([NAME, "none"]) == {NAME: True, "none": False}
    with pytest.raises(CannotList):
        list(folder.names())


def test_web_server_that_says_neither_yes_nor_no(web: str) -> None:
    """An answer other than "not there" is an error, though cloud-files takes 403 for missing."""
    folder = InputFiles(web)
    for ask in (folder.get, folder.has):
        with pytest.raises(PermanentError, match="the server answers 403"):
            ask(["403"])
    with pytest.raises(Unreachable, match="the server answers 503"):
        folder.has(["503"])


def test_no_server(web: str) -> None:
    """A server that cannot be reached is an error with folder and name."""
    with pytest.raises(IngestError, match=f"{NAME} cannot be asked for"):
        InputFiles("http://127.0.0.1:1/data").has([NAME])
