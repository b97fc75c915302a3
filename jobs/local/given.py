"""Emulators that the environment names are asked first whether they are there, and are what they are given for.

Why: a client waits minutes for a host where nobody is, and a service that is asked for what another one does
refuses in words that help nobody. Invariants: nothing is made or changed; all hosts are asked at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import grpc

from shared.environment import RUN_HOST
from shared.errors import StateError

ANSWER_SECONDS = 5.0

METHODS = {
    "BIGTABLE_EMULATOR_HOST": "/google.bigtable.admin.v2.BigtableTableAdmin/ListTables",
    "PUBSUB_EMULATOR_HOST": "/google.pubsub.v1.Publisher/ListTopics",
    "FIRESTORE_EMULATOR_HOST": "/google.firestore.v1.Firestore/ListCollectionIds",
    RUN_HOST: "/google.cloud.run.v2.Jobs/ListJobs",
}
"""A method of each service that only reads."""

REQUEST = b"\n\x14projects/no-such-one"
"""What all of these take: their first field names whose tables, topics, records or Jobs are meant."""


def need_answers(hosts: Mapping[str, str], seconds: float = ANSWER_SECONDS) -> None:
    """StateError with each host (by its variable) that does not answer within `seconds` as its service does."""
    if not hosts:
        return
    with ThreadPoolExecutor(len(hosts)) as pool:
        found = pool.map(lambda name: _problem(name, hosts[name], seconds), hosts)
    if problems := [problem for problem in found if problem]:
        raise StateError("\n".join(problems))


def _problem(variable: str, host: str, seconds: float) -> str | None:
    service = variable.partition("_")[0].capitalize()
    told = f"{variable} = {host!r}"
    right = "it should be name:port of one that runs; without the variable one is started here"
    # No proxy knows the way to a machine's own servers.
    with grpc.insecure_channel(host, options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            channel.unary_unary(METHODS[variable])(REQUEST, timeout=seconds, wait_for_ready=True)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                return f"{told}: no emulator answers there within {seconds:g} s; {right}"
            if error.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE):
                return f"{told}: what answers there is no emulator of {service} ({error.code().name}); {right}"
    return None
