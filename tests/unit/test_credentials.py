"""Whose credentials are used: the run's own for what is the run's, a lab's secret file for its inputs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google.auth
import pytest
from cloudfiles import CloudFiles, interfaces
from cloudfiles import secrets as library
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials as OfUser

from shared.bucket_credentials import DEFAULT, bucket_of, used_for
from shared.environment import Environment
from shared.errors import IngestError
from shared.files import CloudFilesStorage
from shared.gcp import clients
from shared.gcp.clients import credentials
from shared.gcp.progress import GoogleProgress
from shared.inputs.listing import can_list
from shared.inputs.names import EDGES

ACCOUNT = "lab@other-project.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def secret() -> dict[str, str]:
    """The key file of a service account of another project, as labs have it."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "type": "service_account",
        "project_id": "other-project",
        "private_key_id": "1",
        "private_key": text.decode(),
        "client_email": ACCOUNT,
        "token_uri": "https://oauth2.invalid/token",
    }


@pytest.fixture
def lab(tmp_path: Path, secret: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A machine with a lab's google-secret.json where cloud-files looks for it; the file."""
    path = tmp_path / "google-secret.json"
    path.write_text(json.dumps(secret))
    monkeypatch.setattr(library, "CLOUD_VOLUME_SECRETS_DIR", str(tmp_path))
    monkeypatch.setattr(library, "GOOGLE_CREDENTIALS_CACHE", {})
    interfaces.reset_connection_pools()
    yield path
    interfaces.reset_connection_pools()


@pytest.fixture
def mine(monkeypatch: pytest.MonkeyPatch) -> Iterator[OfUser]:
    """The application's default credentials: a user's, logged in for another project."""
    found = OfUser("token", quota_project_id="another")
    monkeypatch.setattr(google.auth, "default", lambda **_: (found, "another"))
    credentials.cache_clear()
    yield found
    credentials.cache_clear()


def used(folder: str) -> Any:
    """The credentials of a connection that cloud-files makes, or has kept, for whoever asks it for a folder."""
    with CloudFiles(folder)._get_connection() as connection:
        return connection._bucket.client._credentials


def progress(project: str = "my-project") -> GoogleProgress:
    return GoogleProgress(Environment.read({"INGEST_PROJECT": project}))


def test_scratch_by_the_runs_own_credentials(lab: Path, mine: OfUser) -> None:
    """On a lab's machine the scratch bucket is opened as Firestore and Pub/Sub are, for the project that is meant;
    inputs by the lab's secret."""
    opened = progress()
    scratch, inputs = opened.storage(f"{opened.scratch}/fly"), opened.storage("gs://inputs/edges")
    assert scratch.folder == "gs://my-project-chunkedgraph-ingest-scratch/fly"
    own = used(scratch.folder)
    assert isinstance(own, OfUser) and own.quota_project_id == "my-project"
    theirs = used(inputs.folder)
    assert isinstance(theirs, service_account.Credentials) and theirs.service_account_email == ACCOUNT


def test_a_bucket_has_one_kind_of_credentials(lab: Path, mine: OfUser) -> None:
    """cloud-files hands a bucket's connections to whoever asks. So also when inputs of the same bucket were looked
    at before, by the lab's secret, the scratch folder is opened by the run's own, and stays so."""
    scratch = progress().scratch
    assert isinstance(used(f"{scratch}-of-old/edges"), service_account.Credentials)
    assert isinstance(used(f"{scratch}/edges"), service_account.Credentials)
    opened = progress().storage(f"{scratch}/fly")
    assert isinstance(used(opened.folder), OfUser) and isinstance(used(f"{scratch}/edges"), OfUser)
    assert isinstance(progress().storage(f"{scratch}/edges"), CloudFilesStorage)
    assert isinstance(used(f"{scratch}/edges"), OfUser)


def test_without_a_secret_file(tmp_path: Path, mine: OfUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret file is asked for, and nothing is printed, where the run's own credentials are used."""
    monkeypatch.setattr(library, "CLOUD_VOLUME_SECRETS_DIR", str(tmp_path))
    monkeypatch.setattr("cloudfiles.connectionpools.google_credentials", lambda _: pytest.fail("asked for"))
    interfaces.reset_connection_pools()
    opened = progress()
    assert isinstance(used(opened.storage(opened.scratch).folder), OfUser)
    interfaces.reset_connection_pools()


@pytest.mark.parametrize("quota", [None, "another", "my-project"])
def test_calls_count_towards_the_project(quota: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's credentials, made for whatever project, count towards the one that is meant."""
    found = OfUser("token", quota_project_id=quota)
    monkeypatch.setattr(google.auth, "default", lambda **_: (found, "another"))
    credentials.cache_clear()
    assert credentials("my-project").quota_project_id == "my-project"
    credentials.cache_clear()


def test_a_service_account_is_left_as_it_is(secret: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts towards its own project; to name one takes a permission that workers do not have. One that was
    told a project is told the right one."""
    make: Any = service_account.Credentials.from_service_account_info
    for quota, wanted in ((None, None), ("another", "my-project")):
        found = make(secret, quota_project_id=quota)
        monkeypatch.setattr(google.auth, "default", lambda found=found, **_: (found, "another"))
        credentials.cache_clear()
        assert credentials("my-project").quota_project_id == wanted
    credentials.cache_clear()


def test_channels_have_them(mine: OfUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every channel to Google, and Firestore's client, is made with the same."""
    from google.api_core import grpc_helpers

    found = []
    monkeypatch.setattr(grpc_helpers, "create_channel", lambda target, credentials, **_: found.append(credentials))
    there = clients.Endpoints("my-project", "instance", "database")
    clients.pubsub_channel(there)
    clients.bigtable_channel(there)
    found.append(clients.firestore(there)._credentials)
    assert [one.quota_project_id for one in found] == 3 * ["my-project"]


def test_errors_say_whose_they_are(lab: Path, mine: OfUser, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read says which credentials were refused: a file and its account, or the application's."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("403 forbidden")

    opened = progress()
    scratch, inputs = opened.storage(opened.scratch), opened.storage("gs://inputs/edges")
    monkeypatch.setattr(interfaces.GoogleCloudStorageInterface, "get_file", refuse)
    monkeypatch.setattr(interfaces.GoogleCloudStorageInterface, "list_files", refuse)
    with pytest.raises(IngestError, match=f"x cannot be read with {DEFAULT}: PermissionError: 403"):
        scratch.get(["x"])
    with pytest.raises(IngestError, match=rf"x cannot be read with the credentials in {lab} \(account {ACCOUNT}\)"):
        inputs.get(["x"])
    assert f"credentials in {lab} (account {ACCOUNT})" in str(can_list("gs://inputs/edges", EDGES))
    lab.unlink()
    assert DEFAULT in str(can_list("gs://inputs/edges", EDGES))


def test_what_is_said_of_a_place(lab: Path, tmp_path: Path) -> None:
    """A bucket's own secret comes before the general one; a damaged one is said; a disk needs none."""
    assert ACCOUNT in used_for("precomputed://gs://b/ws")
    (tmp_path / "b-google-secret.json").write_text("[]")
    assert used_for("gs://b/ws").endswith("b-google-secret.json (which is no JSON of an account)")
    assert (
        "AWS" in used_for("s3://b/ws") and used_for("file:///x") == used_for("/x") == used_for("https://h/x") == ""
    )
    assert (bucket_of("gs://b/x"), bucket_of("gs://b"), bucket_of("s3://b"), bucket_of("x")) == (
        "b",
        "b",
        None,
        None,
    )
