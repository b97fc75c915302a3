"""What the checks ask of the outside: REST requests of Google's services, and what came of each as plain values.

Why REST: each check reads a few fields of a dozen services, for most of which nothing else here needs a client.
The forms are those of Google's reference (errors: https://cloud.google.com/apis/design/errors).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from shared.doctor.finding import Finding, Status, skipped


class Kind(StrEnum):
    """What a service did with a request."""

    FOUND = "found"
    MISSING = "missing"
    REFUSED = "refused"
    DISABLED = "disabled"
    """Its API is not switched on in the project."""
    UNREACHABLE = "unreachable"
    FAILED = "failed"


@dataclass(frozen=True)
class Request:
    """A GET of an address, or a POST where there is a body."""

    url: str
    body: Mapping[str, Any] | None = None
    token: str | None = field(default=None, repr=False)
    """Whose name it is asked in: ours if None, nobody's if empty, another account's by its access token."""


@dataclass(frozen=True)
class Answer:
    """What came back; `skew` is by how many seconds the service's clock is ahead of this machine's."""

    kind: Kind
    body: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    skew: float | None = None

    @property
    def found(self) -> bool:
        """Whether there is something to look at."""
        return self.kind is Kind.FOUND


@dataclass(frozen=True)
class Identity:
    """Whom Google's libraries act as here."""

    account: str | None = None
    quota_project: str | None = None
    refused: str | None = None
    """Why the credentials cannot be used; None if they can."""
    passing: bool = False
    """Whether that may pass by itself."""


class Cloud(Protocol):
    """Google's services, as the user of this machine."""

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """The answers, in order; asked at the same time. Never raises for what a service says or does not say."""

    def who(self) -> Identity:
        """Whose credentials are used."""


def read_answer(code: int, content: bytes, skew: float | None = None) -> Answer:
    """A response of a Google service as an answer."""
    try:
        body = json.loads(content or b"{}")
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    if 200 <= code < 300:
        return Answer(Kind.FOUND, body, skew=skew)
    error = body.get("error", {})
    error = error if isinstance(error, dict) else {"message": str(error)}
    reason = str(error.get("message") or f"HTTP {code}").split("\n")[0][:300]
    return Answer(_kind(code, error), body, reason, skew)


def _kind(code: int, error: Mapping[str, Any]) -> Kind:
    details = error.get("details", [])
    reasons = {str(one.get("reason")) for one in details if isinstance(one, dict)}
    # Older services have no details, but the same sentence.
    told = str(error.get("message", ""))
    if code == 403 and ("SERVICE_DISABLED" in reasons or "has not been used in project" in told):
        return Kind.DISABLED
    if code in (401, 403):
        return Kind.REFUSED
    if code == 404:
        return Kind.MISSING
    return Kind.UNREACHABLE if code == 429 or code >= 500 else Kind.FAILED


def unseen(what: str, answer: Answer, thing: str, project: str, missing: Finding) -> Finding:
    """The finding where there is nothing to look at; `missing` is what it means that there is no such thing."""
    if answer.kind is Kind.MISSING:
        return missing
    if answer.kind is Kind.DISABLED:
        told = f"{thing} cannot be looked at, as the API for it is not switched on ({answer.reason})"
        return skipped(what, told, f"gcloud services enable {_service(answer)} --project={project}")
    if answer.kind is Kind.REFUSED:
        return skipped(what, f"you may not look at {thing} ({answer.reason}); an owner or viewer of {project} may")
    told = f"{thing} cannot be looked at ({answer.reason})"
    if answer.kind is Kind.UNREACHABLE:
        return Finding(Status.PROBLEM, what, told, passing=True)
    # The service did not understand what it was asked: that is no fault of the project.
    return skipped(what, told)


def _service(answer: Answer) -> str:
    """The API that an error names."""
    details = answer.body.get("error", {}).get("details", [])
    named = [one["metadata"]["service"] for one in details if "service" in one.get("metadata", {})]
    return str(named[0]) if named else "serviceusage.googleapis.com"
