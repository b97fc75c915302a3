"""Which segmentation a run cuts into supervoxels, and how what belongs together is known.

    objects     a second volume: the object of a supervoxel is the one at its voxels
    mapping     tables of (supervoxel, object)
    scores      tables of (supervoxel, supervoxel, score): connected components of what is together are the objects
    none        the volume has the objects themselves; supervoxels are their connected pieces in blocks

Invariants: everything that decides an id, an edge or a voxel of what is written stands here, so two runs with equal
values write the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

Triple = tuple[int, int, int]

MOST_SIDE = 1 << 31
"""Voxels an axis, or away from 0, that a volume may have; ten times what any has."""

REFUSE, MOST = "refuse", "most"
SEVERAL = (REFUSE, MOST)
"""What becomes of a supervoxel that meets several objects."""

ABOVE, BELOW = "above", "below"
SIDES = (ABOVE, BELOW)
"""Which scores mean "together": those from the threshold up, or those below it."""

CONNECTIVITIES = (6, 26)


@dataclass(frozen=True)
class Segmentation:
    """The volume `supervoxels` at `mip`, which is cut by `chunk_size` voxels from `low` on into `watershed`.

    `low` and `size` are the volume's box (voxels at `mip`), `resolution` its voxels (nm). At most one of `objects`
    (a volume), `mapping` and `scores` (locations of tables) is given; `threshold` and `together` belong to scores.
    With none of them `split` (voxels, the chunk's own size if None) and `connectivity` say what a supervoxel is.
    `affinities` is a volume of three channels: of a voxel and the one below it along x, y and z. `background` is no
    supervoxel; `fill_missing` takes blocks that are not there for background.
    """

    supervoxels: str
    watershed: str
    low: Triple
    size: Triple
    chunk_size: Triple
    resolution: tuple[float, float, float]
    mip: int = 0
    objects: str | None = None
    mapping: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    threshold: float = 0.0
    together: str = ABOVE
    affinities: str | None = None
    split: Triple | None = None
    connectivity: int = 26
    background: int = 0
    fill_missing: bool = False
    several_objects: str = REFUSE

    @property
    def place(self) -> str:
        """What people are told that it is."""
        return self.supervoxels

    @property
    def flat(self) -> bool:
        """Whether the volume has objects, which are cut into supervoxels by blocks."""
        return self.objects is None and not self.mapping and not self.scores

    @property
    def tables(self) -> tuple[str, ...]:
        """The locations of its tables, of either kind."""
        return self.mapping or self.scores

    def box(self, x: int, y: int, z: int) -> tuple[Triple, Triple]:
        """The voxels of a chunk by its coordinates: the lower corner, and the upper one, which is outside."""
        corners = []
        for at, low, size, chunk in zip((x, y, z), self.low, self.size, self.chunk_size, strict=True):
            corners.append((low + at * chunk, low + min(size, (at + 1) * chunk)))
        (x0, x1), (y0, y1), (z0, z1) = corners
        return (x0, y0, z0), (x1, y1, z1)

    @classmethod
    def read(cls, content: Any) -> Segmentation:
        """The segmentation in the JSON of a record; ValueError for what is none."""
        known = {field.name for field in fields(cls)}
        if not isinstance(content, dict) or set(content) != known:
            raise ValueError(f"it needs {', '.join(sorted(known))}")
        for name, fits in _FITS.items():
            if not fits(content[name]):
                raise ValueError(f"{name} = {content[name]!r:.60} is none")
        made: dict[str, Any] = {name: tuple(it) if isinstance(it, list) else it for name, it in content.items()}
        found = cls(**made)
        if sum(map(bool, (found.objects, found.mapping, found.scores))) > 1:
            raise ValueError("it has several of objects, mapping and scores")
        return found


def jobs_of_tables(segmentation: Segmentation | None, parts: int) -> int:
    """How many jobs the tables of a segmentation take: one a part, and one for the objects that scores make."""
    return parts + 1 if segmentation is not None and segmentation.scores else parts


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _or_none(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or fits(value)


def _whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value < high


def _three(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list | tuple) and len(value) == 3 and all(map(fits, value))


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e300


_VOXELS = _three(_whole(1, MOST_SIDE))

_FITS: dict[str, Callable[[Any], bool]] = {
    "supervoxels": _is_text,
    "watershed": _is_text,
    "low": _three(_whole(-MOST_SIDE, MOST_SIDE)),
    "size": _VOXELS,
    "chunk_size": _VOXELS,
    "resolution": _three(lambda value: _is_number(value) and value > 0),
    "mip": _whole(0, 64),
    "objects": _or_none(_is_text),
    "mapping": _texts,
    "scores": _texts,
    "threshold": _is_number,
    "together": lambda value: value in SIDES,
    "affinities": _or_none(_is_text),
    "split": _or_none(_VOXELS),
    "connectivity": lambda value: value in CONNECTIVITIES,
    "background": _whole(0, 1 << 64),
    "fill_missing": lambda value: isinstance(value, bool),
    "several_objects": lambda value: value in SEVERAL,
}
"""For each field, whether its value can be one."""
