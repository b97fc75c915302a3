"""Which of a grid's input files are there: a missing file means "nothing here", so it is looked for early.

A grid of up to `LISTED` chunks is compared with whole listings. Of larger ones, and where a protocol has no
listings, the names of a sample of chunks are asked for one by one. Invariants: no file is read; the same
folders give the same answer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from shared.inputs.folder import CannotList, InputFiles
from shared.inputs.names import COMPONENTS, EDGES, Almost, Kind
from shared.plan.grid import Chunk, Grid
from shared.plan.shuffle import shuffled

LISTED = 100_000
"""Chunks; a bucket lists a thousand names at once, so for more the start would take minutes."""
SAMPLED = 2_000
"""Chunks of a larger grid whose names are asked for."""
MOST_NAMES = 4 * LISTED
"""Names of a folder that are looked at; a folder with more is not listed to its end."""
SHOWN = 20
"""Names that are kept as examples."""


@dataclass(frozen=True)
class Inventory:
    """What the folders have of a grid's files.

    Of its `chunks`, `looked` were looked for: all of them, or a sample. `edges` of those have an edge file,
    `bare` of these no component file. `strangers` are files of chunks that the grid does not have; `almost`
    the names that are almost those of files that are missing, the first of `almost_total`. `reach` is the
    box of chunks from (0, 0, 0) that holds all edge files found; `with_edges` and `without_components` have
    chunks to look into.
    """

    chunks: int
    looked: int = 0
    edges: int = 0
    bare: int = 0
    strangers: int = 0
    stranger_names: tuple[str, ...] = ()
    almost: tuple[Almost, ...] = ()
    almost_total: int = 0
    reach: tuple[int, int, int] = (0, 0, 0)
    with_edges: tuple[Chunk, ...] = ()
    without_components: tuple[Chunk, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every chunk was looked for."""
        return self.looked == self.chunks

    @property
    def without_edges(self) -> int:
        """Chunks that were looked for and have no edge file."""
        return self.looked - self.edges

    def totals(self) -> list[tuple[str, str]]:
        """What a plan says of it, as names and values; nothing if nothing was looked for."""
        if not self.looked:
            return []
        of = f"of {self.looked:,}" + ("" if self.whole else f" looked for, a sample of {self.chunks:,}")
        rows = [
            ("no edge file", f"{self.without_edges:,} {of} chunks"),
            ("no component file", f"{self.bare:,} of {self.edges:,} chunks with edges"),
        ]
        if self.strangers:
            named = ", ".join(self.stranger_names[:3])
            rows.append(("files of no chunk", f"{self.strangers:,}: {named}{', …' if self.strangers > 3 else ''}"))
        return rows


NOT_LOOKED_FOR = Inventory(0)


@dataclass
class _Names:
    """The names of one folder: the chunks that have a file, files of no chunk, and what is almost one."""

    kind: Kind
    grid: Grid
    siblings: bool
    there: set[Chunk] = field(default_factory=set)
    strangers: int = 0
    stranger_names: list[str] = field(default_factory=list)
    almost: list[Almost] = field(default_factory=list)

    def take(self, names: Iterable[str]) -> None:
        for name in names:
            chunk = self.kind.chunk_of(name, self.siblings)
            if chunk is not None and chunk in self.grid:
                self.there.add(chunk)
            elif chunk is not None:
                self.strangers += 1
                if len(self.stranger_names) < SHOWN:
                    self.stranger_names.append(name)
            elif (almost := self.kind.almost(name)) and almost.chunk in self.grid:
                self.almost.append(almost)


def take_inventory(edges: InputFiles, components: InputFiles, grid: Grid) -> Inventory:
    """Looks for the files of a grid; raises what the folders raise."""
    folders = ((edges, EDGES), (components, COMPONENTS))
    small = grid.chunk_total(2) <= LISTED
    with ThreadPoolExecutor(2) as pool:
        names, done = zip(*pool.map(lambda each: _listed(each[0], each[1], grid, small), folders), strict=True)
    if all(done):
        chunks: Iterable[Chunk] = grid.chunks(2)
        have_edges, have_components = names[0].there, names[1].there
        looked = grid.chunk_total(2)
        found = [chunk for chunk in chunks if chunk in have_edges]
    else:
        total = grid.chunk_total(2)
        asked = [grid.chunk_at(2, index) for index in itertools.islice(shuffled(total, total), SAMPLED)]
        have_edges = _asked_for(edges, EDGES, asked)
        found = [chunk for chunk in asked if chunk in have_edges]
        have_components = _asked_for(components, COMPONENTS, found)
        looked = len(asked)
    bare = [chunk for chunk in found if chunk not in have_components]
    almost = []
    for (folder, kind), part in zip(folders, names, strict=True):
        suspects = [one for one in part.almost if one.chunk not in part.there]
        if not all(done):
            suspects = suspects[:SHOWN]
            there = _asked_for(folder, kind, [one.chunk for one in suspects])
            suspects = [one for one in suspects if one.chunk not in there]
        almost += suspects
    reach = np.array([chunk.coords for chunk in found], np.int64).reshape(-1, 3).max(axis=0, initial=-1) + 1
    return Inventory(
        chunks=grid.chunk_total(2),
        looked=looked,
        edges=len(found),
        bare=len(bare),
        strangers=sum(part.strangers for part in names),
        stranger_names=tuple(name for part in names for name in sorted(part.stranger_names)),
        almost=tuple(sorted(almost, key=lambda one: one.name)[:SHOWN]),
        almost_total=len(almost),
        reach=(int(reach[0]), int(reach[1]), int(reach[2])),
        with_edges=tuple(found),
        without_components=tuple(bare),
    )


def _listed(folder: InputFiles, kind: Kind, grid: Grid, whole: bool) -> tuple[_Names, bool]:
    """The names of a folder, or of a large one the first, and whether these are all."""
    found = _Names(kind, grid, folder.takes_siblings)
    names = folder.names(kind.prefix)
    try:
        found.take(itertools.islice(names, MOST_NAMES if whole else SAMPLED))
        return found, whole and next(names, None) is None
    except CannotList:
        return found, False


def _asked_for(folder: InputFiles, kind: Kind, chunks: Iterable[Chunk]) -> set[Chunk]:
    """Those of some chunks that have a file."""
    names = {kind.name(chunk): chunk for chunk in chunks}
    return {names[name] for name, there in folder.has(list(names)).items() if there}
