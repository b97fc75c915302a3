"""What a worker needs to be allowed, asked by itself on the very resources: testIamPermissions in its own name.

Unlike a policy, which others can read, that counts every role from wherever it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from shared.doctor.cloud import Answer, Cloud, Request
from shared.doctor.place import Place, url

OBJECTS = ("storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list")


@dataclass(frozen=True)
class Need:
    """A thing, and the permissions on it."""

    thing: str
    request: Request
    permissions: tuple[str, ...]


def needs(place: Place, layer: int) -> list[Need]:
    """Those of a worker of a layer."""
    own = place.subscription(f"l{layer}")
    found = [_posted("pubsub", "v1", own, "pubsub.subscriptions.consume")]
    if place.layers and layer < max(place.layers):
        found.append(_posted("pubsub", "v1", place.topic(f"l{layer + 1}"), "pubsub.topics.publish"))
    found += [_posted("pubsub", "v1", place.topic(name), "pubsub.topics.publish") for name in (f"l{layer}", "dead")]
    if layer in place.low:
        fed = [f"l{at}" for at in place.fed if at not in (layer, layer + 1)]
        found += [_posted("pubsub", "v1", place.topic(name), "pubsub.topics.publish") for name in fed]
    if place.scratch:
        found.append(_bucket(place.scratch, OBJECTS))
    if layer in place.readers:
        found += [_bucket(bucket, ("storage.objects.get", "storage.objects.list")) for bucket in place.inputs]
    rows = ("bigtable.tables.mutateRows", "bigtable.tables.readRows")
    # The others may not be there yet; what allows one allows all of them.
    if place.trial_table is not None:
        found.append(_posted("bigtableadmin", "v2", f"{place.instance_name}/tables/{place.trial_table}", *rows))
    return found


def _posted(service: str, version: str, name: str, *permissions: str) -> Need:
    address = url(service, f"{version}/{name}:testIamPermissions")
    return Need("/".join(name.split("/")[-2:]), Request(address, {"permissions": list(permissions)}), permissions)


def _bucket(name: str, permissions: tuple[str, ...]) -> Need:
    query = urlencode({"permissions": permissions}, doseq=True)
    request = Request(url("storage", f"storage/v1/b/{name}/iam/testPermissions?{query}"))
    return Need(f"buckets/{name}", request, permissions)


def lacking(need: Need, answer: Answer) -> str | None:
    """What is wrong, as a sentence; None if all is allowed."""
    if not answer.found:
        return answer.reason or answer.kind.value
    missing = sorted(set(need.permissions) - set(answer.body.get("permissions", [])))
    return f"lacks {', '.join(missing)}" if missing else None


def asked(place: Place, layer: int, cloud: Cloud, clock: Callable[[], float]) -> dict[str, Mapping[str, Any]]:
    """Each thing, how long it took to ask, and what is wrong with it."""
    found: dict[str, Mapping[str, Any]] = {}
    for need in needs(place, layer):
        began = clock()
        (answer,) = cloud.ask([need.request])
        found[need.thing] = {"milliseconds": 1000 * (clock() - began), "error": lacking(need, answer)}
    return found
