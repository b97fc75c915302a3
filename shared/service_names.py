"""What the services take for a name and a host, so that nobody waits minutes for one that cannot be meant.

Invariants: what is refused here is refused by the service too, whoever asks; nothing is asked of anybody.
Sources: the ids of projects, Bigtable instances and app profiles, Firestore databases and Pub/Sub's resources as
their documentation has them (read 2026), and the rule of terraform/variables.tf for a prefix, which is stricter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HOST = re.compile(r"(?P<name>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True)
class Rule:
    """What a variable's value must match as a whole, and what that is in words, with an example."""

    pattern: re.Pattern[str]
    wanted: str
    example: str

    def problem(self, value: str) -> str | None:
        """What is wrong with a value, and what it should look like; None if nothing is."""
        if self.pattern.fullmatch(value):
            return None
        return f"is not {self.wanted}; it should look like {self.example}"


RULES: Mapping[str, Rule] = {
    "INGEST_PROJECT": Rule(
        re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"),
        "the id of a Google Cloud project (6 to 30 lower-case letters, digits and hyphens)",
        "my-project",
    ),
    "INGEST_INSTANCE": Rule(
        re.compile(r"[a-z][a-z0-9-]{4,31}[a-z0-9]"),
        "the id of a Bigtable instance (6 to 33 lower-case letters, digits and hyphens)",
        "my-instance",
    ),
    "INGEST_VERIFY_PROFILE": Rule(
        re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*"),
        "the id of a Bigtable app profile (letters, digits, _, - and ., not beginning with - or .)",
        "chunkedgraph-ingest-verify",
    ),
    "INGEST_DATABASE": Rule(
        re.compile(rf"\(default\)|(?!{_UUID.pattern}$)[a-z][a-z0-9-]{{2,61}}[a-z0-9]"),
        "the id of a Firestore database (4 to 63 lower-case letters, digits and hyphens, no UUID)",
        "chunkedgraph-ingest",
    ),
    "INGEST_PREFIX": Rule(
        re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9_.~+%-]{1,199}"),
        "what the name of a topic may start with (a letter, then letters, digits and hyphens, not goog)",
        "chunkedgraph-ingest",
    ),
    "INGEST_SCRATCH": Rule(
        re.compile(r"(file://)?/.*|(?!file:|https?:|mem:)[a-z][a-z0-9+.-]*://[^/\s].*", re.DOTALL),
        "a folder that all workers find and may write to",
        "/data/scratch, file:///data/scratch or gs://bucket/scratch",
    ),
    "INGEST_MEMORY_MIB": Rule(re.compile(r"0*[1-9][0-9]{0,11}"), "a number of MiB from 1", "4096"),
    # Google's libraries raise an error of their own for these, in the middle of whatever is made.
    "GOOGLE_API_USE_MTLS_ENDPOINT": Rule(
        re.compile("never|auto|always"), "what Google's libraries take", "never, auto or always"
    ),
    "GOOGLE_API_USE_CLIENT_CERTIFICATE": Rule(
        re.compile("true|false", re.IGNORECASE), "what Google's libraries take", "true or false"
    ),
}
"""The rule of each variable that has one."""


def host_problem(value: str) -> str | None:
    """What is wrong with the host of an emulator; None if it is a name and a port."""
    example = "it should look like 127.0.0.1:8086"
    if "://" in value:
        return f"begins with a scheme; {example}"
    match = _HOST.fullmatch(value)
    if match is None:
        return f"is no name and port; {example}"
    return None if 1 <= int(match["port"]) <= 65535 else f"has a port outside 1 to 65535; {example}"
