"""What an error says about the chunk that met it: one table, from exception classes to kinds.

What does not do its part is either shared by all runs, and then waited for, or named by one run alone (an
`OfOneRun` says so), and then that run is left alone for a while. Invariants: the class nearest to the error's
own decides; where none says anything, the error that caused it is asked; what nobody knows is transient.
Rooms that know other libraries have tables of their own, which whoever puts a program together hands over;
they are asked for at the first error, so nothing is imported for it before.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

import zstandard
from google.protobuf.message import DecodeError, EncodeError

from shared.errors import LeaseLost, OfOneRun, PermanentError, ShuttingDown, StateError, Unreachable


class Kind(Enum):
    """What follows from an error."""

    PERMANENT = "the same input fails each time: no other attempt"
    TRANSIENT = "another attempt may work; attempts are counted"
    MEMORY = "the attempt needs more memory than its worker may have; counted"
    OUTAGE = "a service or a disk does not do its part; nothing is counted against the chunk"
    BLOCKED = "the same of something that this run alone names, as its table or its inputs; other runs go on"
    STOP = "the worker was told to end"
    LOST = "somebody else may have the message"


Table = Mapping[type[BaseException], Kind]

Classify = Callable[[BaseException], Kind]

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


_THE_MACHINE = {
    *(errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOBUFS, errno.ENOSPC, errno.ENETDOWN, errno.ENETUNREACH)
}
"""Those that say nothing about what was asked for, so not about one run's own things either."""

_OF_A_FOLDER = {errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.EISDIR}
"""Those of a folder of a disk that is not there or refuses, as a bucket may; below an `OfOneRun` alone, as anything
else may meet them for reasons of its own."""


NO_THREAD = "can't start new thread"
"""What Python says, in a RuntimeError, where a limit leaves no room for the stack of one more thread."""


class Classifier:
    """Tells the kind of an error, by the table here and by those of `tables`, each called at most once."""

    def __init__(self, *tables: Callable[[], Table]) -> None:
        self._tables = tables
        self._known: dict[type[BaseException], Kind] | None = None

    def _table(self) -> Table:
        """All tables as one. One whose library cannot be imported now (no files or memory are left, which is what
        the error in question may be about) is left out, and asked for again with the next error."""
        if self._known is not None:
            return self._known
        found, whole = dict(_TABLE), True
        for table in self._tables:
            try:
                found = {**table(), **found}
            except (ImportError, OSError, MemoryError):
                whole = False
        if whole:
            self._known = found
        return found

    def __call__(self, error: BaseException) -> Kind:
        """The kind of an error, by the tables, its system error number, or what caused it."""
        table = self._table()
        # The end of a worker may surface as the error of whatever it interrupted.
        if any(isinstance(at, ShuttingDown) for at in _chain(error, lambda at: at.__cause__ or at.__context__)):
            return Kind.STOP
        own = False
        for at in _chain(error, lambda at: at.__cause__):
            own = own or isinstance(at, OfOneRun)
            kind = _kind_of(at, table)
            if own and kind is None and isinstance(at, OSError) and at.errno in _OF_A_FOLDER:
                return Kind.BLOCKED
            if kind is not None:
                machine = isinstance(at, OSError) and at.errno in _THE_MACHINE
                return Kind.BLOCKED if own and kind is Kind.OUTAGE and not machine else kind
        return Kind.TRANSIENT


def _chain(
    error: BaseException, before: Callable[[BaseException], BaseException | None]
) -> Iterator[BaseException]:
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        yield at
        at = before(at)


def _kind_of(error: BaseException, table: Table) -> Kind | None:
    """What the table says of the error itself; None where it says nothing."""
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return Kind.MEMORY
    if isinstance(error, RuntimeError) and NO_THREAD in str(error):
        return Kind.MEMORY
    if isinstance(error, OSError) and error.errno in _NOT_THE_CHUNK:
        return Kind.OUTAGE
    for known in type(error).__mro__:
        if known in table:
            return table[known]
    return None
