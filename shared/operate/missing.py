"""Whether so many missing files are a dataset as it is, or one that was copied or named wrongly.

A missing file means "nothing here", so nothing that reads the same files can find that one was lost. Sparse
volumes have edges at their rim alone, so that many chunks have no edge file says little; that chunks with
edges have no component file says more; that a file stands under a name that is almost right says it all.
Invariants: pure; one sentence for each thing that is wrong.
"""

from __future__ import annotations

from shared.inputs.inventory import Inventory
from shared.plan.fields import REFUSE_MISSING, REPORT_MISSING
from shared.plan.grid import Grid

SETTING = "chunkedgraph_ingest.missing_files"
DENSE = 0.5
"""Of the chunks up to the farthest edge file, the share that has one where a volume is filled."""
SMALLEST = 8
"""Chunks of a grid below which its files' reach says nothing."""

Found = list[tuple[str, object, str]]
"""Key, value and what follows."""


def missing_problems(setting: str | float, found: Inventory, grid: Grid) -> Found:
    """What is wrong with the files that are there, as `missing_files` wants it judged."""
    return _nothing(setting, found, grid) or [
        *_almost(found),
        *_counts(setting, found),
        *_reach(setting, found, grid),
    ]


def _nothing(setting: str | float, found: Inventory, grid: Grid) -> Found:
    if found.edges or setting == REPORT_MISSING or found.almost:
        return []
    told = f"has no edge file of the {_of(grid)}; check the path, and graph_config.CHUNK_SIZE"
    named = f", such as {found.stranger_names[0]}" if found.stranger_names else ""
    others = f" (it has {found.strangers:,} files of other chunks{named})" if found.strangers else ""
    return [("data_source.EDGES", None, told + others)]


def _almost(found: Inventory) -> Found:
    if not found.almost_total:
        return []
    named = "; ".join(map(str, found.almost[:3]))
    told = (
        f"{found.almost_total:,} chunks have no file of the right name, but one of almost that name, and would be "
        f"built as if they had none: {named}. Give the files their names, or take them away"
    )
    return [("data_source", None, told)]


def _counts(setting: str | float, found: Inventory) -> Found:
    if setting == REPORT_MISSING:
        return []
    problems: Found = []
    if setting == REFUSE_MISSING:
        most, missing = 0.0, found.without_edges
        if missing:
            told = f"{missing:,} of {found.looked:,} chunks looked for have no edge file"
            problems.append((SETTING, setting, told))
    else:
        most = float(setting)
    if found.bare > most * found.edges:
        named = ", ".join(map(str, found.without_components[:3]))
        told = (
            f"{found.bare:,} of {found.edges:,} chunks with an edge file have no component file ({named}, …), so "
            "nothing would be joined there: a copy that broke off? If the dataset is so, set it to "
            f"{REPORT_MISSING}, or to a larger share"
        )
        problems.append((SETTING, setting, told))
    return problems


def _reach(setting: str | float, found: Inventory, grid: Grid) -> Found:
    """A chunk size that is half of the right one: the files fill the lower half of each axis, and no more."""
    x, y, z = found.reach
    halves = all(reach <= -(-length // 2) for reach, length in zip(found.reach, grid.shape, strict=True))
    filled = found.whole and found.edges >= DENSE * x * y * z > 0
    if setting == REPORT_MISSING or not halves or not filled or found.chunks < SMALLEST:
        return []
    told = (
        f"makes a {_of(grid)}, but the edge files fill {x} x {y} x {z} chunks and end there, at half of each axis "
        f"or before: it is too small? If the volume is empty beyond them, set {SETTING} to {REPORT_MISSING}"
    )
    return [("graph_config.CHUNK_SIZE", None, told)]


def _of(grid: Grid) -> str:
    x, y, z = grid.shape
    return f"grid of {x} x {y} x {z} chunks"
