"""Where the services are, and how to reach them: the one place that makes clients.

Invariants: with hosts given, a client speaks to exactly those hosts, over an insecure channel and without
credentials; without, to Google with the application's default credentials, on behalf of the project that is
meant. The environment is neither read nor set for it, so a variable left over in a shell cannot turn a run
towards an emulator or away from one. The libraries are imported when the first client is made: they take most
of a worker's start.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import quote

from shared.errors import StateError

EMULATOR_PROJECT = "emulators-only-no-such-project-"
"""The project of emulators. No project can have this id: it ends in a hyphen and is too long."""

SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_DIRECT = [("grpc.enable_http_proxy", 0)]
"""Emulators are on this machine or beside it; a proxy that stands in the environment leads elsewhere."""
_SIZES = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
_KEEPALIVE = [("grpc.keepalive_time_ms", 30_000)]
_NO_READER_THREAD = [("SingleThreadedUnaryStream", 1)]
"""gRPC's name for answers read by the caller's own thread; rows are read six times as fast."""


@dataclass(frozen=True)
class Endpoints:
    """Project, Bigtable instance and Firestore database; a host (`name:port`) stands for an emulator."""

    project: str
    instance: str
    database: str
    bigtable_host: str | None = None
    pubsub_host: str | None = None
    firestore_host: str | None = None
    run_host: str | None = None

    @classmethod
    def emulated(cls, hosts: Mapping[str, str]) -> Endpoints:
        """The emulators at `hosts`, which are named as Google's own variables are."""
        return cls(
            project=EMULATOR_PROJECT,
            instance="emulator",
            database="emulator",
            bigtable_host=hosts.get("BIGTABLE_EMULATOR_HOST"),
            pubsub_host=hosts.get("PUBSUB_EMULATOR_HOST"),
            firestore_host=hosts.get("FIRESTORE_EMULATOR_HOST"),
            run_host=hosts.get("CLOUD_RUN_EMULATOR_HOST"),
        )


def channel(endpoints: Endpoints, host: str | None, service: str, options: Sequence[tuple[str, int]] = ()) -> Any:
    """A gRPC channel to an emulator's `host`, or to `service`.googleapis.com.

    Raises StateError for the emulators' project without a host: nothing may go out in its name.
    """
    import grpc

    if host is not None:
        # No keepalive: emulators end a connection for too many pings.
        return grpc.insecure_channel(host, options=[*_DIRECT, *_SIZES, *options])
    _refuse_emulated(endpoints, service)
    from google.api_core import grpc_helpers

    target = f"{service}.googleapis.com:443"
    every = [*_SIZES, *_KEEPALIVE, *options]
    return grpc_helpers.create_channel(
        target, credentials=credentials(endpoints.project), default_scopes=SCOPES, options=every
    )


@cache
def credentials(project: str) -> Any:
    """The application's default credentials, for calls that count towards `project`.

    Those of a user carry a quota project of their own, that of whatever he logged in for, or none, which most
    services refuse; so do those that `gcloud` made for another project. A service account without one is left as
    it is: its own project counts, and to name one takes the permission serviceusage.services.use, which workers
    have no other use for. Raises `google.auth.exceptions.DefaultCredentialsError` where there are none.
    """
    import google.auth
    from google.oauth2.credentials import Credentials as OfUser

    default: Any = google.auth.default
    found, _ = default(scopes=SCOPES)
    if getattr(found, "quota_project_id", None) == project or not hasattr(found, "with_quota_project"):
        return found
    of_user = isinstance(found, OfUser)
    return found.with_quota_project(project) if of_user or found.quota_project_id else found


def pubsub_channel(endpoints: Endpoints) -> Any:
    """A channel to Pub/Sub."""
    return channel(endpoints, endpoints.pubsub_host, "pubsub")


def pubsub_call(over: Any, service: str, method: str) -> Any:
    """A method of Pub/Sub's Publisher or Subscriber over a channel, for plain protobuf messages."""
    from google.protobuf.empty_pb2 import Empty
    from google.pubsub_v1 import types

    answer = getattr(types, f"{method}Response", None)
    return over.unary_unary(
        f"/google.pubsub.v1.{service}/{method}",
        request_serializer=pubsub_message(f"{method}Request").SerializeToString,
        response_deserializer=(answer.pb() if answer else Empty).FromString,
    )


def pubsub_message(name: str) -> Any:
    """A plain protobuf class of Pub/Sub."""
    from google.pubsub_v1 import types

    return getattr(types, name).pb()


def publisher(endpoints: Endpoints) -> Any:
    """A client for topics (`google.pubsub_v1.PublisherClient`)."""
    from google.pubsub_v1 import PublisherClient
    from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

    return PublisherClient(transport=PublisherGrpcTransport(channel=pubsub_channel(endpoints)))


