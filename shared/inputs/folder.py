"""An input folder: the same files whether it lies on a disk, in a bucket or on a web server.

On a disk cloud-files takes `x.gz`, `.br`, `.zstd`, `.xz` or `.bz2` for x, since it writes so what a bucket
keeps under the name x with a Content-Encoding. So does this: moving a dataset changes nothing. Invariants:
what is there and cannot be read is an error, never missing; nothing is written. Whoever checks a folder and
whoever reads it open it here, so what the one accepts the other can open.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from shared.errors import IngestError, PermanentError, Unreachable
from shared.files import THREADS, CloudFilesStorage
from shared.inputs.packing import ALWAYS_ALLOWED, MAX_GROWTH

SIBLINGS = (".gz", ".br", ".zstd", ".xz", ".bz2")
"""What cloud-files puts behind the name of a file on disk, in the order in which it looks."""

_FORMATS = re.compile(
    r"^(precomputed|graphene|boss|n5|zarr|zarr2|zarr3|brainmaps|deepzoom|nggraph|render|vtk|nifti|dvid)://(?=.)",
    re.IGNORECASE,
)
_TAIL = re.compile(r"\|[\w-]+:$")
_DISK = "file://"
_WEB = re.compile(r"^(?:middleauth\+|ngauth\+)?(https?://.*)$")
_GONE = (404, 410)
_NO_HEAD = (405, 501)


class CannotList(Exception):
    """The folder's protocol has no listings; names can be asked for one by one."""


def plain_location(location: str) -> str:
    """A location without the name of a format, which says nothing of where it is: `precomputed://gs://b/x`."""
    return _TAIL.sub("", _FORMATS.sub("", location))


class InputFiles:
    """One folder of input files; answers `shared.run.ports.Folder`.

    Raises IngestError, here for a location that cannot be understood, and in every method for what cannot
    be read, with folder and name.
    """

    def __init__(self, location: str) -> None:
        self._storage = CloudFilesStorage(plain_location(location))
        self._disk = self.folder.removeprefix(_DISK) if self.folder.startswith(_DISK) else None
        web = _WEB.match(self.folder)
        self._web = web[1].rstrip("/") if web else None

    @property
    def folder(self) -> str:
        """The folder with its protocol, without a slash at the end."""
        return self._storage.folder

    def get(self, names: Sequence[str]) -> dict[str, bytes | None]:
        """The content of each name, packed or not (`shared.inputs.packing`); None where there is no such file."""
        found = self._storage.get(names)
        missing = [name for name, content in found.items() if content is None]
        if missing and self._disk is not None:
            found |= {name: self._sibling(name) for name in missing}
        elif missing and self._web is not None:
            self._probe(missing)  # cloud-files takes 403 for missing, too
        return found

    def has(self, names: Sequence[str]) -> dict[str, bool]:
        """Whether each name is there, asked one by one; for protocols without listings, and folders too large
        for one."""
        if self._disk is not None:
            every = ("", *SIBLINGS)
            return {name: any(os.path.lexists(f"{self._disk}/{name}{end}") for end in every) for name in names}
        if self._web is not None:
            return self._probe(names)
        found: dict[str, bool] = self._cloud_files().exists(list(names))
        return found

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The stored bytes of each name, asked one by one; only of those that are there, and of none on a web
        server, which need not say."""
        if self._web is not None:
            return {}
        if self._disk is not None:
            found = {name: self._stored(name) for name in names}
        else:
            found = self._cloud_files().size(list(names))
        return {name: size for name, size in found.items() if size is not None}

    def names(self, prefix: str = "") -> Iterator[str]:
        """The names in the folder, as they are, in no order and one by one; from a bucket only those that begin
        with `prefix`, for what else is there costs requests. CannotList where that cannot be."""
        if self._disk is not None:
            with os.scandir(Path(self._disk)) as entries:
                yield from (entry.name for entry in entries)
        elif self._web is not None:
            raise CannotList(self.folder)
        else:
            yield from self._cloud_files().list(prefix=prefix, flat=True)

    @property
    def takes_siblings(self) -> bool:
        """Whether a file with a compression behind its name is taken for that name."""
        return self._disk is not None

    def _cloud_files(self) -> Any:
        from cloudfiles import CloudFiles  # imported here since it takes a second

        return CloudFiles(self.folder, progress=False, num_threads=THREADS)

    def _stored(self, name: str) -> int | None:
        """The size of what stands on disk for a name."""
        for end in ("", *SIBLINGS):
            with contextlib.suppress(FileNotFoundError):
                return os.path.getsize(f"{self._disk}/{name}{end}")
        return None

    def _sibling(self, name: str) -> bytes | None:
        """What stands on disk in place of a file that is not there; None if nothing does."""
        path = f"{self._disk}/{name}"
        for end in SIBLINGS:
            data = self._storage.get([name + end])[name + end]
            if data is not None:
                return _from_brotli(data, f"{self.folder}/{name}{end}") if end == ".br" else data
        for link in (path, *(path + end for end in SIBLINGS)):
            if os.path.lexists(link):
                raise PermanentError(
                    f"{self.folder}: {os.path.basename(link)} is a link to a file that is not there"
                )
        if not os.path.isdir(self._disk or ""):
            raise Unreachable(f"{self.folder}: the folder is not there, so no file of it can be called missing")
        return None

    def _probe(self, names: Sequence[str]) -> dict[str, bool]:
        """Whether a web server has each name; IngestError where it says neither yes nor no."""
        import requests

        with requests.Session() as session, ThreadPoolExecutor(THREADS) as pool:

            def ask(name: str) -> bool:
                url = f"{self._web}/{name}"
                try:
                    answer = session.head(url, allow_redirects=True, timeout=60)
                    if answer.status_code in _NO_HEAD:
                        with session.get(url, stream=True, timeout=60) as answer:
                            pass
                except requests.RequestException as error:
                    raise IngestError(f"{self.folder}: {name} cannot be asked for: {error}") from error
                if not answer.ok and answer.status_code not in _GONE:
                    raise (Unreachable if answer.status_code >= 500 else PermanentError)(
                        f"{self.folder}: {name} cannot be read: the server answers {answer.status_code} "
                        f"{answer.reason}, which does not say that there is no such file"
                    )
                return bool(answer.ok)

            return dict(zip(names, pool.map(ask, names), strict=True))


def _from_brotli(data: bytes, file: str) -> bytes:
    """The content of a brotli stream, which no magic tells: its name has to."""
    import brotli

    most = max(ALWAYS_ALLOWED, MAX_GROWTH * len(data))
    reader = brotli.Decompressor()
    try:
        content: bytes = reader.process(data, output_buffer_limit=most)
    except brotli.error as error:
        raise PermanentError(f"{file} cannot be unpacked: {error}") from error
    if not reader.is_finished():
        raise PermanentError(
            f"{file} is cut off, or holds more than the {most} bytes that so short a file may hold"
        )
    return content
