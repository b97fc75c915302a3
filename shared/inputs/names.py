"""The names of input files: matched whole, and what a name probably means that matches almost.

Invariants: `edges_1_2_3.proto.zst` is the file of chunk (1, 2, 3) and no other name is; numbers have no
zeros in front. A name that looks like one is never taken for it, and never passed over without a word.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from shared.inputs.folder import SIBLINGS
from shared.plan.grid import Chunk

_NUMBER = r"(0|[1-9]\d{0,9})"
_UNFINISHED = re.compile(
    r"(\.part(ial)?|\.tmp|\.temp|\.crdownload|\.filepart|_?\.gstmp|\.aria2|\.download|~|\.bak)$|^\..*\.[A-Za-z0-9]{6}$"
)
_NUMBERS = re.compile(r"(\d{1,10})\D{1,3}(\d{1,10})\D{1,3}(\d{1,10})")


@dataclass(frozen=True)
class Kind:
    """A kind of input files: how their names begin and end."""

    begin: str
    end: str

    def name(self, chunk: Chunk) -> str:
        """The name of a layer-2 chunk's file."""
        return f"{self.begin}_{chunk.x}_{chunk.y}_{chunk.z}{self.end}"

    @property
    def pattern(self) -> str:
        """How people write all names at once."""
        return f"{self.begin}_*{self.end}"

    @property
    def prefix(self) -> str:
        """What all names begin with, and most that are almost one."""
        return self.begin.removesuffix("s")

    def chunk_of(self, name: str, siblings: bool) -> Chunk | None:
        """The chunk whose file has this name; None for any other name. With `siblings` a name may have a
        compression behind it."""
        if siblings:
            name = next((name.removesuffix(end) for end in SIBLINGS if name.endswith(end)), name)
        found = re.fullmatch(rf"{self.begin}_{_NUMBER}_{_NUMBER}_{_NUMBER}{re.escape(self.end)}", name)
        return Chunk(2, *map(int, found.groups())) if found else None

    def almost(self, name: str) -> Almost | None:
        """What a name probably is that is none of these and looks like one; None for all others."""
        plain = name.lower().lstrip(".")
        if not plain.startswith(self.prefix) or plain.endswith("/"):
            return None
        found = _NUMBERS.search(name)
        if found is None:
            return None
        x, y, z = map(int, found.groups())
        chunk = Chunk(2, x, y, z)
        wanted = self.name(chunk)
        if name.startswith(wanted) and name.endswith(SIBLINGS):
            reason = f"compressed once more; where this is not a disk, only {wanted} is looked for"
        elif _UNFINISHED.search(name):
            reason = f"a copy of {wanted} that was not finished, or a copy that a tool put aside"
        elif name.startswith(f"{self.begin}_{x}_{y}_{z}"):
            reason = f"{wanted} with another ending"
        else:
            reason = f"{wanted} written otherwise"
        return Almost(name, chunk, reason)


@dataclass(frozen=True)
class Almost:
    """A name that is almost that of a chunk's file, and what it probably is."""

    name: str
    chunk: Chunk
    reason: str

    def __str__(self) -> str:
        return f"{self.name} is probably {self.reason}"


EDGES = Kind("edges", ".proto.zst")
COMPONENTS = Kind("components", ".proto")
