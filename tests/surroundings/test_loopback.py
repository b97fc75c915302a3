"""Emulators are reached directly, whatever proxy there is; a run in memory recommends nothing that cannot work."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions

from shared.exit_codes import Exit
from shared.gcp import clients
from shared.gcp.clients import Endpoints
from shared.inputs.edges import EdgeList, decode_edges, edges_name, encode_edges
from shared.plan.grid import Chunk
from tests.surroundings.conftest import StandIn, Zygote
from tests.surroundings.situations import NO_EMULATORS

CHUNK = Chunk(2, 0, 0, 0)
PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def bigtable(endpoints: Endpoints) -> None:
    clients.bigtable_channel(endpoints).unary_unary("/google.bigtable.v2.Bigtable/X")(b"", timeout=30)


def run_jobs(endpoints: Endpoints) -> None:
    clients.channel(endpoints, endpoints.run_host, "run").unary_unary("/google.cloud.run.v2.Jobs/X")(
        b"", timeout=30
    )


ASK: dict[str, Any] = {
    "bigtable": bigtable,
    "tables": lambda at: clients.table_admin(at).get_table(name="projects/p/instances/i/tables/t", timeout=30),
    "publisher": lambda at: clients.publisher(at).get_topic(topic="projects/p/topics/t", timeout=30),
    "subscriber": lambda at: clients.subscriber(at).get_subscription(
        subscription="projects/p/subscriptions/s", timeout=30
    ),
    "firestore": lambda at: clients.firestore(at).document("c/d").get(retry=None, timeout=30),
    "run": run_jobs,
}
"""A request by each of the clients."""


@pytest.mark.parametrize("client", ASK)
def test_no_proxy_on_the_way(client: str, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in gets the request and refuses it; a proxy, where nobody is, was not asked."""
    for name in PROXIES:
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
    host, before = stand_in.host, len(stand_in.asked)
    endpoints = Endpoints("p", "i", "d", bigtable_host=host, pubsub_host=host, firestore_host=host, run_host=host)
    with pytest.raises(Exception) as refused:
        ASK[client](endpoints)
    code = getattr(refused.value, "code", None)
    unimplemented = isinstance(refused.value, exceptions.MethodNotImplemented)
    assert unimplemented or (callable(code) and code().name == "UNIMPLEMENTED"), refused.value
    assert len(stand_in.asked) == before + 1


def test_a_failed_run_in_memory(start: Zygote, place: Path, dataset: Path) -> None:
    """Its chunks are named with their reason; no command is recommended that would look for a run that is gone."""
    shutil.copytree(dataset.parent, place / "small")
    file = place / "small" / "small.yml"
    file.write_text(file.read_text().replace(str(dataset.parent), str(place / "small")))
    # One side of a face forgets its edges: found while building, and by no look at single files.
    name = place / "small" / "edges" / edges_name(CHUNK)
    edges = decode_edges(name.read_bytes(), name.name, CHUNK)
    name.write_bytes(encode_edges(replace(edges, between=EdgeList())))
    done = start(place, "ingest", file, environ=NO_EMULATORS)
    assert done.code == Exit.FAILED_CHUNKS, done
    assert (
        "chunk 3/" in done.out and "is gone now" in done.out and "make " not in done.out.replace("make ingest", "")
    )
