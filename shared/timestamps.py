"""Times as texts: moments as UTC to the millisecond, so that texts sort as the times do; and spans for people."""

from __future__ import annotations

from datetime import UTC, datetime


def text_of(seconds: float) -> str:
    """A time given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def now() -> str:
    """This moment."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def duration(seconds: float | None, digits: int = 0) -> str:
    """A span of time as people say it, in seconds, minutes or hours; `-` for one that is not known.

    `digits` after the point are for spans below an hour and a half; hours have one at least.
    """
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.{digits}f} s"
    if seconds < 5400:
        return f"{seconds / 60:.{digits}f} min"
    return f"{seconds / 3600:,.{max(1, digits)}f} h"