def subscriber(endpoints: Endpoints) -> Any:
    """A client for subscriptions (`google.pubsub_v1.SubscriberClient`)."""
    from google.pubsub_v1 import SubscriberClient
    from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

    return SubscriberClient(transport=SubscriberGrpcTransport(channel=pubsub_channel(endpoints)))


def firestore(endpoints: Endpoints) -> Any:
    """A client of the Firestore database (`google.cloud.firestore.Client`)."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud.firestore import Client

    used: Any
    if endpoints.firestore_host is None:
        _refuse_emulated(endpoints, "firestore")
        used = credentials(endpoints.project)
    else:
        anonymous: Any = AnonymousCredentials
        used = anonymous()
    client = Client(project=endpoints.project, database=endpoints.database, credentials=used)
    # The library takes an emulator from the environment only, and keeps it here until first use.
    client._emulator_host = endpoints.firestore_host
    if endpoints.firestore_host is not None:
        # Its own channel to an emulator would ask a proxy for the way.
        over = channel(endpoints, endpoints.firestore_host, "firestore")
        setattr(client, "_emulator_channel", lambda _transport: over)  # noqa: B010
    return client


def bigtable_channel(endpoints: Endpoints) -> Any:
    """A channel to Bigtable's data service.

    Why no client: the library's (2.50) takes an emulator from the environment only, and starts to
    export metrics to Cloud Monitoring on its own.
    """
    return channel(endpoints, endpoints.bigtable_host, "bigtable", _NO_READER_THREAD)


def table_admin(endpoints: Endpoints) -> Any:
    """A client to make and describe tables (`BaseBigtableTableAdminClient`)."""
    from google.cloud.bigtable_admin_v2 import BaseBigtableTableAdminClient
    from google.cloud.bigtable_admin_v2.services.bigtable_table_admin.transports import (
        BigtableTableAdminGrpcTransport,
    )

    over = channel(endpoints, endpoints.bigtable_host, "bigtableadmin")
    return BaseBigtableTableAdminClient(transport=BigtableTableAdminGrpcTransport(channel=over))


def refused_credentials(endpoints: Endpoints) -> str | None:
    """Why the application's default credentials cannot be used; None if they can, or if none are needed."""
    from google.auth import exceptions
    from google.auth.transport.requests import Request

    hosts = (endpoints.bigtable_host, endpoints.pubsub_host, endpoints.firestore_host, endpoints.run_host)
    if None not in hosts:
        return None
    try:
        request: Any = Request()
        credentials(endpoints.project).refresh(request)
    except exceptions.GoogleAuthError as error:
        return f"cannot be used ({error})"
    return None


def _refuse_emulated(endpoints: Endpoints, service: str) -> None:
    if endpoints.project == EMULATOR_PROJECT:
        raise StateError(f"no emulator of {service} is given; start one, or name a real project")


def routed(field: str, value: str, **more: str) -> list[tuple[str, str]]:
    """The metadata by which the services route a raw request, as their own clients send it."""
    fields = {field: value, **more}
    return [("x-goog-request-params", "&".join(f"{name}={quote(text, safe='')}" for name, text in fields.items()))]


def transient_errors() -> tuple[type[Exception], ...]:
    """The errors of Google's services after which the same request may work."""
    from google.api_core import exceptions

    return (
        exceptions.Aborted,
        exceptions.Cancelled,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.RetryError,
        exceptions.ServiceUnavailable,
        exceptions.TooManyRequests,
        exceptions.Unknown,
    )


@contextmanager
def api_errors(missing: str) -> Iterator[None]:
    """Turns raw gRPC errors inside into `google.api_core` ones, and NOT_FOUND into StateError(missing)."""
    import grpc
    from google.api_core import exceptions

    try:
        yield
    except exceptions.NotFound as error:
        raise StateError(missing) from error
    except grpc.RpcError as error:
        translate: Any = exceptions.from_grpc_error
        translated = translate(error)
        if isinstance(translated, exceptions.NotFound):
            raise StateError(missing) from error
        raise translated from error


class Backoff:
    """Waits between tries: longer each time, with jitter, until `seconds` have passed in all."""

    def __init__(self, seconds: float, initial: float = 0.1, longest: float = 20.0) -> None:
        self._until = time.monotonic() + seconds
        self._next = initial
        self._longest = longest

    def wait(self) -> bool:
        """Sleeps before the next try; False, at once, when there is no time left for one."""
        pause = random.uniform(self._next / 2, self._next)
        if time.monotonic() + pause > self._until:
            return False
        time.sleep(pause)
        self._next = min(2 * self._next, self._longest)
        return True
