"""The format's rule for where a node's parent stands (format: section 5), as a function of its edges."""

from __future__ import annotations


def parent_rule(own_layer: int, mask: int, root_layer: int) -> tuple[int, bool]:
    """The layer of the parent of a node and whether it must have more than one child.

    `mask` has bit m set for each cross layer m >= `own_layer` of the active edges that leave the
    node. With an edge of its own layer the node is joined one layer up; else its parent is a node
    with this single child, at the lowest cross layer, or at the root layer where no edge is left.
    """
    left = mask >> own_layer
    if not left:
        return root_layer, False
    lowest = own_layer + (left & -left).bit_length() - 1
    return (own_layer + 1, True) if lowest == own_layer else (lowest, False)
