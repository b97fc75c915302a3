"""Edges and components of a chunk, made from its cut and those of its face neighbours.

| kind | between | affinity |
|---|---|---|
| in_chunk | pieces of the chunk that touch | the mean of the volume of affinities, or the score, or by objects |
| between_chunk | pieces of two chunks that touch | the same |
| cross_chunk | the parts of one supervoxel that the grid cut apart | inf |
| in_chunk, of a piece with itself | a piece that touches nothing: it has its row by this edge | 0 |

Without affinities and scores a contact has 1 inside an object and 0 between two: a multicut pays for cutting an
object and nothing for cutting between. Objects have no cross edges where the volume is one of objects: such edges
cannot be cut, and an object could never be split. Invariants: both chunks of a face make the same edges through it
and decide them alike, as components go by objects of the whole volume. What is made is what the written files hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.errors import DataError
from shared.inputs.components import Components
from shared.inputs.edges import ChunkEdges, EdgeList
from shared.inputs.segmentation.cut import Cut
from shared.inputs.segmentation.cutting import Cuts, Tables
from shared.plan.grid import Chunk, opposite
from shared.plan.ids import IdLayout, Ids
from shared.plan.plan import Plan
from shared.plan.segmentation import BELOW, REFUSE, Segmentation
from shared.voxels.contacts import Affinities, Contacts, contacts_across

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Ends:
    """Contacts of a chunk with the ids, labels and objects of both ends, each (n, 2), the chunk's own first."""

    pairs: Ids
    original: Ids
    objects: Ids
    contacts: Contacts

    def chosen(self, which: Flags, affinities: Affinities) -> EdgeList:
        """Some of them as edges."""
        return EdgeList(self.pairs[which], affinities[which], self.contacts.areas[which])


