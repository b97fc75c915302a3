"""Requests to Firestore that are made again after passing faults: here and nowhere else.

Invariants: the library's own retries are off (`once`), so no request is tried by two loops, one in the other,
for longer than the outer one says; what does not pass within seconds is told in the log, while it is tried.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

from shared.gcp.clients import transient_errors

DEADLINE_SECONDS = 300.0
"""How long a request that collides with others, or meets a passing fault, is tried again."""

CALL_SECONDS = 60.0
"""How long a single request may take; the service itself cuts a query off after that."""

TELL_SECONDS = 3.0
"""After so long, and then again after ten times as long, the log says what is tried in vain."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


def once() -> dict[str, Any]:
    """What makes a method of the library make one request, and wait for it for a bounded time."""
    from google.api_core.retry import Retry

    # Not None, which queries do not understand.
    return {"retry": Retry(predicate=lambda _: False), "timeout": CALL_SECONDS}


def with_backoff(
    call: Callable[[], T],
    also: Callable[[Exception], bool] = lambda error: False,
    seconds: float = DEADLINE_SECONDS,
) -> T:
    """The result of `call`, made again with growing, random pauses after passing faults and `also`, for at most
    so many seconds; then a passing fault itself is raised, and RetryError for `also`."""
    from google.api_core.exceptions import RetryError
    from google.api_core.retry import Retry

    passing = transient_errors()
    begun, tell = time.monotonic(), TELL_SECONDS

    def tried(error: Exception) -> None:
        nonlocal tell
        waited = time.monotonic() - begun
        if waited >= tell and not also(error):
            tell *= 10
            _log.warning("Firestore does not answer for %.0f s, and is asked again: %s", waited, error)
        else:
            _log.debug("tried again: %s", error)

    retry = Retry(
        predicate=lambda error: isinstance(error, passing) or also(error),
        initial=0.02,
        multiplier=1.5,
        maximum=10.0,
        timeout=seconds,
        on_error=tried,
    )
    try:
        answer: T = retry(call)()
    except RetryError as error:
        if error.cause is None or also(error.cause):
            raise
        raise error.cause from error
    return answer


def lost_race(error: Exception) -> bool:
    """Whether a write failed because the document was changed, made or deleted since it was read."""
    from google.api_core import exceptions

    return isinstance(error, exceptions.FailedPrecondition | exceptions.AlreadyExists | exceptions.NotFound)
