"""What an error says about the chunk that met it: one table, from exception classes to kinds.

What holds: the class nearest to the error's own decides; where none says anything, the error that
caused it is asked; what nobody knows is transient. Rooms that know other libraries add their
classes with `also`; they are asked for them at the first error, so nothing is imported for it before.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

import zstandard
from google.protobuf.message import DecodeError, EncodeError

from shared.errors import LeaseLost, PermanentError, ShuttingDown, StateError, Unreachable


class Kind(Enum):
    """What follows from an error."""

    PERMANENT = "the same input fails each time: no other attempt"
    TRANSIENT = "another attempt may work; attempts are counted"
    MEMORY = "the attempt needs more memory than its worker may have; counted"
    OUTAGE = "a service or a disk does not do its part; nothing is counted against the chunk"
    STOP = "the worker was told to end"
    LOST = "somebody else may have the message"


Table = Mapping[type[BaseException], Kind]

_TABLE: dict[type[BaseException], Kind] = {
    PermanentError: Kind.PERMANENT,
    StateError: Kind.OUTAGE,  # a table or topic is not there: each chunk meets the same
    Unreachable: Kind.OUTAGE,
    LeaseLost: Kind.LOST,
    ShuttingDown: Kind.STOP,
    MemoryError: Kind.MEMORY,
    zstandard.ZstdError: Kind.PERMANENT,
    DecodeError: Kind.PERMANENT,
    EncodeError: Kind.PERMANENT,
    ConnectionError: Kind.OUTAGE,
    TimeoutError: Kind.OUTAGE,
}

_NOT_THE_CHUNK = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE),
    *(errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.EBUSY),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH, errno.ENOBUFS),
}
"""Errors of the system that any chunk meets: a full or failing disk, no network, too many open files."""

_others: list[Callable[[], Table]] = []
_found: dict[type[BaseException], Kind] = {}


def also(classes: Callable[[], Table]) -> None:
    """Adds the classes of a library to the table; `classes` is called when the next error is classified."""
    _others.append(classes)


def classify(error: BaseException) -> Kind:
    """The kind of an error, by the table, its system error number, or what caused it."""
    while _others:
        _found.update(_others.pop()())
    # The end of a worker may surface as the error of whatever it interrupted.
    if any(isinstance(at, ShuttingDown) for at in _chain(error, lambda at: at.__cause__ or at.__context__)):
        return Kind.STOP
    kinds = (_kind_of(at) for at in _chain(error, lambda at: at.__cause__))
    return next((kind for kind in kinds if kind is not None), Kind.TRANSIENT)


def _chain(
    error: BaseException, before: Callable[[BaseException], BaseException | None]
) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = before(at)


def _kind_of(error: BaseException) -> Kind | None:
    """What the table says of the error itself; None where it says nothing."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return Kind.MEMORY
    if isinstance(error, OSError) and error.errno in _NOT_THE_CHUNK:
        return Kind.OUTAGE
    for known in type(error).__mro__:
        kind = _TABLE.get(known) or _found.get(known)
        if kind is not None:
            return kind
    return None
