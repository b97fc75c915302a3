"""Where this checkout is, and where the state of what runs on this machine alone is kept."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

LOCAL = REPOSITORY / "build" / "local"
"""The state of local emulators, their scratch folder and logs."""
