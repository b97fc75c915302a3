"""Cloud Logging's entries in memory, as far as this project asks for them: by exact fields, and from a time on.

Invariants: as the service, it ignores upper and lower case of texts, gives pages with tokens, and may give one
without entries before the last; what it does not understand it refuses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_PART = re.compile(r'(timestamp)>=("(?:[^"\\]|\\.)*")|jsonPayload\.(\w+)=("(?:[^"\\]|\\.)*")')


@dataclass
class LogEntries:
    """The entries of a project; `slow` puts an empty page before each other."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    slow: bool = False
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    def log(self, fields: Mapping[str, Any]) -> None:
        """Takes a line as Cloud Run's agent does: severity and time are the entry's own."""
        kept = {name: value for name, value in fields.items() if name not in ("severity", "time")}
        self.entries.append({
            "timestamp": fields["time"],
            "severity": fields.get("severity", "DEFAULT"),
            "jsonPayload": kept,
        })  # fmt: skip

    def answer(self, body: Mapping[str, Any]) -> tuple[int, Mapping[str, Any]]:
        """What entries:list says to a request."""
        self.asked.append(body)
        parts = [_PART.fullmatch(line) for line in str(body.get("filter", "")).splitlines()]
        if None in parts or body.get("orderBy") not in ("timestamp asc", "timestamp desc"):
            return 400, {"error": {"code": 400, "message": "Unparseable filter"}}
        found = [entry for entry in self.entries if all(_fits(entry, part) for part in parts if part)]
        found.sort(key=lambda entry: str(entry["timestamp"]), reverse=body["orderBy"].endswith("desc"))
        page, token = int(body.get("pageSize", 50)), str(body.get("pageToken", "0"))
        if self.slow and not token.endswith("+"):
            return 200, {"nextPageToken": f"{token}+"}
        start = int(token.rstrip("+"))
        more = {"nextPageToken": str(start + page)} if start + page < len(found) else {}
        some = found[start : start + page]
        return 200, ({"entries": some} if some else {}) | more


def _fits(entry: Mapping[str, Any], part: re.Match[str]) -> bool:
    time, since, name, value = part.groups()
    if time:
        return str(entry["timestamp"]) >= str(json.loads(since))
    there = entry["jsonPayload"].get(name)
    wanted = str(json.loads(value))
    return there is not None and str(there).lower() == wanted.lower()
