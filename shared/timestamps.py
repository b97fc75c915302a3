"""Times as texts: UTC to the millisecond, so that texts sort as the times do."""

from __future__ import annotations

from datetime import UTC, datetime


def text_of(seconds: float) -> str:
    """A time given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def now() -> str:
    """This moment."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
