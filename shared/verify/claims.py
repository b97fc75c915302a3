"""Which node is whose child, by both: parents cells and children cells, the rule of layers, and the edges.

For a chunk of layer l every node that waits below it is looked at. Invariants: the children cells of the chunk's
own nodes are compared with the parents cells of those they list, each once; a node stands in the layer that its
edges give (format: section 5), and nodes are put together exactly where active edges join them. By induction over
the layers, from supervoxels to roots, roots are then the connected components of the active edges.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from shared.chunks.labels import Flags, Index
from shared.plan.ids import Ids
from shared.plan.plan import Plan
from shared.verify.findings import Findings
from shared.verify.rows import NodeRows
from shared.verify.verdict import LOST, Frontier

_ONE = np.uint64(1)


def find(known: Ids, wanted: Ids) -> tuple[Index, Flags]:
    """Where each of `wanted` stands in `known`, which is sorted, and whether it does."""
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return at, known[at] == wanted


def claim(plan: Plan, layer: int, own: NodeRows, waiting: Frontier, findings: Findings) -> tuple[Ids, Frontier]:
    """The node of `own`, all of `layer`, that lists each waiting one, 0 for none; and `own` as it waits itself.

    Complains where the two sides contradict each other, and of a parent in another layer than the edges give.
    """
    order = np.lexsort((own.child_of, own.children))
    child, parent = own.children[order], own.child_of[order]
    at, known = find(waiting.nodes, child)
    twice = np.append(np.zeros(min(1, len(child)), bool), child[1:] == child[:-1])
    good = known & ~twice
    findings.pairs(parent[~good], child[~good], "lists the child {}, which names another parent or none")
    # A row that is lost is written by all jobs from its own chunk's to this one's.
    findings.mend(child[~good])
    claimers = np.zeros(len(waiting.nodes), np.uint64)
    claimers[at[good]] = parent[good]
    claimed = claimers != 0
    wrong = claimed & (waiting.parents != claimers)
    findings.pairs(waiting.nodes[wrong], waiting.parents[wrong], "names the parent {}, which does not list it")

    place = np.searchsorted(own.nodes, claimers[claimed])
    lists = np.bincount(np.searchsorted(own.nodes, own.child_of), minlength=len(own.nodes))
    _check_layers(plan, layer, waiting.take(claimed), lists[place], findings)
    masks, sizes = np.zeros(len(own.nodes), np.uint64), np.zeros(len(own.nodes), np.uint64)
    below = (waiting.masks[claimed] & ~LOST) >> np.uint64(layer) << np.uint64(layer)
    np.bitwise_or.at(masks, place, below)
    np.add.at(sizes, place, waiting.sizes[claimed])
    return claimers, Frontier(own.nodes, masks, sizes, own.parents)


def parent_layers(plan: Plan, waiting: Frontier) -> tuple[Index, Flags]:
    """For each node the layer of its parent, and whether that must have more than one child.

    With an edge of its own layer a node is joined one layer up; else its parent is a node with this single child,
    at the lowest cross layer, or at the root layer where no edge is left.
    """
    layers = plan.ids.layers(waiting.nodes)
    left = (waiting.masks & ~LOST) >> layers
    lowest = np.where(left != 0, left & (~left + _ONE), _ONE)
    at = layers.astype(np.int64) + np.log2(lowest.astype(np.float64)).astype(np.int64)
    joined = (left & _ONE) != 0
    at = np.where(joined, layers.astype(np.int64) + 1, at)
    at = np.where(left == 0, plan.grid.layer_count, at)
    # All supervoxels have their parent in layer 2, with as many others as there are.
    return np.where(layers == 1, 2, at), joined


def _check_layers(plan: Plan, layer: int, waiting: Frontier, siblings: Index, findings: Findings) -> None:
    where, joined = parent_layers(plan, waiting)
    supervoxels = plan.ids.layers(waiting.nodes) == 1
    wrong = (where != layer) | (~supervoxels & (joined != (siblings > 1)))
    wrong &= (waiting.masks & LOST) == 0
    for at in np.flatnonzero(wrong).tolist():
        mask = int(waiting.masks[at])
        layers = [one for one in range(63) if mask >> one & 1]
        findings.complain(
            f"{waiting.nodes[at]:020d}",
            f"has edges of cross layers {layers}, but a parent in layer {layer} with {siblings[at]} children",
        )


def check_components(waiting: Ids, claimers: Ids, pairs: npt.NDArray[Any], findings: Findings) -> None:
    """Complains unless two of the `waiting` nodes have one parent here exactly if edges, `pairs` (n, 2) of
    positions, join them; a node without a parent here is alone."""
    if not len(waiting):
        return
    groups = np.where(claimers != 0, claimers, waiting)
    _, group = np.unique(groups, return_inverse=True)
    component = _components(len(waiting), pairs)
    both = np.unique(group.astype(np.int64) * len(waiting) + component)
    group_of, component_of = both // len(waiting), both % len(waiting)
    names = np.zeros(int(group.max()) + 1, np.uint64)
    names[group] = groups
    mixed = np.bincount(group_of) > 1
    findings.each(names[: len(mixed)][mixed], "joins what no active edge joins")
    split = np.bincount(component_of) > 1
    findings.each(names[group_of[split[component_of]]], "is apart from what an active edge joins it to")


def _components(count: int, pairs: npt.NDArray[Any]) -> Index:
    """A component's number for each of `count` vertices: by graph-tool, where the build uses scipy."""
    if not len(pairs):
        return np.arange(count, dtype=np.int64)
    import graph_tool
    import graph_tool.topology

    graph = graph_tool.Graph(directed=False)
    graph.add_vertex(count)
    graph.add_edge_list(pairs)
    # `.a` is a view that does not keep the property map alive: hold the map until it is copied.
    labelled, _ = graph_tool.topology.label_components(graph)
    return np.array(labelled.a, dtype=np.int64)
