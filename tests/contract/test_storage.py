"""What all storage promises: bytes come back as they were put, whole, under their own name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import IngestError
from shared.files import CloudFilesStorage
from shared.memory.storage import MemoryStorage
from shared.run.ports import Storage


@pytest.fixture(params=["memory", "file", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """The storage in question; the bucket is cloud-files' own in memory."""
    makers: dict[str, Callable[[], Storage]] = {
        "memory": MemoryStorage,
        "file": lambda: CloudFilesStorage(f"file://{tmp_path}/below/folder"),
        "bucket": lambda: CloudFilesStorage(f"mem://{uuid.uuid4().hex}"),
    }
    return makers[request.param]()


def test_put_and_get(storage: Storage) -> None:
    """Each object has the bytes that were put last, and none where there is none."""
    content = {"a": b"1", "deep/er/b": b"", "c.proto": bytes(range(256)) * 5000}
    for name, data in content.items():
        storage.put(name, b"before")
        storage.put(name, data)
    assert storage.get([*content, "none", "deep/none", "none/b", "a"]) == {
        **content,
        "none": None,
        "deep/none": None,
        "none/b": None,
    }
    assert storage.get(["a"]) == {"a": b"1"}
    assert storage.get([]) == {}


def test_empty_folder(storage: Storage) -> None:
    """A folder in which nothing was ever put is empty, not wrong."""
    assert storage.get(["a"]) == {"a": None}
    assert list(storage.list("")) == list(storage.list("a/b")) == []
    storage.delete(["a", "b/c"])


def test_list(storage: Storage) -> None:
    """A prefix may end anywhere in a name."""
    names = ["run/layer2/0_0_0", "run/layer2/0_0_1", "run/layer3/0_0_0", "runner", "z"]
    for name in names:
        storage.put(name, b"x")
    assert sorted(storage.list("")) == names
    assert sorted(storage.list("run")) == names[:4]
    assert sorted(storage.list("run/")) == names[:3]
    assert sorted(storage.list("run/layer2/0_0")) == names[:2]
    assert list(storage.list("run/layer2/0_0_1/")) == []


def test_delete(storage: Storage) -> None:
    """Deleted objects are gone, and those that were not there are no error."""
    for name in ("a", "b/c", "d"):
        storage.put(name, b"x")
    storage.delete(["a", "none", "b/c", "b/none"])
    storage.delete([])
    assert list(storage.list("")) == ["d"]


def test_name_decides_nothing(tmp_path: Path) -> None:
    """No suffix makes bytes be packed or unpacked, nor one object stand for another."""
    storage = CloudFilesStorage(str(tmp_path))
    names = ["a", "a.gz", "a.zst", "a.zstd", "a.br", "a.json"]
    for name in names:
        storage.put(name, name.encode())
    assert storage.get(names) == {name: name.encode() for name in names}
    assert sorted(storage.list("a")) == sorted(names)
    storage.delete(["a"])
    assert sorted(storage.list("a")) == sorted(names[1:])
    assert storage.get(["a"]) == {"a": None}


def test_bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path without a protocol is a folder on disk, from here if it is relative."""
    CloudFilesStorage(str(tmp_path / "x")).put("a", b"1")
    monkeypatch.chdir(tmp_path)
    relative = CloudFilesStorage("x/")
    assert relative.get(["a"]) == {"a": b"1"}
    assert relative.folder == f"file://{tmp_path}/x"
    assert (tmp_path / "x" / "a").read_bytes() == b"1"


def test_readers_see_whole_objects(tmp_path: Path) -> None:
    """While an object is written over, readers get the old or the new one, and the list is clean."""
    storage = CloudFilesStorage(str(tmp_path))
    wanted = [bytes([number]) * 200_000 for number in (0, 1)]
    storage.put("a", wanted[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for data in wanted:
                storage.put("a", data)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            assert storage.get(["a"])["a"] in wanted
            assert list(storage.list("")) == ["a"]
    finally:
        stop.set()
        writer.join()


def test_failed_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a write fails, the old object stays, nothing else is left, and the error names the object."""
    storage = CloudFilesStorage(str(tmp_path))
    storage.put("a", b"old")

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:1])
        raise OSError(28, "no space left")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(IngestError, match=f"{tmp_path}: a cannot be written.*no space left"):
            storage.put("a", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert storage.get(["a"]) == {"a": b"old"}


def test_unreadable_object(tmp_path: Path) -> None:
    """An error of reading names folder and object."""
    storage = CloudFilesStorage(str(tmp_path))
    storage.put("folder/a", b"1")
    with pytest.raises(IngestError, match=f"{tmp_path}: folder cannot be read"):
        storage.get(["folder/a", "folder"])


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../a", "a/../../b", "a/"])
def test_names_stay_below_the_folder(tmp_path: Path, name: str) -> None:
    """A name that would lead out of the folder, or to a folder, is refused whatever is done with it."""
    storage = CloudFilesStorage(str(tmp_path))
    for attempt in (lambda: storage.get([name]), lambda: storage.put(name, b""), lambda: storage.delete([name])):
        with pytest.raises(IngestError, match="no name of an object"):
            attempt()


@pytest.mark.parametrize("folder", ["ftp://host/folder", "gz://bucket/x"])
def test_unknown_protocol(folder: str) -> None:
    """A protocol that nobody knows is refused, with the folder as it was given."""
    with pytest.raises(IngestError, match=folder):
        CloudFilesStorage(folder)
