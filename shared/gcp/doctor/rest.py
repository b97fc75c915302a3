"""Google's REST APIs with the application's default credentials, or a stand-in of them on the loopback.

Invariants: what goes wrong is an answer, never an exception, so that one check cannot end the others. A token that
was lent for one request goes nowhere else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from shared.doctor.cloud import Answer, Identity, Kind, Request, read_answer
from shared.gcp.clients import SCOPES, credentials

AT_ONCE = 16
"""Requests under way at once."""

SECONDS = 10.0
"""How long a request may take."""


class RestCloud:
    """Answers `shared.doctor.cloud.Cloud`; all that is asked counts for `project`.

    `host` (`name:port`) stands in for all services, each below a path of its name. Credentials are found by
    Google's library unless `given`.
    """

    def __init__(
        self, project: str, host: str | None = None, given: Any = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._project = project
        self._host = host
        self._given = given
        self._clock = clock

    def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """Asks them at the same time."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(self._ask, requests))

    def who(self) -> Identity:
        """Whose credentials these are, by what Google says of their token."""
        from google.auth import exceptions

        try:
            own = self._credentials
            if not own.valid:
                self._refresh(own)
            counts_for = self._found_quota_project
        except exceptions.GoogleAuthError as error:
            passing = isinstance(error, exceptions.TransportError)
            return Identity(refused=str(error).split("\n")[0][:300], passing=passing)
        account = getattr(own, "service_account_email", None)
        if account in (None, "default"):
            form = urlencode({"access_token": own.token})
            told = self._ask(Request(f"https://oauth2.googleapis.com/tokeninfo?{form}", token=""))
            account = told.body.get("email")
        return Identity(account, counts_for)

    def _ask(self, request: Request) -> Answer:
        import requests
        from google.auth import exceptions

        try:
            headers = {"Authorization": f"Bearer {request.token}"} if request.token else {}
            # Without the session for what is asked in another's name: nothing of ours goes along.
            send: Any = requests.request if request.token is not None else self._session.request
            began = self._clock()
            answer = send(
                "GET" if request.body is None else "POST",
                self._address(request.url),
                json=None if request.body is None else dict(request.body),
                headers=headers,
                timeout=SECONDS,
            )
            return read_answer(answer.status_code, answer.content, self._skew(answer.headers.get("Date"), began))
        except (requests.RequestException, exceptions.GoogleAuthError) as error:
            return Answer(Kind.UNREACHABLE, reason=f"{type(error).__name__}: {str(error).split(chr(10))[0][:300]}")

    def _skew(self, date: str | None, began: float) -> float | None:
        """By how much the service is ahead; its clock says whole seconds, rounded down."""
        try:
            there = parsedate_to_datetime(date or "").timestamp() + 0.5
        except ValueError:
            return None
        return there - (began + self._clock()) / 2

    def _address(self, address: str) -> str:
        return address if self._host is None else address.replace("https://", f"http://{self._host}/", 1)

    @cached_property
    def _session(self) -> Any:
        from google.auth.transport.requests import AuthorizedSession
        from requests.adapters import HTTPAdapter

        made: Any = AuthorizedSession
        session = made(self._credentials)
        for scheme in ("https://", "http://"):
            session.mount(scheme, HTTPAdapter(pool_maxsize=AT_ONCE))
        return session

    @cached_property
    def _credentials(self) -> Any:
        return credentials(self._project) if self._given is None else self._given

    @property
    def _found_quota_project(self) -> str | None:
        """What the credentials say by themselves, before `project` takes its place."""
        import google.auth

        default: Any = google.auth.default
        found = default(scopes=SCOPES)[0] if self._given is None else self._given
        return getattr(found, "quota_project_id", None)

    def _refresh(self, own: Any) -> None:
        from google.auth.transport.requests import Request as Transport

        transport: Any = Transport
        own.refresh(transport())
