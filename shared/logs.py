"""Logs: JSON lines for Cloud Logging, readable text on a terminal. The events and fields are the same.

An event has a constant name (`shared.run.events`) and fields; loggers get both as
`logger.info(event, extra={"fields": {...}})`, and an error whose traceback is worth its length as
`extra={"error": ...}`. Kept in shared, since workers, commands and functions write the same lines.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime

from shared.version import VERSION

MAX_TRACEBACK = 8000
"""Characters of a traceback that are kept, from its end: where an error was raised."""


def traceback_of(error: BaseException) -> str:
    """The traceback of an error with its causes, as far as it is kept."""
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK:]


class JsonFormatter(logging.Formatter):
    """One JSON object a line with severity, time and message, as Cloud Logging reads them, version, and what all
    lines of this process have in common."""

    def __init__(self, common: Mapping[str, object] | None = None) -> None:
        super().__init__()
        self._common = dict(common or {})

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        line: dict[str, object] = {
            "severity": record.levelname,
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "message": record.getMessage(),
            "version": VERSION,
            **self._common,
            **getattr(record, "fields", {}),
        }
        error = getattr(record, "error", None) or (record.exc_info and record.exc_info[1])
        if isinstance(error, BaseException):
            line["stack_trace"] = traceback_of(error)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """A line for people: time, level, event, then the fields as name=value; tracebacks of surprises only."""

    def format(self, record: logging.LogRecord) -> str:
        """The line for a record."""
        fields = " ".join(f"{name}={value}" for name, value in getattr(record, "fields", {}).items())
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        line = f"{time} {record.levelname.lower():7} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def set_up(level: int = logging.INFO, common: Mapping[str, object] | None = None) -> None:
    """Sends our own logs to standard error; those of libraries only from warnings on. JSON lines have
    the fields in `common` too."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if sys.stderr.isatty() else JsonFormatter(common))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in ("shared", "jobs", "functions"):
        logging.getLogger(name).setLevel(level)
