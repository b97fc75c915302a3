"""The version of this pipeline, in one place: commands, logs, run records and the image have it from here."""

from __future__ import annotations

VERSION = "0.9.0"
