"""Whether the dataset's buckets can be read by the accounts of the workers that read them: those of layer 2, or
those of the layers below it where a segmentation is cut.

Asked in this order, as far as each is allowed: the bucket itself, in the account's name; the bucket's policy;
whether everybody may read it.
"""

from __future__ import annotations

from urllib.parse import urlencode

from shared.doctor.cloud import Answer, Cloud, Kind, Request
from shared.doctor.finding import Finding, ok, problem, skipped
from shared.doctor.grants import bucket_policy, project_policy
from shared.doctor.place import Place, url

NEEDED = ("storage.objects.get", "storage.objects.list")
READERS = {
    "roles/storage.objectViewer", "roles/storage.objectUser", "roles/storage.objectAdmin", "roles/storage.admin",
    "roles/storage.legacyObjectReader",
}  # fmt: skip
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


def inputs(place: Place, cloud: Cloud) -> list[Finding]:
    """A line for each bucket and layer that reads it."""
    if not place.inputs:
        return [skipped("inputs", "no dataset is named, or none of its edges and components is in a bucket")]
    return [finding for layer in place.readers for finding in _of_layer(place, cloud, layer)]


def _of_layer(place: Place, cloud: Cloud, layer: int) -> list[Finding]:
    account = place.account(f"l{layer}")
    path = f"v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    (lent,) = cloud.ask([Request(url("iamcredentials", path), {"scope": [SCOPE], "lifetime": "300s"})])
    token = str(lent.body.get("accessToken", "")) if lent.found else ""
    return [_bucket(place, cloud, bucket, layer, token) for bucket in place.inputs]


def _bucket(place: Place, cloud: Cloud, bucket: str, layer: int, token: str) -> Finding:
    account = place.account(f"l{layer}")
    workers = "workers" if layer == 2 else f"workers of layer {layer}"
    who = f"workers of layer {layer} ({account})"
    path = f"storage/v1/b/{bucket}/iam/testPermissions?{urlencode({'permissions': NEEDED}, doseq=True)}"
    policy, anybody = cloud.ask([bucket_policy(bucket), Request(url("storage", path), token="")])
    as_worker = cloud.ask([Request(url("storage", path), token=token)])[0] if token else Answer(Kind.REFUSED)
    grant = (
        f"gcloud storage buckets add-iam-policy-binding gs://{bucket} --member=serviceAccount:{account} "
        "--role=roles/storage.objectViewer"
    )
    if Kind.MISSING in (policy.kind, as_worker.kind):
        return problem("inputs", f"there is no bucket {bucket}; the dataset's file names it")
    if as_worker.found:
        lacking = sorted(set(NEEDED) - set(as_worker.body.get("permissions", [])))
        if lacking:
            return problem("inputs", f"{who} lack {', '.join(lacking)} in {bucket}", grant)
        return ok("inputs", f"{workers} may read {bucket}")
    if set(NEEDED) <= set(anybody.body.get("permissions", [])):
        return ok("inputs", f"everybody may read {bucket}")
    if policy.found:
        above = _project_of(bucket, cloud)
        if _reads(policy, account) or _reads(above, account):
            return ok("inputs", f"{workers} may read {bucket}, by its policy")
        return problem("inputs", f"{who} may not read {bucket}: no role is theirs", grant)
    told = f"whether {workers} may read {bucket} cannot be seen from here ({policy.reason}); START=1 asks one"
    return skipped("inputs", told, f"make doctor PROJECT={place.project} DATASET={place.dataset or '…'} START=1")


def _project_of(bucket: str, cloud: Cloud) -> Answer:
    """The policy of the project that a bucket is in."""
    (there,) = cloud.ask([Request(url("storage", f"storage/v1/b/{bucket}"))])
    if not there.found:
        return there
    (policy,) = cloud.ask([project_policy(str(there.body.get("projectNumber")))])
    return policy


def _reads(policy: Answer, account: str) -> bool:
    """Whether a policy lets an account read all objects."""
    members = {f"serviceAccount:{account}", "allUsers", "allAuthenticatedUsers"}
    return any(
        binding.get("role") in READERS and "condition" not in binding and members & set(binding.get("members", []))
        for binding in policy.body.get("bindings", [])
    )
