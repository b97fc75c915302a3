"""Where this checkout is, and where the state of what runs on this machine alone is kept."""

from __future__ import annotations

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

ISOLATED = (sys.executable, "-E", "-s")
"""How Python is started for this checkout alone: variables like PYTHONPATH, PYTHONSAFEPATH or PYTHONHOME and
packages below a home folder are for other programs."""

LOCAL = REPOSITORY / "build" / "local"
"""The state of local emulators, their scratch folder and logs."""

PRICES = REPOSITORY / "configs" / "prices.yml"
"""List prices, for bills."""

REPORTS = REPOSITORY / "build" / "reports"
"""What runs came to, a page a graph."""
