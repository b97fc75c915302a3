"""Which supervoxels are one object, and how each chunk's component file tells it.

Invariants: the true objects are the components of all supervoxels that occur in an edge under the
active ones. A few component files contradict their lower neighbours' about edges through a face;
the lower side is right, so the truth does not depend on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from jobs.example.contacts import Contacts
from shared.plan.grid import Chunk, neighbour
from shared.plan.ids import Ids

Face = tuple[Chunk, int]
"""The lower one of two chunks that touch, and the axis along which they do."""


@dataclass(frozen=True)
class Truth:
    """The `objects` (n,) uint64, numbered from 1, of all `supervoxels` (n,) uint64 that occur in an
    edge; these are sorted."""

    supervoxels: Ids
    objects: Ids

    def of(self, ids: Ids) -> Ids:
        """The object of each supervoxel."""
        return self.objects[np.searchsorted(self.supervoxels, ids)]


@dataclass(frozen=True)
class Agglomeration:
    """All contacts of a dataset by chunk and by face, and the objects that follow from them."""

    inside: dict[Chunk, Contacts]
    faces: dict[Face, Contacts]
    truth: Truth


def true_objects(contacts: list[Contacts]) -> Truth:
    """The components of all supervoxels in any contact under the active ones."""
    pairs = np.concatenate([contact.pairs for contact in contacts])
    active = np.concatenate([contact.active for contact in contacts])
    ids, flat = np.unique(pairs, return_inverse=True)
    ends = flat.reshape(-1, 2)[active]
    graph = coo_matrix((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(ids), len(ids)))
    labels = connected_components(graph, directed=False)[1]
    return Truth(ids, labels.astype(np.uint64) + np.uint64(1))


def chunk_faces(data: Agglomeration, chunk: Chunk) -> list[tuple[Contacts, int]]:
    """The contacts through each face of a chunk, with the column in which its own supervoxels are."""
    found = []
    for axis in range(3):
        for key, inside in (((neighbour(chunk, 2 * axis), axis), 1), ((chunk, axis), 0)):
            if key in data.faces:
                found.append((data.faces[key], inside))
    return found


def components_of(data: Agglomeration, chunk: Chunk, changed: dict[int, int]) -> list[Ids]:
    """The components of a chunk's file, each at least 2 sorted ids, in the order of their smallest.

    They are the true objects, cut down to the chunk's supervoxels and the ones that touch them by
    between edges. `changed` has supervoxels that the file puts into another object, 0 for none.
    """
    parts = [data.inside[chunk].pairs.ravel()]
    for contacts, inside in chunk_faces(data, chunk):
        parts += [contacts.pairs[:, inside], contacts.pairs[~contacts.cut, 1 - inside]]
    ids = np.unique(np.concatenate(parts))
    objects = data.truth.of(ids)
    for supervoxel, other in changed.items():
        objects[ids == supervoxel] = other
    ids, objects = ids[objects > 0], objects[objects > 0]
    order = np.lexsort((ids, objects))
    groups = np.split(ids[order], np.flatnonzero(np.diff(objects[order])) + 1)
    return sorted((group for group in groups if len(group) > 1), key=lambda group: int(group[0]))


def disagreements(data: Agglomeration, chosen: list[Face]) -> dict[Chunk, dict[int, int]]:
    """For the upper chunk of each chosen face: what its file says wrongly of the lower one's supervoxels.

    One supervoxel with active edges through the face, none of them cross, is left out, so that the
    upper chunk takes them for inactive. One with inactive edges only is put into the object of a
    supervoxel that it touches, so that the upper chunk takes that edge for active.
    """
    found: dict[Chunk, dict[int, int]] = {}
    for lower, axis in chosen:
        contacts = data.faces[lower, axis]
        first = contacts.pairs[:, 0]
        plain = ~np.isin(first, first[contacts.cut])
        on = np.isin(first, first[contacts.active])
        changes = found.setdefault(neighbour(lower, 2 * axis + 1), {})
        for at in np.flatnonzero(plain & on)[:1]:
            changes[int(first[at])] = 0
        for at in np.flatnonzero(plain & ~on)[:1]:
            changes[int(first[at])] = int(data.truth.of(contacts.pairs[at, 1:])[0])
    return found


def disagreeing_edges(data: Agglomeration, wrong: dict[Chunk, dict[int, int]]) -> int:
    """How many edges the files of both sides decide differently, by what `disagreements` changed.

    More than there are changed supervoxels, where one of them has several edges through its face.
    """
    count = 0
    for (lower, axis), contacts in data.faces.items():
        changes = wrong.get(neighbour(lower, 2 * axis + 1), {})
        for supervoxel, object_ in changes.items():
            mine = contacts.pairs[:, 0] == np.uint64(supervoxel)
            mine &= ~contacts.cut
            believed = data.truth.of(contacts.pairs[mine, 1]) == np.uint64(object_)
            count += int((believed != contacts.active[mine]).sum())
    return count
