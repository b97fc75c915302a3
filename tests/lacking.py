"""What this machine lacks: a test that needs it is left out with one line that says what, and fails in CI.

Why: a suite that is red on a machine without an engine or a network tells its owner nothing; one that is
green in CI because half of it was left out tells a lie. Invariants: only what lies outside of this
repository counts as lacking (programs, networks, registries); where a command fails for anything else,
its test fails everywhere.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten
from typing import NoReturn

import pytest

IN_CI = os.environ.get("CI") == "true"
"""Whether nothing may be left out, but for the kinds of things that MAY_LACK names."""

KINDS = ("browser", "emulators", "image", "mounts", "packages", "terraform")
"""What machines lack: Chromium with its driver, emulators (or java), a way to build images, mounts of one's own, a
way to PyPI, and Terraform or its providers."""

_NO_WAY = re.compile(
    r"could not connect to|failed to request discovery|no such host|failure in name resolution|failure resolving"
    r"|could not resolve|name or service not known|network is unreachable|no route to host|connection refused"
    r"|connection reset|i/o timeout|timed out|newconnectionerror|connecttimeouterror|readtimeouterror|proxyerror"
    r"|tls handshake|certificate verify failed|certificate signed by unknown|toomanyrequests|too many requests"
    r"|failed to fetch|cannot connect to the docker daemon|unsupported terraform core version",
    re.IGNORECASE,
)


def lacks(kind: str, what: str) -> NoReturn:
    """Ends a test, or all whose fixture asks, as this machine lacks something of a kind, with one line."""
    assert kind in KINDS
    line = " ".join(what.split())
    if IN_CI and kind not in os.environ.get("MAY_LACK", "").split():
        pytest.fail(f"{line} (with CI=true nothing is left out)", pytrace=False)
    pytest.skip(line)


def no_way(said: str) -> str | None:
    """The sentence by which a program says that it reaches no registry; None if it says no such thing."""
    text = " ".join(said.split())
    found = _NO_WAY.search(text)
    if found is None:
        return None
    begin = max(text.rfind(end, 0, found.start()) for end in (". ", ": ", "Error: "))
    return shorten(text[max(begin + 2, found.start() - 80) :], found.end() - found.start() + 200, placeholder=" …")


def needs_network(done: subprocess.CompletedProcess[str], kind: str, what: str) -> None:
    """Takes what a command that fetches things came to: lacking if it found no way, a failure for all else."""
    said = (done.stdout or "") + (done.stderr or "")
    if done.returncode == 0:
        return
    if reason := no_way(said):
        lacks(kind, f"{what}: {reason}")
    pytest.fail(f"{what}, which ended with {done.returncode}: {said[-4000:]}", pytrace=False)


def summary(reports: Iterable[pytest.TestReport]) -> list[str]:
    """A line for each thing that was lacking: how many tests of which folders were left out for it."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for report in reports:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple | list) else str(report.longrepr)
        found[reason.removeprefix("Skipped: ")][Path(report.nodeid.partition("::")[0]).parent.as_posix()] += 1
    return [
        f"{', '.join(f'{count} of {folder}' for folder, count in sorted(folders.items()))}: {reason}"
        for reason, folders in sorted(found.items())
    ]
