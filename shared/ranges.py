"""Parts of objects below one folder, on disk or in a bucket, by cloud-files' paths.

Invariants: bytes are those that are stored, whatever compression an object claims. What is there and
cannot be read is an error, never missing. Folders on disk are read directly, as in `shared.files`.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from shared.errors import IngestError
from shared.files import THREADS
from shared.inputs.raw.ranges import Range

COMPRESSED = (".gz", ".br", ".zstd", ".zst", ".xz", ".bz2")
"""What tools put behind the name of a file that they compressed."""

SMALL = 1 << 20
"""Bytes that may be taken without looking whether a file has them."""


class CloudFilesRanges:
    """One folder: `gs://…`, `s3://…`, `file://…` or a bare path; answers `shared.inputs.raw.ranges.Place`.

    Raises IngestError, with folder and name, for what cannot be read, here for a folder that cannot be
    understood.
    """

    def __init__(self, folder: str) -> None:
        protocol, separator, path = folder.partition("://")
        if separator and protocol != "file":
            self._folder = folder.rstrip("/")
            self._place: _Place = _Bucket(self._folder)
        else:
            self._folder = f"file://{os.path.abspath(path if separator else folder)}"
            self._place = _Disk(Path(self._folder.removeprefix("file://")), self._folder)

    @property
    def folder(self) -> str:
        """The folder with its protocol, without a slash at the end."""
        return self._folder

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        """The bytes of each range, fewer where the object ends before; from a bucket in parallel."""
        return self._place.read(ranges) if ranges else []

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        """Bytes of each object as it is stored, None where there is none."""
        return self._place.sizes(names) if names else []

    def names(self) -> Iterator[str]:
        """The objects in the folder itself, in any order; none where there is no folder."""
        return self._place.names()


class _Place(Protocol):
    def read(self, ranges: Sequence[Range]) -> list[bytes | None]: ...

    def sizes(self, names: Sequence[str]) -> list[int | None]: ...

    def names(self) -> Iterator[str]: ...


class _Disk:
    def __init__(self, path: Path, folder: str) -> None:
        self._path, self._folder = path, folder

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        found: list[bytes | None] = []
        for name, wanted in itertools.groupby(ranges, lambda each: each.name):
            found += self._parts(name, list(wanted))
        return found

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        return [self._size(name) for name in names]

    def _size(self, name: str) -> int | None:
        path = f"{self._path}/{name}"
        try:
            found = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            if os.path.lexists(path):
                raise IngestError(f"{self._folder}: {name} is a link to a file that is not there") from None
            return None
        except OSError as error:
            _fail(self._folder, name, error)
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def names(self) -> Iterator[str]:
        try:
            with os.scandir(self._path) as entries:
                yield from (entry.name for entry in entries if entry.is_file())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            _fail(self._folder, "its listing", error)

    def _parts(self, name: str, wanted: Sequence[Range]) -> Sequence[bytes | None]:
        """Parts of one file, which is opened once for them."""
        try:
            file = os.open(f"{self._path}/{name}", os.O_RDONLY)
        except (FileNotFoundError, NotADirectoryError):
            self._check_missing(name)
            return [None] * len(wanted)
        except OSError as error:
            _fail(self._folder, name, error)
        try:
            return [_part(file, start, length) for _, start, length in wanted]
        except OSError as error:
            _fail(self._folder, name, error)
        finally:
            os.close(file)

    def _check_missing(self, name: str) -> None:
        """IngestError if something is there after all that would be taken for missing."""
        path = f"{self._path}/{name}"
        if os.path.lexists(path):
            raise IngestError(f"{self._folder}: {name} is a link to a file that is not there")
        for suffix in COMPRESSED:
            if os.path.lexists(path + suffix):
                raise IngestError(
                    f"{self._folder}: {name}{suffix} is compressed, so no part of it can be read; unpack it"
                )


def _part(file: int, start: int, length: int) -> bytes:
    """A part of a file; memory is taken for no more than the file has."""
    if length > SMALL:
        length = max(0, min(length, os.fstat(file).st_size - start))
    data = os.pread(file, length, start)
    parts = [data]
    while data and (length := length - len(data)):  # one call of the system gives 2 GiB at most
        start += len(data)
        data = os.pread(file, length, start)
        parts.append(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Bucket:
    def __init__(self, folder: str) -> None:
        # Imported here: half of a second that a run on disk need not spend.
        from cloudfiles import CloudFiles
        from cloudfiles.exceptions import UnsupportedProtocolError

        self._folder = folder
        try:
            self._files: Any = CloudFiles(folder, progress=False, num_threads=THREADS)
        except (UnsupportedProtocolError, ValueError) as error:
            raise IngestError(f"{folder}: cloud-files does not take this for a folder: {error}") from error
        if self._files.protocol == "file":
            # It takes a protocol that it does not know for a folder of that name, here.
            raise IngestError(f"{folder}: cloud-files knows no such protocol (gs, s3, https, mem, file)")

    def read(self, ranges: Sequence[Range]) -> list[bytes | None]:
        asked = [
            {"path": name, "start": start, "end": start + length, "tags": at}
            for at, (name, start, length) in enumerate(ranges)
        ]
        found: list[bytes | None] = [None] * len(ranges)
        # Raw: a part of an object cannot be unpacked, whatever the object's Content-Encoding says.
        for answer in self._files.get(asked, raw=True, raise_errors=False):
            found[answer["tags"]] = self._content(ranges[answer["tags"]], answer)
        return found

    def sizes(self, names: Sequence[str]) -> list[int | None]:
        try:
            if self._files.protocol in ("http", "https"):
                heads = self._files.head(list(names))  # its own way to sizes fails for what is not there
                return [None if heads[name] is None else int(heads[name]["Content-Length"]) for name in names]
            found: dict[str, int | None] = self._files.size(list(names))
        except Exception as error:
            _fail(self._folder, names[0], error)
        return [found[name] for name in names]

    def names(self) -> Iterator[str]:
        try:
            # Flat, but with the folders below it, which end so.
            yield from (name for name in self._files.list(flat=True) if not name.endswith("/"))
        except Exception as error:
            _fail(self._folder, "its listing", error)

    def _content(self, wanted: Range, answer: dict[str, Any]) -> bytes | None:
        error, data = answer["error"], answer["content"]
        if error is not None:
            if _beyond_the_end(error):
                return b""
            _fail(self._folder, wanted.name, error)
        if data is not None and len(data) > wanted.length:
            # A server that knows no ranges sends all.
            data = data[wanted.start : wanted.start + wanted.length]
        return None if data is None else bytes(data)


def _beyond_the_end(error: Exception) -> bool:
    """Whether a service says that an object ends before the range begins (HTTP's 416)."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # S3
        code = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:  # Google's errors, and those of requests
        code = getattr(error, "code", None) or getattr(response, "status_code", None)
    return bool(code == 416)


def _fail(folder: str, name: str, error: Exception) -> NoReturn:
    raise IngestError(f"{folder}: {name} cannot be read: {type(error).__name__}: {error}") from error
