"""How tables are opened: by folder, for parts of objects alone, or to find objects as well."""

from __future__ import annotations

from collections.abc import Callable

from shared.inputs.raw.ranges import Place, RangeReader

OpenRanges = Callable[[str], RangeReader]
"""Opens a folder, for parts of its objects."""

OpenPlace = Callable[[str], Place]
"""Opens a folder, to find what is in it as well."""
