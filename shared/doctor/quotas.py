"""What the project may have at once, against what the plan or the fleets would use.

Less than that is no problem: tasks beyond a quota wait, and nodes beyond one are not added; a run takes longer.
The figures are those of Service Usage
(https://cloud.google.com/service-usage/docs/reference/rest/v1beta1/services.consumerQuotaMetrics).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.doctor.cloud import Cloud, Request
from shared.doctor.finding import Finding, note, ok, skipped
from shared.doctor.place import Place, url


@dataclass(frozen=True)
class Wanted:
    """What a run would use at once at most."""

    cpus: float | None = None
    """Of all tasks together, in vCPU."""
    nodes: int | None = None
    """Of the table's cluster."""


def quotas(place: Place, cloud: Cloud, wanted: Wanted) -> list[Finding]:
    """CPUs of Cloud Run in the region, and nodes of Bigtable in the zone."""
    asked = [
        Request(url("serviceusage", f"v1beta1/projects/{place.project}/services/{service}/consumerQuotaMetrics"))
        for service in ("run.googleapis.com", "bigtableadmin.googleapis.com")
    ]
    clusters = Request(url("bigtableadmin", f"v2/{place.instance_name}/clusters"))
    run, bigtable, there = cloud.ask([*(Request(f"{one.url}?pageSize=200") for one in asked), clusters])
    zones = [str(one.get("location", "")).rpartition("/")[2] for one in there.body.get("clusters", [])]
    found = []
    for what, answer in (("quota of CPUs", run), ("quota of nodes", bigtable)):
        if not answer.found:
            found.append(skipped(what, f"what the project may have cannot be looked at ({answer.reason})"))
        elif what == "quota of CPUs":
            found.append(_cpus(place, wanted, answer.body))
        else:
            found.append(_nodes(place, wanted, answer.body, zones[0] if zones else None))
    return found


def _cpus(place: Place, wanted: Wanted, body: Mapping[str, Any]) -> Finding:
    limits = [
        limit for metric, limit in _limits(body, {"region": place.region}) if metric.endswith("/cpu_allocation")
    ]
    if not limits:
        return skipped("quota of CPUs", _unknown(body))
    # In thousandths of a CPU.
    return _compared(
        "quota of CPUs", place, min(limits) / 1000, wanted.cpus, f"CPUs of Cloud Run in {place.region}"
    )


def _nodes(place: Place, wanted: Wanted, body: Mapping[str, Any], zone: str | None) -> Finding:
    where = {"zone": zone, "region": place.region}
    limits = [limit for metric, limit in _limits(body, where) if "node" in metric.lower()]
    if not limits:
        return skipped("quota of nodes", _unknown(body))
    return _compared("quota of nodes", place, min(limits), wanted.nodes, f"nodes in {zone or 'a zone'}")


def _compared(what: str, place: Place, limit: float, wanted: float | None, things: str) -> Finding:
    console = f"https://console.cloud.google.com/iam-admin/quotas?project={place.project}"
    if wanted is None:
        return ok(what, f"{limit:,.0f} {things}; how many are needed is not known without DATASET")
    if wanted > limit:
        told = (
            f"{limit:,.0f} {things}, and up to {wanted:,.0f} would be used: the run takes longer; more at {console}"
        )
        return note(what, told)
    return ok(what, f"{limit:,.0f} {things}, of which up to {wanted:,.0f} are used")


def _limits(body: Mapping[str, Any], where: Mapping[str, str | None]) -> Iterator[tuple[str, float]]:
    """Each metric with its limit at a place: that of its most special bucket that is of the place."""
    for metric in body.get("metrics", []):
        for limit in metric.get("consumerQuotaLimits", []):
            buckets = [
                bucket
                for bucket in limit.get("quotaBuckets", [])
                if all(where.get(name) == value for name, value in bucket.get("dimensions", {}).items())
            ]
            # From the least special to the most; -1 is no limit.
            if buckets and (value := float(buckets[-1].get("effectiveLimit", -1))) >= 0:
                yield str(metric.get("metric", "")), value


def _unknown(body: Mapping[str, Any]) -> str:
    names = sorted(str(metric.get("metric")) for metric in body.get("metrics", []))
    return f"none of the quotas that there are says it: {', '.join(names) or 'none'}"
