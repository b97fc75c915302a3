"""Whole objects below one folder, on disk or in a bucket, by cloud-files' paths.

Invariants: bytes come back as they were put, under exactly the name they were given, and a reader
never sees half an object. Buckets go through cloud-files (an object's Content-Encoding is undone, as
any HTTP reader does). Folders on disk do not: cloud-files writes in place, and looks for `x.gz` when
asked for `x`. Within a process a bucket of Google's has one kind of credentials: cloud-files keeps the connections
of a bucket and hands them to whoever asks, whatever credentials he gives.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, Protocol

from shared.bucket_credentials import DEFAULT, bucket_of, used_for
from shared.classify import Kind, Table
from shared.errors import IngestError

THREADS = 16
"""Objects of one `get` that are read at once."""

PARTIAL = ".partial-"
"""How the names of files that are being written begin; they are no objects yet."""

_PARTIAL_NAME = re.compile(rf"(^|/){re.escape(PARTIAL)}[0-9a-f]{{32}}$")


def bucket_errors() -> Table:
    """What the errors of cloud-files' ways to a bucket say about a chunk; Google's own are known elsewhere."""
    from botocore.exceptions import BotoCoreError, ClientError
    from requests.exceptions import RequestException

    # A service that refuses who asks (ClientError: no such bucket, not yours, credentials that have expired)
    # is waited for like one that does not answer: a key may be on its way.
    return dict.fromkeys((BotoCoreError, ClientError, RequestException), Kind.OUTAGE)


class CloudFilesStorage:
    """One folder: `gs://…`, `s3://…`, `file://…` or a bare path; answers `shared.run.ports.Storage`.

    `credentials` are used for a bucket of Google's in the place of those that cloud-files finds, by everyone in
    this process. Raises IngestError, here for a folder that cannot be understood, and in every method for what
    cannot be read or written, with folder and name, and whose credentials were used.
    """

    def __init__(self, folder: str, credentials: object | None = None) -> None:
        protocol, separator, path = folder.partition("://")
        self._own = credentials is not None
        if separator and protocol != "file":
            self._folder = folder.rstrip("/")
            bucket = bucket_of(self._folder)
            if credentials is not None and bucket is not None:
                _use(bucket, credentials)
            self._place: _Place = _Bucket(self._folder, credentials if bucket else None)
        else:
            disk = Path(os.path.abspath(path if separator else folder))
            self._folder = f"file://{disk}"
            self._place = _Disk(disk)

    @property
    def folder(self) -> str:
        """The folder with its protocol, without a slash at the end."""
        return self._folder

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, None where there is no such object; from a bucket in parallel."""
        self._check(names)
        return self._place.get(list(dict.fromkeys(names)), self._fail) if names else {}

    def put(self, name: str, data: bytes) -> None:
        """Writes an object, whole or not at all, in place of any other of that name."""
        self._check([name])
        try:
            self._place.put(name, data)
        except Exception as error:
            self._fail(name, "written", error)

    def list(self, prefix: str) -> Iterator[str]:
        """Names that start with `prefix`."""
        try:
            yield from self._place.list(prefix)
        except Exception as error:
            self._fail(prefix, "listed", error)

    def leftovers(self, prefix: str) -> Iterator[str]:
        """Names below the folder `prefix` of what was being written when its process ended; no objects."""
        try:
            yield from self._place.leftovers(prefix)
        except Exception as error:
            self._fail(prefix, "listed", error)

    def delete(self, names: Sequence[str]) -> None:
        """Removes objects; those that are not there are no error."""
        self._check(names)
        try:
            self._place.delete(names)
        except Exception as error:
            self._fail(names[0], "deleted", error)

    def _check(self, names: Sequence[str]) -> None:
        for name in names:
            path = PurePosixPath(name)
            if not name or name.endswith("/") or path.is_absolute() or ".." in path.parts:
                raise IngestError(f"{self._folder}: {name!r} is no name of an object below this folder")

    def _fail(self, name: str, verb: str, error: Exception) -> NoReturn:
        used = f" with {DEFAULT}" if self._own and bucket_of(self._folder) else used_for(self._folder)
        raise IngestError(
            f"{self._folder}: {name} cannot be {verb}{used}: {type(error).__name__}: {error}"
        ) from error


