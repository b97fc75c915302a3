"""The table of errors: what each says about the chunk that met it, and what follows."""

from __future__ import annotations

import errno
import inspect
import os

import pytest
import zstandard
from botocore.exceptions import ClientError, NoCredentialsError
from google.api_core import exceptions as api
from google.auth.exceptions import RefreshError, TransportError
from google.protobuf.message import DecodeError
from requests.exceptions import ChunkedEncodingError, ReadTimeout

from shared import errors
from shared.classify import Kind
from shared.files import CloudFilesStorage
from shared.gcp import clients
from shared.gcp.progress import CLASSIFY
from shared.plan.grid import Chunk
from shared.run.events import Event
from shared.work.outcomes import COUNTED, HANDLING, OUTCOME_OF, Answer, Outcome
from shared.work.sources import MissingHandOff

CHUNK = Chunk(2, 0, 0, 0)
KNOWN = [
    (errors.DataError("f", CHUNK, "r"), Kind.PERMANENT),
    (errors.RangeOverflow("r"), Kind.PERMANENT),
    (errors.MessageError(b"", "r"), Kind.PERMANENT),
    (errors.Refused("r"), Kind.PERMANENT),
    (errors.WorkerKilled("r"), Kind.PERMANENT),
    (zstandard.ZstdError("r"), Kind.PERMANENT),
    (DecodeError("r"), Kind.PERMANENT),
    (api.InvalidArgument("r"), Kind.PERMANENT),
    (MissingHandOff(CHUNK, "f"), Kind.TRANSIENT),
    (errors.IngestError("r"), Kind.TRANSIENT),
    (RuntimeError("r"), Kind.TRANSIENT),
    (PermissionError(errno.EACCES, "r"), Kind.TRANSIENT),
    (api.Aborted("r"), Kind.TRANSIENT),
    (api.NotFound("r"), Kind.TRANSIENT),
    (api.DataLoss("r"), Kind.TRANSIENT),
    (MemoryError(), Kind.MEMORY),
    (RuntimeError("can't start new thread"), Kind.MEMORY),
    (OSError(errno.ENOMEM, "r"), Kind.MEMORY),
    (errors.StateError("no table"), Kind.OUTAGE),
    (errors.Unreachable("r"), Kind.OUTAGE),
    (errors.Denied("r"), Kind.OUTAGE),
    (errors.Misconfigured("r"), Kind.PERMANENT),
    (ClientError({"Error": {"Code": "ExpiredToken"}}, "GetObject"), Kind.OUTAGE),
    (NoCredentialsError(), Kind.OUTAGE),
    (OSError(errno.ENOSPC, "disk full"), Kind.OUTAGE),
    (OSError(errno.EMFILE, "r"), Kind.OUTAGE),
    (ConnectionResetError("r"), Kind.OUTAGE),
    (TimeoutError("r"), Kind.OUTAGE),
    (api.ServiceUnavailable("r"), Kind.OUTAGE),
    (api.InternalServerError("r"), Kind.OUTAGE),
    (api.DeadlineExceeded("r"), Kind.OUTAGE),
    (api.ResourceExhausted("r"), Kind.OUTAGE),
    (api.PermissionDenied("r"), Kind.OUTAGE),
    (api.Unauthenticated("r"), Kind.OUTAGE),
    (api.RetryError("r", cause=None), Kind.OUTAGE),
    (TransportError("r"), Kind.OUTAGE),
    (RefreshError("r"), Kind.OUTAGE),
    (ReadTimeout("r"), Kind.OUTAGE),
    (ChunkedEncodingError("r"), Kind.OUTAGE),
    (errors.ShuttingDown("r"), Kind.STOP),
    (errors.LeaseLost("r"), Kind.LOST),
]


def caused(error: BaseException, by: BaseException) -> BaseException:
    try:
        raise error from by
    except type(error) as raised:
        return raised


@pytest.mark.parametrize(("error", "kind"), KNOWN, ids=lambda value: type(value).__name__)
def test_kinds(error: Exception, kind: Kind) -> None:
    """Each class has its kind, and an error of ours that only wraps another has that one's."""
    assert clients.__name__  # its room has added its classes
    assert CLASSIFY(error) is kind
    assert CLASSIFY(caused(errors.IngestError("wrapped"), error)) is kind


OWN = [
    (errors.StateError("no table"), Kind.BLOCKED),
    (api.PermissionDenied("r"), Kind.BLOCKED),
    (ClientError({"Error": {"Code": "ExpiredToken"}}, "GetObject"), Kind.BLOCKED),
    (OSError(errno.ESTALE, "r"), Kind.BLOCKED),
    (OSError(errno.EMFILE, "r"), Kind.OUTAGE),
    (OSError(errno.ENETUNREACH, "r"), Kind.OUTAGE),
    (RuntimeError("r"), Kind.TRANSIENT),
    (MemoryError(), Kind.MEMORY),
    (errors.Misconfigured("r"), Kind.PERMANENT),
]


@pytest.mark.parametrize(("error", "kind"), OWN, ids=lambda value: type(value).__name__)
def test_what_one_run_names_itself(error: Exception, kind: Kind) -> None:
    """Below an `OfOneRun` what would be an outage is that run's matter; the machine's own limits are not, and
    other kinds stay what they are."""
    assert CLASSIFY(caused(errors.OfOneRun("its inputs"), error)) is kind
    assert CLASSIFY(caused(errors.OfOneRun("its inputs"), caused(errors.IngestError("read"), error))) is kind


def test_every_error_of_google_is_known() -> None:
    """No class of google.api_core falls through to what nobody knows; none of a server's is counted but three."""
    counted = set()
    for name, known in inspect.getmembers(api, inspect.isclass):
        if issubclass(known, api.ServerError) and CLASSIFY(known("r")) in COUNTED:
            counted.add(name)
    assert counted == {"DataLoss", "MethodNotImplemented"}


def test_nearest_cause_decides() -> None:
    """A data error stays one whatever led to it; the end of a worker shows through anything."""
    assert CLASSIFY(caused(errors.DataError("f", CHUNK, "r"), ConnectionError())) is Kind.PERMANENT
    assert CLASSIFY(caused(RuntimeError(), caused(ValueError(), errors.ShuttingDown("now")))) is Kind.STOP
    try:
        try:
            raise errors.ShuttingDown("now")
        except errors.ShuttingDown:
            os.stat("/no/such/file")
    except FileNotFoundError as error:
        assert CLASSIFY(error) is Kind.STOP


def test_full_disk_under_the_storage(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    """A hand-off that does not fit on the disk says nothing about its chunk."""
    storage = CloudFilesStorage(f"file://{tmp_path}")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(errors.IngestError, match="No space left") as caught:
        storage.put("a", b"")
    assert CLASSIFY(caught.value) is Kind.OUTAGE


def test_everything_is_handled_in_one_place() -> None:
    """Each kind has an outcome, each outcome an answer and an event of its own; only the finished is acked."""
    assert set(OUTCOME_OF) == set(Kind)
    assert set(HANDLING) == set(Outcome)
    events = [handling.event for handling in HANDLING.values()]
    assert len(set(events)) == len(events) and set(events) <= set(Event)
    acked = {outcome for outcome, handling in HANDLING.items() if handling.answer is Answer.ACK}
    assert acked == {Outcome.DONE, Outcome.ALREADY_DONE, Outcome.STALE}
    dead = {outcome for outcome, handling in HANDLING.items() if handling.answer is Answer.DEAD_LETTER}
    assert dead == {Outcome.DEAD}
