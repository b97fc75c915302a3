"""What an error that ends a program comes to: its exit code and the sentence for whoever typed the command.

Invariants: only an error that nobody foresaw has no sentence, and shows its traceback; no error comes to the
code of a violation, which is `verify`'s word alone.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from shared.classify import Classify, Kind
from shared.errors import ConfigError, IngestError, StateError
from shared.exit_codes import Exit

_SERVICES = ("google.api_core.", "google.auth.", "grpc")
"""Where the errors come from with which services answer; what is not out of reach has refused."""
AGAIN = "what is done stays done; try again"
_CLOSED = "nobody reads what is printed here any more (a closed pipe); what is done stays done"


@dataclass(frozen=True)
class Ending:
    """An exit code and a sentence; None where a traceback says more."""

    code: Exit
    text: str | None


def ending_of(error: BaseException, classify: Classify) -> Ending:
    """How a program ends with an error that nothing below took."""
    if isinstance(error, IngestError):
        return _on_purpose(error, classify)
    if isinstance(error, BrokenPipeError) and error.filename is None:
        return Ending(Exit.FILES, _CLOSED)
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return Ending(
            Exit.TRY_AGAIN, f"this process may take no more memory (free some, or raise ulimit -v and -d); {AGAIN}"
        )
    if isinstance(error, RuntimeError) and "start new thread" in str(error):
        return Ending(Exit.TRY_AGAIN, f"this machine starts no more threads (ulimit -u, or memory); {AGAIN}")
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        told = _of_file(error)
        if told is not None:
            again = classify(error) is Kind.OUTAGE
            return Ending(Exit.TRY_AGAIN, f"{told}; {AGAIN}") if again else Ending(Exit.FILES, told)
    kind = classify(error)
    if kind is Kind.OUTAGE:
        return Ending(Exit.TRY_AGAIN, f"a service is out of reach: {error}; nothing is lost, try again")
    if kind is Kind.PERMANENT or any(base.__module__.startswith(_SERVICES) for base in type(error).__mro__):
        return Ending(Exit.REFUSED, f"a service refuses the request ({type(error).__name__}: {error})")
    return Ending(Exit.BUG, None)


def _on_purpose(error: IngestError, classify: Classify) -> Ending:
    """Its own text; by what caused it, the same command may work later, or a file is in the way."""
    cause, code = error.__cause__, Exit.REFUSED
    if cause is not None and not isinstance(error, StateError | ConfigError):
        if classify(cause) is Kind.OUTAGE:
            code = Exit.TRY_AGAIN
        elif isinstance(cause, OSError) and _of_file(cause) is not None:
            code = Exit.FILES
    return Ending(code, str(error))


def _of_file(error: OSError) -> str | None:
    """The sentence of a file's or the system's error; None for errors of libraries that only look like one."""
    if error.errno is None:
        return None
    names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{names or 'a file or stream'} cannot be used: {error.strerror}"