def _use(bucket: str, credentials: object) -> None:
    """Has every connection to a bucket of Google's made with these credentials from now on, whoever asks."""
    from cloudfiles import interfaces
    from cloudfiles.connectionpools import ConnectionPool, GCloudBucketPool

    class OwnPool(GCloudBucketPool):  # type: ignore[misc]  # the library has no types
        def __init__(self) -> None:
            # Not the one above, which reads secret files, and prints when there are none.
            self.bucket, self.project, self.request_payer = bucket, None, None
            self.credentials = credentials
            ConnectionPool.__init__(self)

    with interfaces.GCS_BUCKET_POOL_LOCK:
        key = interfaces.GCloudBucketPoolParams(bucket, None)
        if getattr(interfaces.GC_POOL.get(key), "credentials", None) is not credentials:
            interfaces.GC_POOL[key] = OwnPool()


Fail = Callable[[str, str, Exception], NoReturn]


class _Place(Protocol):
    def get(self, names: list[str], fail: Fail) -> dict[str, bytes | None]: ...

    def put(self, name: str, data: bytes) -> None: ...

    def list(self, prefix: str) -> Iterator[str]: ...

    def leftovers(self, prefix: str) -> Iterator[str]: ...

    def delete(self, names: Sequence[str]) -> None: ...


class _Disk:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, names: list[str], fail: Fail) -> dict[str, bytes | None]:
        # One by one: to hand a file of a local disk to a thread takes longer than to read it.
        found: dict[str, bytes | None] = {}
        for name in names:
            try:
                with open(f"{self._folder}/{name}", "rb", buffering=0) as file:
                    found[name] = file.read()
            except (FileNotFoundError, NotADirectoryError):
                found[name] = None
            except OSError as error:
                fail(name, "read", error)
        return found

    def put(self, name: str, data: bytes) -> None:
        # Readers see the old object or the new one. Not synced: this guards against a killed
        # process, not against a lost disk.
        path = self._folder / name
        partial = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}")
        try:
            try:
                partial.write_bytes(data)
            except FileNotFoundError:  # the folder's first object
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(data)
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise

    def list(self, prefix: str) -> Iterator[str]:
        return (name for name in self._files(prefix) if not _PARTIAL_NAME.search(name))

    def leftovers(self, prefix: str) -> Iterator[str]:
        return (name for name in self._files(prefix) if _PARTIAL_NAME.search(name))

    def _files(self, prefix: str) -> Iterator[str]:
        def fail(error: OSError) -> None:
            if not isinstance(error, FileNotFoundError | NotADirectoryError):
                raise error

        for folder, _, files in os.walk(self._folder / os.path.dirname(prefix), onerror=fail):
            for file in files:
                name = (Path(folder) / file).relative_to(self._folder).as_posix()
                if name.startswith(prefix):
                    yield name

    def delete(self, names: Sequence[str]) -> None:
        for name in names:
            (self._folder / name).unlink(missing_ok=True)


class _Bucket:
    def __init__(self, folder: str, secrets: object | None) -> None:
        # Imported here: half of a second that a run on disk need not spend.
        from cloudfiles import CloudFiles
        from cloudfiles.exceptions import UnsupportedProtocolError

        try:
            self._files: Any = CloudFiles(folder, progress=False, num_threads=THREADS, secrets=secrets)
        except (UnsupportedProtocolError, ValueError) as error:
            raise IngestError(f"{folder}: cloud-files does not take this for a folder: {error}") from error
        if self._files.protocol == "file":
            # It takes a protocol that it does not know for a folder of that name, here.
            raise IngestError(f"{folder}: cloud-files knows no such protocol (gs, s3, https, mem, file)")

    def get(self, names: list[str], fail: Fail) -> dict[str, bytes | None]:
        found: dict[str, bytes | None] = {}
        for answer in self._files.get(names, raise_errors=False):
            if answer["error"] is not None:
                fail(answer["path"], "read", answer["error"])
            found[answer["path"]] = answer["content"]
        return found

    def put(self, name: str, data: bytes) -> None:
        self._files.put(
            name, data, content_type="application/octet-stream", compress=None, cache_control="no-cache"
        )

    def list(self, prefix: str) -> Iterator[str]:
        names: Iterator[str] = self._files.list(prefix)
        return names

    def leftovers(self, prefix: str) -> Iterator[str]:
        return iter(())  # an object is there as a whole or not at all

    def delete(self, names: Sequence[str]) -> None:
        self._files.delete(list(names))
