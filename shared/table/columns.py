"""The one registry of column families and columns, and how row keys and values are formed.

Source: the table layout of PyChunkedGraph 2.x and 3.x. Readers fail on qualifiers that they do not
know, so nothing is written that is not declared here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

DAY = 24 * 3600


class Column(NamedTuple):
    """A column: its family and qualifier."""

    family: str
    qualifier: bytes

    def __str__(self) -> str:
        return f"{self.family}:{self.qualifier.decode()}"


@dataclass(frozen=True)
class Family:
    """A column family and its garbage collection: keep `max_versions` cells, or `max_age` seconds."""

    name: str
    max_versions: int | None = None
    max_age: int | None = None


CROSS_EDGES = Family("4")
"""What only schema 3 has."""

PARENT = Column("0", b"parents")
CHILDREN = Column("0", b"children")
META = Column("0", b"meta")
VERSION = Column("0", b"version")
COUNTER = Column("1", b"counter")

VERSION_TEXT = {2: "2.21.1", 3: "3.1.7"}
"""The version cell by schema; readers take the schema from it."""


def atomic_cross_edges(layer: int) -> Column:
    """Active edges between supervoxels that leave a layer-2 node with this cross layer."""
    return Column("3", b"atomic_cross_edges_%d" % layer)


def cross_edges(layer: int) -> Column:
    """Schema 3: the same edges, lifted to the highest nodes not above the row's own layer."""
    return Column(CROSS_EDGES.name, b"cross_edges_%d" % layer)


def families(schema: int) -> list[Family]:
    """The column families of a table of schema 2 or 3."""
    if schema == 2:
        return [Family("0"), Family("1", max_versions=1), Family("2"), Family("3")]
    return [
        Family("0"),
        Family("1", max_versions=1),
        Family("2"),
        Family("3", max_age=365 * DAY),
        CROSS_EDGES,
    ]


def node_key(node: int) -> bytes:
    """The row key of a node."""
    return b"%020d" % node


def counter_key(chunk_id: int, part: int | None = None) -> bytes:
    """The row key of a chunk's counter; the root chunk has one for each `part` 0..255 besides."""
    return b"i%020d" % chunk_id if part is None else b"i%020d_%d" % (chunk_id, part)


ROOT_COUNTERS = 256
META_KEY = b"meta"
VERSION_KEY = b"version"
