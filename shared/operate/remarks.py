"""What a finished run has to say of its input, from the counts that layer 2 handed up: pure."""

from __future__ import annotations

from collections.abc import Mapping

from shared.chunks.ends import BEYOND, UNUSABLE
from shared.work.layer2_inputs import ALONE, NO_COMPONENT_FILE, NO_EDGE_FILE, ONE_SIDED


def remarks(totals: Mapping[int, Mapping[str, int]]) -> list[str]:
    """Sentences about the files of a run, by the totals of its top hand-off; what did not occur is left out."""
    counts = totals[2]
    found = []
    if counts.get(NO_EDGE_FILE):
        found.append(f"{NO_EDGE_FILE}: {counts[NO_EDGE_FILE]:,} of {counts['chunks']:,}")
    found += [f"{name}: {counts[name]:,}" for name in (NO_COMPONENT_FILE, ONE_SIDED, ALONE) if counts.get(name)]
    found += [f"{name}, left out: {counts[name]:,}" for name in (BEYOND, *UNUSABLE) if counts.get(name)]
    return found
