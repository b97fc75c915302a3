"""Why cloud-volume or cloud-files could not read something, as one plain sentence."""

from __future__ import annotations

import re

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 200


def reason_of(error: Exception) -> str:
    """The first line of what an error says, without terminal colours, after the error's name."""
    lines = (line.strip() for line in _COLOUR.sub("", str(error)).splitlines())
    first = next((line for line in lines if line), "no reason given")
    return f"{type(error).__name__}: {first[:_LONGEST]}"
