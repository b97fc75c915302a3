"""How every program here begins and ends, whatever it was started from.

Invariants: a program ends with a documented code and a sentence, with a traceback only for what nobody
foresaw; never with 1, Python's own code for any error, which is a violation's. What libraries print, while
they are imported too, is not on standard output; a proxy is never asked for the way to this machine itself;
gRPC keeps what it thinks of threads and forks to itself, unless GRPC_VERBOSITY asks for it.
Nothing but Python itself is imported here before a program needs it: the checkout may be unreadable.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import NoReturn

from jobs import streams

LOOPBACK = ("localhost", "127.0.0.1", "::1")
_FILES, _INTERRUPTED, _TRY_AGAIN = 74, 130, 75
"""Of shared.exit_codes, which may be what cannot be read."""


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """What libraries find in the environment besides what is there: no proxy for the loopback, quiet gRPC."""
    past = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    names = [name.strip() for name in past.split(",") if name.strip()]
    if "*" not in names:
        past = ",".join([*names, *(name for name in LOOPBACK if name not in names)])
    return {"no_proxy": past, "NO_PROXY": past, "GRPC_VERBOSITY": environ.get("GRPC_VERBOSITY") or "NONE"}


@contextlib.contextmanager
def importing(name: str) -> Iterator[None]:
    """Around the imports of a program's module; for one that is only imported (`name` is not __main__) nothing."""
    if name != "__main__":
        yield
        return
    streams.complete()
    os.environ.update(variables(os.environ))
    try:
        with streams.claimed():
            yield
    except (ImportError, OSError, SyntaxError) as error:
        at = getattr(error, "filename", None) or getattr(error, "path", None) or getattr(error, "name", None)
        tell(
            f"{at or 'a module'} cannot be imported: {error}. Are all files of this checkout readable, and is its "
            "environment whole? make clean, then the same command, makes it anew"
        )
        leave(_FILES)
    except (MemoryError, SystemError):  # the latter where not even the former could be made
        with contextlib.suppress(MemoryError, SystemError):
            tell("this process may take no memory to start with; raise the limit (ulimit -v and -d)")
        os._exit(_TRY_AGAIN)
    except KeyboardInterrupt:
        tell("interrupted before anything was done")
        leave(_INTERRUPTED)


def tell(text: str) -> None:
    """A line on standard error, if anybody reads it."""
    with contextlib.suppress(OSError, ValueError):
        print(text.rstrip("\n"), file=sys.stderr, flush=True)


def leave(code: int) -> NoReturn:
    """Ends the process with a code that nothing changes on the way out.

    Python would take every module apart first, a quarter of the CPU of a short command; what asked to be called at
    the end is called.
    """
    streams.abandon()
    with contextlib.suppress(Exception):
        atexit._run_exitfuncs()
    streams.flush()
    os._exit(code)
