"""A project in memory, and the same over HTTP with Google's own session: both answer alike, and neither raises."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import TransportError
from google.oauth2.credentials import Credentials

from jobs.local.apis_server import ApisServer
from shared.doctor.cloud import Identity, Kind, Request
from shared.doctor.doctor import Part, Patient, examine
from shared.doctor.place import url
from shared.doctor.quotas import Wanted
from shared.gcp.doctor.rest import RestCloud
from shared.memory.cloud import MemoryCloud, error, healthy
from tests.unit.test_doctor import PLACE, PROGRAMS

REQUESTS = [
    Request(url("storage", f"storage/v1/b/{PLACE.scratch}")),
    Request(url("storage", "storage/v1/b/not-there")),
    Request(url("storage", "storage/v1/b/my-edges/iam/testPermissions?permissions=a&permissions=b")),
    Request(url("storage", "storage/v1/b/my-edges/iam/testPermissions?permissions=a"), token=""),
    Request(url("pubsub", "v1/projects/p/topics/t:testIamPermissions"), {"permissions": ["c", "refused"]}),
    Request(url("iamcredentials", f"v1/projects/-/serviceAccounts/{PLACE.account('l2')}:generateAccessToken"), {}),
    *(Request(url("run", f"v2/code-{code}")) for code in (400, 403, 404, 409, 429, 500, 503)),
    Request(url("run", "v2/disabled")),
]


@pytest.fixture
def memory() -> MemoryCloud:
    """A project in which some things are wrong."""
    cloud = healthy(PLACE)
    cloud.denied.add("refused")
    for code in (400, 403, 404, 409, 429, 500, 503):
        cloud.routes[url("run", f"v2/code-{code}")] = error(code, f"that is {code}\nand more")
    cloud.routes[url("run", "v2/disabled")] = error(403, "off", "SERVICE_DISABLED", service="run.googleapis.com")
    return cloud


@pytest.fixture
def server(memory: MemoryCloud) -> Iterator[ApisServer]:
    """The same project on the loopback."""
    made = ApisServer(memory)
    yield made
    made.close()


def known() -> Any:
    """Credentials with a token that is good for an hour."""
    return Credentials(token="a-token")


def test_same_answers(memory: MemoryCloud, server: ApisServer) -> None:
    """Found, missing, refused, switched off, out of reach: the kind, the body and the reason are the same."""
    over_http = RestCloud(PLACE.project, server.host, known()).ask(REQUESTS)
    in_memory = memory.ask(REQUESTS)
    assert [(one.kind, one.body, one.reason) for one in over_http] == [
        (one.kind, one.body, one.reason) for one in in_memory
    ]
    assert [one.kind for one in in_memory[6:]] == [
        *(Kind.FAILED, Kind.REFUSED, Kind.MISSING, Kind.FAILED),
        *(Kind.UNREACHABLE, Kind.UNREACHABLE, Kind.UNREACHABLE, Kind.DISABLED),
    ]


def test_same_findings(memory: MemoryCloud, server: ApisServer) -> None:
    """The whole examination says the same, but for the clock."""
    cloud = RestCloud(PLACE.project, server.host, known())
    memory.put("oauth2", "tokeninfo", {"email": "me@lab.org"})
    patient = Patient(PLACE, PROGRAMS, Wanted(100, 10))
    assert list(examine(patient, cloud, Part.ALL)) == list(examine(patient, memory, Part.ALL))


def test_tokens_go_where_they_belong(memory: MemoryCloud, server: ApisServer) -> None:
    """Ours, nobody's, another's."""
    address = url("storage", "storage/v1/b/x")
    RestCloud(PLACE.project, server.host, known()).ask([Request(address, token=one) for one in (None, "", "lent")])
    assert sorted(token or "" for _, token in server.asked) == ["", "Bearer a-token", "Bearer lent"]


def test_who_by_a_token(memory: MemoryCloud, server: ApisServer) -> None:
    """Google is asked whose token it is; the project that it counts for is the one of the credentials."""
    memory.put("oauth2", "tokeninfo", {"email": "me@lab.org"})
    credentials = known().with_quota_project("other-project")
    assert RestCloud(PLACE.project, server.host, credentials).who() == Identity("me@lab.org", "other-project")


def test_a_service_account(server: ApisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library finds a key, signs what it asks for with it, and says whose it is."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key_file(tmp_path)))
    cloud = RestCloud("of-a-robot", server.host)
    assert cloud.who() == Identity("robot@my-project.iam.gserviceaccount.com")
    assert cloud.ask(REQUESTS[:1])[0].found
    header = str(server.asked[-1][1]).removeprefix("Bearer ").partition(".")[0]
    assert json.loads(base64.urlsafe_b64decode(header + "==")) == {"typ": "JWT", "alg": "RS256", "kid": "1"}


def key_file(folder: Path) -> Path:
    """A service account's key, by which Google's library signs for itself and asks nobody.

    It is of a universe that is not Google's: for that one the library asks Google where a key may be used.
    """
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "key.json"
    path.write_text(json.dumps({
        "type": "service_account", "project_id": "my-project", "private_key_id": "1",
        "private_key": pem.decode(), "client_id": "1", "token_uri": "http://example.invalid/token",
        "client_email": "robot@my-project.iam.gserviceaccount.com", "universe_domain": "example.invalid",
    }))  # fmt: skip
    return path


class Unreachable(Credentials):
    """Credentials whose tokens come from where nobody answers."""

    def refresh(self, request: Any) -> None:
        raise TransportError("timed out")


def test_no_credentials(server: ApisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that cannot be used are a reason, for who asks and for what is asked; nothing is raised."""
    (tmp_path / "key.json").write_text("{}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    cloud = RestCloud("of-nobody", server.host)
    assert not cloud.who().passing and "key.json" in str(cloud.who().refused)
    assert cloud.ask(REQUESTS[:1])[0].kind is Kind.UNREACHABLE


def test_out_of_reach() -> None:
    """Where nobody listens, that is the answer, and it may pass."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{nobody.getsockname()[1]}"
        (answer,) = RestCloud(PLACE.project, host, known()).ask(REQUESTS[:1])
    assert answer.kind is Kind.UNREACHABLE and "ConnectionError" in answer.reason
    cloud = RestCloud(PLACE.project, host, Unreachable(token=None))
    assert cloud.who() == Identity(refused="timed out", passing=True)
    assert cloud.ask(REQUESTS[:1])[0].kind is Kind.UNREACHABLE


def test_the_clock(server: ApisServer) -> None:
    """The service's date against this machine's clock, wherever that stands."""
    for off in (0.0, 1000.0):
        cloud = RestCloud(PLACE.project, server.host, known(), clock=lambda off=off: time.time() - off)  # type: ignore[misc]
        skew = cloud.ask(REQUESTS[:1])[0].skew
        assert skew is not None and abs(skew - off) < 60
