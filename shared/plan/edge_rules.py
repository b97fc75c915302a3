"""What a build does with edges that the format does not allow: part of the plan, since rows depend on it."""

from __future__ import annotations

from dataclasses import dataclass

REFUSE, DROP, JOIN = "refuse", "drop", "join"
ONE_SIDED = (REFUSE, JOIN)
"""What may become of an edge that only one of the two chunks' files has."""
WITHOUT = (REFUSE, DROP)
"""What may become of other edges: refused, or built without."""


@dataclass(frozen=True)
class EdgeRules:
    """`one_sided`: edges that only one of two chunks has; `beyond`: edges that lead out of the grid; `unusable`:
    edges whose ends are not what they have to be. Of an edge that is dropped the supervoxels of the chunk stay."""

    one_sided: str = REFUSE
    beyond: str = REFUSE
    unusable: str = REFUSE


STRICT = EdgeRules()
"""Nothing but what the format allows."""
