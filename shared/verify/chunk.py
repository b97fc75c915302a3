"""The verification of one chunk: a pure function of its rows, its children's verdicts and its input.

    layer 2   supervoxels and nodes | what the input has of them | roots that its own job made
    above     own nodes | verdicts of children, face maps of outside neighbours | what this chunk's job wrote
              into the rows of its children: parents and family 4 | roots that its own job made

A chunk's job writes all of what is looked at here, or jobs did that it waited for. So a chunk can be verified as
soon as it and those that it depends on are built and verified, while the rest of the graph is not there yet.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.chunks.digest import face_digests
from shared.chunks.labels import Flags, Index, unique_rows
from shared.plan.grid import Chunk
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.table.columns import counter_key
from shared.table.decode import decode_counter
from shared.table.scan import Scan
from shared.verify.claims import check_components, claim, find, parent_layers
from shared.verify.crossing import Edges, FaceMaps, compare_lifted, differences, leaving, lifted
from shared.verify.findings import Findings
from shared.verify.given import Given
from shared.verify.rows import NodeRows, read_lifted, read_nodes, read_parents
from shared.verify.verdict import LOST, SIZES, Counts, Frontier, Verdict, add, summed


@dataclass(frozen=True)
class ChunkScans:
    """What is read for one chunk: `nodes` of its own layer (roots where that is the root layer), `roots` of its
    range below that, its counter (None without the row), `supervoxels` of layer 2. `above` are of the nodes of its
    children, and of those in lower layers that it lists: parents and family 4."""

    nodes: Scan
    roots: Scan = field(default_factory=Scan)
    counter: bytes | None = None
    supervoxels: Scan = field(default_factory=Scan)
    above: Scan = field(default_factory=Scan)


def verify_layer2(plan: Plan, chunk: Chunk, scans: ChunkScans, given: Given | None, findings: Findings) -> Verdict:
    """The verdict of a layer-2 chunk; without `given` nothing is compared with the input."""
    rows = read_nodes(plan, chunk._replace(layer=1), scans.supervoxels, findings)
    own = read_nodes(plan, chunk, scans.nodes, findings)
    ones = np.ones(len(rows.nodes), np.uint64)
    waiting = Frontier(rows.nodes, ones - ones, ones, rows.parents)
    claimers, nodes = claim(plan, 2, own, waiting, findings)
    lonely = claimers == 0
    findings.pairs(rows.nodes[lonely], rows.parents[lonely], "names the parent {}, which does not list it")
    edges = own.atomic
    bits = np.uint64(1) << edges.layers.astype(np.uint64)
    np.bitwise_or.at(nodes.masks, np.searchsorted(nodes.nodes, edges.nodes), bits)
    if given is not None:
        _compare(rows.nodes, claimers, own, given, findings)
    faces = _faces(plan, chunk, edges.pairs[:, 1])
    findings.each(edges.nodes[faces < 0], "has an edge that leads to no neighbour of its chunk")
    through = faces >= 0
    counts: Counts = {1: {"rows": len(rows.nodes)}}
    near, far, faces = edges.pairs[through, 0], edges.pairs[through, 1], faces[through]
    at = np.searchsorted(nodes.nodes, edges.nodes[through])
    verdict = _ended(plan, chunk, scans, own, nodes, _Leaving(faces, at, far, near), counts, findings)
    once = unique_rows(faces, near, far)
    return Verdict(**{**vars(verdict), "digests": face_digests(*once)})


def verify_parent(
    plan: Plan,
    chunk: Chunk,
    scans: ChunkScans,
    children: Mapping[Chunk, Verdict],
    outside: FaceMaps | None,
    findings: Findings,
) -> Verdict:
    """The verdict of a chunk of layer 3 or more; `outside` None verifies it alone, as a test run is built."""
    own = read_nodes(plan, chunk, scans.nodes, findings)
    below = [verdict.frontier for verdict in children.values()]
    waiting = Frontier.joined(below)
    parents, (at, known) = read_parents(scans.above), find(scans.above.nodes, waiting.nodes)
    if len(parents):
        waiting = Frontier(waiting.nodes, waiting.masks, waiting.sizes, np.where(known, parents[at], np.uint64(0)))
    edges = lifted(plan, children, outside, waiting.nodes, findings)
    columns = read_lifted(plan, chunk.layer - 1, scans.above, findings)
    if plan.schema == 3:
        compare_lifted(plan, chunk.layer - 1, waiting.nodes, edges, columns, findings)
    else:
        _all_told(columns)
    claimers, nodes = claim(plan, chunk.layer, own, waiting, findings)
    check_components(waiting.nodes, claimers, _joined(waiting.nodes, edges), findings)

    # By their new names: a node that has a parent here is called by it from now on.
    free = claimers == 0
    names = np.where(free, waiting.nodes, claimers)
    frontier = Frontier.joined([nodes, waiting.take(free)])
    out = ~edges.inner
    left = _Leaving(
        edges.faces[out],
        np.searchsorted(frontier.nodes, names[edges.near[out]]),
        edges.far[out],
        waiting.nodes[edges.near[out]],
    )
    verdicts = list(children.values())
    found = _ended(plan, chunk, scans, own, frontier, left, summed(verdicts), findings)
    objects = np.sum([found.objects, *(verdict.objects for verdict in verdicts)], axis=0)
    highest = max([found.max_root, *(verdict.max_root for verdict in verdicts)])
    return Verdict(**{**vars(found), "objects": tuple(objects.tolist()), "max_root": highest})


def check_alone(plan: Plan, chunk: Chunk, scans: ChunkScans, findings: Findings) -> None:
    """What can be said of a chunk of layer 3 or more without those below it: its rows, and the parents cells of the
    children that it lists."""
    own = read_nodes(plan, chunk, scans.nodes, findings)
    _all_told(read_lifted(plan, chunk.layer - 1, scans.above, findings))
    parents, (at, known) = read_parents(scans.above), find(scans.above.nodes, own.children)
    named = parents[at[known]] if len(parents) else parents
    wrong = named != own.child_of[known]
    findings.pairs(
        own.child_of[known][wrong], own.children[known][wrong], "lists the child {}, which names another"
    )
    lost = ~known & (plan.ids.layers(own.children) >= 2)
    findings.pairs(own.child_of[lost], own.children[lost], "lists the child {}, which is not there, or names none")
    if chunk.layer != plan.grid.layer_count:
        _check_counter(plan, counter_key(plan.ids.chunk_id(chunk)), scans.counter, own.nodes, findings)
        read_nodes(plan, plan.grid.root, scans.roots, findings)


def _joined(waiting: Ids, edges: Edges) -> Index:
    """The distinct pairs (n, 2) of positions among the waiting nodes that inner edges join, from either side."""
    near, (far, there) = edges.near[edges.inner].astype(np.int64), find(waiting, edges.far[edges.inner])
    near, far = near[there], far[there]
    pairs = np.unique(np.minimum(near, far) * len(waiting) + np.maximum(near, far))
    return np.stack(np.divmod(pairs, max(len(waiting), 1)), axis=1)


def _all_told(columns: Iterable[object]) -> None:
    """Has everything complained of, where what is right with it does not matter."""
    deque(columns, maxlen=0)


@dataclass(frozen=True)
class _Leaving:
    """Edges through outer faces: position in the frontier, far end, and what neighbours know the near end as."""

    faces: npt.NDArray[Any]
    near: Index
    far: Ids
    old: Ids


def _ended(
    plan: Plan,
    chunk: Chunk,
    scans: ChunkScans,
    own: NodeRows,
    frontier: Frontier,
    left: _Leaving,
    counts: Counts,
    findings: Findings,
) -> Verdict:
    """What is alike in all layers: roots that end here, what should have ended, the counter, and what is handed
    on."""
    top, highest = plan.grid.layer_count, 0
    objects = np.zeros(SIZES, np.int64)
    lists = np.unique(own.child_of, return_counts=True)[1]
    add(counts, chunk.layer, {"rows": len(own.nodes), "single": int((lists == 1).sum())})
    if chunk.layer == top:
        roots, claimed = own, np.ones(len(frontier.nodes), bool)
        sizes = frontier.sizes[plan.ids.layers(frontier.nodes) == top]
        _told(plan, frontier.take(plan.ids.layers(frontier.nodes) != top), findings)
    else:
        _check_counter(plan, counter_key(plan.ids.chunk_id(chunk)), scans.counter, own.nodes, findings)
        roots = read_nodes(plan, plan.grid.root, scans.roots, findings)
        claimers, made = claim(plan, top, roots, frontier, findings)
        claimed, sizes = claimers != 0, made.sizes
        lists = np.unique(roots.child_of, return_counts=True)[1]
        add(counts, top, {"rows": len(roots.nodes), "single": int((lists == 1).sum())})
    if len(roots.nodes):
        highest = int(plan.ids.segments(roots.nodes, top).max())
        classes = np.log2(np.maximum(sizes, np.uint64(1)).astype(np.float64)).astype(np.int64)
        objects = np.bincount(classes, minlength=SIZES)[:SIZES]
    if chunk.layer == top:
        kept, masks = np.zeros(len(frontier.nodes), bool), frontier.masks
    else:
        kept, masks = _kept(plan, chunk, frontier, claimed, left, findings)
    faces = {}
    if kept.any():
        place = np.cumsum(kept) - 1
        faces = leaving(left.faces, place[left.near], left.far, left.old)
    unread = np.zeros(int(kept.sum()), np.uint64)
    rest = Frontier(frontier.nodes[kept], masks[kept], frontier.sizes[kept], unread)
    return Verdict(chunk, rest, faces, {}, highest, counts, tuple(objects.tolist()))


def _kept(
    plan: Plan, chunk: Chunk, frontier: Frontier, claimed: Flags, left: _Leaving, findings: Findings
) -> tuple[Flags, Ids]:
    """Which nodes are handed on, and their masks: those that still wait, and those that edges leave."""
    where, _ = parent_layers(plan, frontier)
    left_over = (frontier.masks & ~LOST) >> plan.ids.layers(frontier.nodes) == 0
    due = ~claimed & ((where <= chunk.layer) | left_over)
    _told(plan, frontier.take(due), findings)
    masks = np.where(due | claimed, frontier.masks | LOST, frontier.masks)
    leaves = np.zeros(len(frontier.nodes), bool)
    leaves[left.near] = True
    kept: Flags = (~claimed & ~due) | leaves
    return kept, masks


def _told(plan: Plan, lost: Frontier, findings: Findings) -> None:
    """Complains of nodes that should have a parent by now, but for those of which that was told before."""
    lost = lost.take((lost.masks & LOST) == 0)
    where, _ = parent_layers(plan, lost)
    for layer in np.unique(where).tolist():
        some = lost.nodes[where == layer]
        findings.each(some, f"has no parent in layer {layer} that lists it, where its edges want one")


def _compare(supervoxels: Ids, claimers: Ids, own: NodeRows, given: Given, findings: Findings) -> None:
    """Compares a layer-2 chunk with its input: supervoxels, nodes, and the edges that leave it."""
    findings.each(np.setdiff1d(supervoxels, given.supervoxels), "is in the table, but in no edge of the input")
    findings.each(np.setdiff1d(given.supervoxels, supervoxels), "is in an edge of the input, but not in the table")
    at, known = find(supervoxels, given.inside.ravel())
    both = known.reshape(-1, 2).all(axis=1)
    check_components(supervoxels, claimers, at.reshape(-1, 2)[both], findings)
    pairs = own.atomic.pairs
    lacking, added = differences(given.outside.T, pairs.T)
    at, known = find(supervoxels, lacking[0])
    near = np.where(known & (claimers[at] != 0), claimers[at], lacking[0]) if len(supervoxels) else lacking[0]
    findings.pairs(near, lacking[1], "lacks the active edge to {} that the input has")
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    place = np.searchsorted(pairs[order, 0], added[0])
    findings.pairs(own.atomic.nodes[order[place]], added[1], "has an active edge to {} that the input has not")


def _faces(plan: Plan, chunk: Chunk, far: Ids) -> Index:
    """The face of a layer-2 chunk through which an edge leads to each far end; -1 for none."""
    steps = plan.ids.coords(far, 1) - np.array(chunk.coords, np.int64)
    good = (plan.ids.layers(far) == 1) & (np.abs(steps).sum(axis=1) == 1)
    axis = np.abs(steps).argmax(axis=1)
    faces = 2 * axis + (steps[np.arange(len(steps)), axis] > 0)
    beside = np.isin(faces, list(plan.grid.neighbours(chunk)))
    return np.where(good & beside, faces, -1)


def _check_counter(plan: Plan, key: bytes, value: bytes | None, nodes: Ids, findings: Findings) -> None:
    highest = int(plan.ids.segments(nodes, findings.chunk.layer).max()) if len(nodes) else 0
    check_count(key, value, highest, findings)


def check_count(key: bytes, value: bytes | None, highest: int, findings: Findings) -> None:
    """Complains of a counter's value, None for a missing row, below the `highest` segment that is in use."""
    try:
        counted = 0 if value is None else decode_counter(value)
    except ValueError as error:
        return findings.complain(key.decode(), f"holds no counter ({error})")
    if counted < highest:
        findings.complain(key.decode(), f"counts {counted}, but its chunk has segment {highest}")
    return None


def check_rest(counters: Mapping[bytes, bytes | None], highest: int, findings: Findings) -> None:
    """Complains of root counters below the `highest` root segment; `counters` by row key, None for missing rows."""
    for key, value in counters.items():
        check_count(key, value, highest, findings)


def check_keys(strange: Sequence[bytes], missing: Sequence[bytes], findings: Findings) -> None:
    """Complains of rows that are none of a chunked graph's, and of rows that servers begin with and that miss."""
    for key in strange:
        findings.complain(key.decode(errors="replace"), "is no row of a chunked graph")
    for key in missing:
        findings.complain(key.decode(), "is missing; servers cannot open the table")