@dataclass(frozen=True)
class SegmentationSource:
    """The cuts of a segmentation as a source of edges and components; `cuts` reads those of layer 1."""

    segmentation: Segmentation
    plan: Plan
    cuts: Cuts
    folder: str
    tables: Tables | None = None

    @property
    def agrees(self) -> bool:
        """Both chunks of a face see the same planes."""
        return True

    @property
    def decides_alike(self) -> bool:
        """Objects are those of the whole volume."""
        return True

    def place(self, of: Chunk) -> str:
        """The volume."""
        return self.segmentation.supervoxels

    def edges(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, ChunkEdges | None]:
        """The edges of each chunk, None where it has no piece; DataError for cuts that contradict each other."""
        return {one: self._edges(one) for one in of}

    def components(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Components | None]:
        """For each chunk its own pieces and those that touch them from outside, by object, but for objects with a
        single one; None where nothing is left."""
        return {one: self._components(one) for one in of}

    def _around(self, chunk: Chunk) -> tuple[Cut, dict[int, Cut]]:
        """The cut of a chunk of layer 2, and those behind its faces."""
        own = chunk._replace(layer=1)
        beside = {face: other for face, other in self.plan.grid.neighbours(own).items() if other in self.plan}
        found = self.cuts([own, *beside.values()])
        return found[own], {face: found[other] for face, other in beside.items()}

    def _edges(self, chunk: Chunk) -> ChunkEdges | None:
        own, beside = self._around(chunk)
        if not own.count:
            return None
        ids = self.plan.ids
        inside = _ends(ids, own, own, own.inside)
        touched = [own.inside.pairs.ravel()]
        between, cross = [], []
        for face, other in beside.items():
            through = _through(own, other, face, self.segmentation.resolution[face // 2])
            ends = _ends(ids, own, other, through)
            cut_apart = self._cut_apart(chunk, ends)
            between.append(ends.chosen(~cut_apart, self._affinities(ends)))
            cross.append(ends.chosen(cut_apart, np.full(len(ends.pairs), np.inf, np.float32)))
            touched.append(through.pairs[:, 0])
        alone = np.ones(own.count, dtype=bool)
        alone[np.concatenate(touched).astype(np.int64) - 1] = False
        lonely = _ids(ids, own)[alone]
        everything = np.ones(len(inside.pairs), dtype=bool)
        within = [inside.chosen(everything, self._affinities(inside)), _with_themselves(lonely)]
        return ChunkEdges(inside=_joined(within), between=_joined(between), cross=_joined(cross))

    def _cut_apart(self, chunk: Chunk, ends: _Ends) -> Flags:
        """Which contacts are of two parts of one supervoxel."""
        segmentation = self.segmentation
        if segmentation.flat:
            return np.zeros(len(ends.pairs), dtype=bool)
        same: Flags = ends.original[:, 0] == ends.original[:, 1]
        differ = same & (ends.objects[:, 0] != ends.objects[:, 1])
        if differ.any() and segmentation.several_objects == REFUSE:
            at = np.flatnonzero(differ)[0]
            objects = " and ".join(map(str, ends.objects[at].tolist()))
            reason = (
                f"supervoxel {ends.original[at, 0]} meets objects {objects}, on both sides of a face of the chunk, "
                f"as {int(differ.sum()):,} do there. several_objects: most has each side go its own way"
            )
            raise DataError(segmentation.objects or segmentation.supervoxels, chunk, reason)
        cut_apart: Flags = same & ~differ
        return cut_apart

    def _affinities(self, ends: _Ends) -> Affinities:
        """The affinity of each contact."""
        known: Affinities | None = ends.contacts.affinities
        if known is None and self.segmentation.scores and self.tables is not None:
            known = self.tables.scores_of(ends.original)
        if known is None:
            same = (ends.objects[:, 0] == ends.objects[:, 1]) & (ends.objects[:, 0] != 0)
            inside: Affinities = same.astype(np.float32)
            return inside
        if not self.segmentation.scores or self.segmentation.affinities is not None:
            return known
        if self.segmentation.together == BELOW:
            known = np.maximum(np.float32(0), np.float32(1) - known)
        return np.where(np.isnan(known), np.float32(0), known).astype(np.float32)

    def _components(self, chunk: Chunk) -> Components | None:
        own, beside = self._around(chunk)
        ids, objects = [_ids(self.plan.ids, own)], [own.objects]
        for face, other in beside.items():
            through = _through(own, other, face, 1.0)
            reached = np.unique(through.pairs[:, 1]).astype(np.int64) - 1
            ids.append(_ids(self.plan.ids, other)[reached])
            objects.append(other.objects[reached])
        every, of = np.concatenate(ids), np.concatenate(objects)
        order = np.argsort(every)
        every, of = every[order], of[order]
        _, first, labels, members = np.unique(of, return_index=True, return_inverse=True, return_counts=True)
        kept = (of != 0) & (members[labels] > 1)
        if not kept.any():
            return None
        # Numbered by the smallest supervoxel of each, as a reader of the file finds them.
        _, numbers = np.unique(first[labels[kept]], return_inverse=True)
        return Components(every[kept], numbers.astype(np.int64))


def _ids(ids: IdLayout, cut: Cut) -> Ids:
    """The id of each piece."""
    return ids.node_ids(cut.chunk, 1, cut.count)


def _ends(ids: IdLayout, own: Cut, other: Cut, contacts: Contacts) -> _Ends:
    near, far = (contacts.pairs[:, side].astype(np.int64) - 1 for side in (0, 1))
    return _Ends(
        np.stack([_ids(ids, own)[near], _ids(ids, other)[far]], axis=1),
        np.stack([own.original[near], other.original[far]], axis=1),
        np.stack([own.objects[near], other.objects[far]], axis=1),
        contacts,
    )


def _through(own: Cut, other: Cut, face: int, size: float) -> Contacts:
    """The contacts through a face, own pieces first; the same as the chunk behind it finds, from its side."""
    mine, theirs = own.planes.get(face), other.planes.get(opposite(face))
    if mine is None or theirs is None or mine.numbers.shape != theirs.numbers.shape:
        raise DataError("the cuts", own.chunk, f"it and {other.chunk} do not fit each other; cut both again")
    if face % 2:
        return contacts_across(mine.numbers, theirs.numbers, size, theirs.affinities)
    found = contacts_across(theirs.numbers, mine.numbers, size, mine.affinities)
    return Contacts(found.pairs[:, ::-1], found.areas, found.affinities)


def _with_themselves(ids: Ids) -> EdgeList:
    count = len(ids)
    return EdgeList(np.stack([ids, ids], axis=1), np.zeros(count, np.float32), np.zeros(count, np.uint64))


def _joined(parts: Sequence[EdgeList]) -> EdgeList:
    """Edges of several lists, sorted by both ids."""
    if not parts:
        return EdgeList()
    pairs = np.concatenate([part.pairs for part in parts])
    order = np.lexsort([pairs[:, 1], pairs[:, 0]])
    affinities = np.concatenate([part.affinities for part in parts])
    return EdgeList(pairs[order], affinities[order], np.concatenate([part.areas for part in parts])[order])
