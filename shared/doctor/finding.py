"""What one check comes to: a status, a sentence, and what to type.

Invariants: a problem that somebody can mend has the command that mends it; a check that could not look says so
and is no problem; a note stops nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.exit_codes import Exit


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """It works, but not as fast or as surely as planned."""
    PROBLEM = "problem"
    SKIPPED = "skipped"
    """It could not be looked at from here."""


@dataclass(frozen=True)
class Finding:
    """What was found of one thing."""

    status: Status
    what: str
    sentence: str
    mend: tuple[str, ...] = ()
    """Commands to type, in this order."""
    passing: bool = False
    """Whether the same check may say otherwise in a minute, as a service was out of reach."""

    def lines(self) -> list[str]:
        """As it is printed: a line, and one for each command."""
        return [f"{self.status:8} {self.what}: {self.sentence}", *(f"{'':8}   type: {one}" for one in self.mend)]


def ok(what: str, sentence: str) -> Finding:
    """All is as it should be."""
    return Finding(Status.OK, what, sentence)


def note(what: str, sentence: str, *mend: str) -> Finding:
    """Something to know, which stops nothing."""
    return Finding(Status.NOTE, what, sentence, mend)


def problem(what: str, sentence: str, *mend: str) -> Finding:
    """Something that stops a deployment or a run."""
    return Finding(Status.PROBLEM, what, sentence, mend)


def skipped(what: str, sentence: str, *mend: str) -> Finding:
    """Something that could not be looked at."""
    return Finding(Status.SKIPPED, what, sentence, mend)


def problems(findings: Sequence[Finding]) -> list[Finding]:
    """Those that stop something."""
    return [finding for finding in findings if finding.status is Status.PROBLEM]


def exit_code(findings: Sequence[Finding]) -> Exit:
    """TRY_AGAIN where all that stops something may pass by itself."""
    found = problems(findings)
    if not found:
        return Exit.OK
    return Exit.TRY_AGAIN if all(finding.passing for finding in found) else Exit.REFUSED
