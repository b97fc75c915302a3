"""The queue: topics, subscriptions, and where what cannot be delivered goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.doctor.cloud import Answer, Cloud, Kind, Request, unseen
from shared.doctor.finding import Finding, ok, problem, skipped
from shared.doctor.place import Place, url


def queue(place: Place, cloud: Cloud) -> list[Finding]:
    """A line for all that is as it should be, and one for each thing that is not."""
    if not place.layers:
        return [skipped("queue", "neither a dataset nor what is deployed says which layers there are")]
    names = [*(f"l{layer}" for layer in place.layers), "dead"]
    topics = cloud.ask([Request(url("pubsub", f"v1/{place.topic(name)}")) for name in names])
    pulled = [*names, "dead-push"]
    subscriptions = cloud.ask([Request(url("pubsub", f"v1/{place.subscription(name)}")) for name in pulled])
    found = [
        *_missing(place, "topic", names, topics),
        *_missing(place, "subscription", pulled, subscriptions),
    ]
    for name, answer in zip(pulled, subscriptions, strict=True):
        if answer.found and (told := _wrong(place, name, answer.body)):
            found.append(problem("queue", told, place.deploy))
    return found or [ok("queue", f"{len(names)} topics and {len(pulled)} subscriptions")]


def _missing(place: Place, kind: str, names: list[str], answers: list[Answer]) -> list[Finding]:
    """Those that are not there, all in one line; and one line for those that cannot be looked at."""
    bad = [(name, answer) for name, answer in zip(names, answers, strict=True) if not answer.found]
    found = []
    gone = [f"{place.prefix}-{name}" for name, answer in bad if answer.kind is Kind.MISSING]
    if gone:
        told = f"there is no {kind} {', '.join(gone)}"
        found.append(problem("queue", told, place.deploy))
    others = [(name, answer) for name, answer in bad if answer.kind is not Kind.MISSING]
    if others:
        name, answer = others[0]
        nothing = problem("queue", f"there is no {kind} {place.prefix}-{name}", place.deploy)
        found.append(unseen("queue", answer, f"{kind} {place.prefix}-{name}", place.project, nothing))
    return found


def _wrong(place: Place, name: str, body: Mapping[str, Any]) -> str | None:
    """What is wrong with a subscription, as a sentence."""
    full = f"subscription {place.prefix}-{name}"
    topic = place.topic("dead" if name.startswith("dead") else name)
    if body.get("topic") != topic:
        return f"{full} is of {body.get('topic')} instead of {topic}, so what is published does not reach it"
    if name.startswith("l") and body.get("deadLetterPolicy", {}).get("deadLetterTopic") != place.topic("dead"):
        return f"{full} gives up to no topic {place.topic('dead')}, so a chunk that kills its worker comes for ever"
    if name == "dead-push" and not body.get("pushConfig", {}).get("pushEndpoint"):
        return f"{full} pushes nowhere, so nobody notes what failed"
    return None
