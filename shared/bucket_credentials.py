"""Which credentials cloud-files uses for a place, for errors that say so: a refusal means nothing without them.

Why: a lab's machine often has `google-secret.json`, which cloud-files takes before anything else; all else here
goes by the application's default credentials. Source: `cloudfiles.secrets`. Invariants: nothing secret is told,
only the file and the account that it names.
"""

from __future__ import annotations

import json
import re

DEFAULT = "the application default credentials"

_PLACE = re.compile(r"(?:[a-z_0-9]+://)?(gs|s3)://([^/]+)")
"""A bucket, perhaps with a format before it (precomputed://gs://…)."""

_SECRETS = {"gs": "google-secret.json", "s3": "aws-secret.json"}


def bucket_of(location: str) -> str | None:
    """The bucket of a location in Google's storage; None for any other."""
    found = _PLACE.match(location)
    return found[2] if found and found[1] == "gs" else None


def used_for(location: str) -> str:
    """What cloud-files goes by at a location, as ` with the credentials of …`; empty where it needs none."""
    found = _PLACE.match(location)
    if found is None:
        return ""
    from cloudfiles.secrets import secretpath

    kind, bucket = found.groups()
    for name in (f"{bucket}-{_SECRETS[kind]}", _SECRETS[kind]):
        path = secretpath(name)
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError:
            continue
        return f" with the credentials in {path}{_account(text)}"
    return f" with {DEFAULT}" if kind == "gs" else " with the AWS credentials of the environment"


def _account(text: str) -> str:
    try:
        account = json.loads(text).get("client_email")
    except (ValueError, AttributeError):
        return " (which is no JSON of an account)"
    return f" (account {account})" if account else ""
