"""Lines of a chunk in Cloud Logging: the query on our own fields, asked through the REST API, and its page in
Google's Console.

Source: https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list and the Logging query language.
Invariants: texts are compared exactly here, as the service ignores upper and lower case; a page without entries
that has a token for the next is no end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any
from urllib.parse import quote

from shared.doctor.cloud import Answer, Cloud, Kind, Request
from shared.errors import IngestError, StateError, Unreachable
from shared.logbook.line import MOST, Logbook, Wanted

ADDRESS = "https://logging.googleapis.com/v2/entries:list"
PAGE = 500
"""Entries of a page; the service has 1,000 at most, and gives 60 pages a minute."""
MOST_PAGES = 40
"""Pages that are asked for, be they empty."""


def query(wanted: Wanted) -> str:
    """The query for the lines of a chunk, in the Logging query language."""
    parts = {"graph": wanted.graph, "chunk": str(wanted.chunk)}
    if wanted.run is not None:
        parts["run"] = wanted.run
    lines = [f"jsonPayload.{name}={json.dumps(value)}" for name, value in parts.items()]
    # The indexed field: without it the service looks through all that it keeps.
    return "\n".join([f"timestamp>={json.dumps(wanted.since)}"] * bool(wanted.since) + lines)


def console(project: str, wanted: Wanted) -> str:
    """The address of the same query in Google's Console."""
    return f"https://console.cloud.google.com/logs/query;query={quote(query(wanted), safe='')}?project={project}"


def in_cloud(cloud: Cloud, project: str, wanted: Wanted, most: int = MOST) -> Logbook:
    """The lines of a chunk that Cloud Logging has, the newest `most` of them.

    StateError where they may not be read; an IngestError that may pass where the service does not answer.
    """
    remarks: list[str] = []
    entries = _entries(cloud, project, wanted, remarks)
    lines = list(islice(entries, most))
    if len(lines) == most and next(entries, None) is not None:
        remarks.append(f"there are more than the newest {most:,} lines; the Console has all")
    return Logbook(tuple(reversed(lines)), 0, tuple(remarks))


def _entries(cloud: Cloud, project: str, wanted: Wanted, remarks: list[str]) -> Iterator[Mapping[str, Any]]:
    """The newest first."""
    body: dict[str, Any] = {
        "resourceNames": [f"projects/{project}"],
        "filter": query(wanted),
        "orderBy": "timestamp desc",
        "pageSize": PAGE,
    }
    for _ in range(MOST_PAGES):
        (answer,) = cloud.ask([Request(ADDRESS, body)])
        if not answer.found:
            raise _refusal(answer, project)
        for entry in answer.body.get("entries", []):
            fields = _fields(entry)
            if wanted.has(fields):
                yield fields
        token = answer.body.get("nextPageToken")
        if not token:
            return
        body["pageToken"] = token
    remarks.append(f"Cloud Logging was still looking after {MOST_PAGES} pages; the Console looks on")


def _fields(entry: Any) -> dict[str, Any]:
    """An entry as the line that was logged: the service takes severity and time out of it."""
    payload = entry.get("jsonPayload") if isinstance(entry, dict) else None
    if not isinstance(payload, dict):
        return {}
    times = {"time": entry.get("timestamp", ""), "severity": entry.get("severity", "DEFAULT")}
    return {**payload, **times}


def _refusal(answer: Answer, project: str) -> IngestError:
    told = f"the logs of {project} cannot be read ({answer.reason})"
    if answer.kind is Kind.UNREACHABLE:
        error = IngestError(f"{told}; try again")
        error.__cause__ = Unreachable(answer.reason)
        return error
    if answer.kind is Kind.REFUSED:
        return StateError(f"{told}: you need the role roles/logging.viewer in {project}")
    if answer.kind is Kind.DISABLED:
        return StateError(f"{told}; type: gcloud services enable logging.googleapis.com --project={project}")
    return StateError(told)
