"""The programs that a deployment needs on this machine, and whom they act as."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from shared.doctor.cloud import Identity
from shared.doctor.finding import Finding, Status, note, ok, problem

TERRAFORM = (1, 6)
"""The oldest Terraform that terraform/versions.tf takes."""

LOGIN = "gcloud auth application-default login"


@dataclass(frozen=True)
class Machine:
    """What the programs of this machine print; None for one that is not there or does not work."""

    terraform: str | None = None
    """`terraform version -json`"""
    gcloud: str | None = None
    """`gcloud version --format=json`"""
    account: str | None = None
    """Whom gcloud acts as; None if nobody is logged in."""


def tools(machine: Machine) -> list[Finding]:
    """Terraform and gcloud, and their versions."""
    return [_terraform(machine.terraform), *_gcloud(machine.gcloud)]


def _terraform(text: str | None) -> Finding:
    install = "https://developer.hashicorp.com/terraform/install"
    if text is None:
        return problem("terraform", f"it is not installed, and `make deploy` needs it: {install}")
    version = str(_object(text).get("terraform_version", ""))
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if len(numbers) < 2:
        return problem("terraform", f"`terraform version -json` says no version: {text[:80]!r}")
    if numbers < TERRAFORM:
        oldest = ".".join(map(str, TERRAFORM))
        return problem("terraform", f"version {version} is too old, {oldest} is needed: {install}")
    return ok("terraform", f"version {version}")


def _gcloud(text: str | None) -> list[Finding]:
    if text is None:
        told = "it is not installed, and `make deploy` needs it: https://cloud.google.com/sdk/docs/install"
        return [problem("gcloud", told)]
    found = _object(text)
    version = str(found.get("Google Cloud SDK", "of unknown version"))
    if "beta" not in found:
        told = f"{version}, without the beta commands, by which `make deploy` makes the account of Pub/Sub"
        return [problem("gcloud", told, "gcloud components install beta")]
    return [ok("gcloud", version)]


def login(machine: Machine, identity: Identity, project: str) -> list[Finding]:
    """Who is logged in, twice as Google has it: for gcloud, and for programs."""
    if identity.passing:
        told = f"who you are cannot be asked: {identity.refused}"
        return [Finding(Status.PROBLEM, "login", told, passing=True)]
    if identity.refused:
        return [problem("login", f"no program can act for you: {identity.refused}", LOGIN)]
    found = [ok("login", f"programs act as {identity.account or 'an account that does not say its name'}")]
    quota = f"gcloud auth application-default set-quota-project {project}"
    if identity.quota_project not in (None, project):
        told = (
            f"your credentials name {identity.quota_project}; the commands here count for {project} all the same, "
            "Terraform's may not"
        )
        found.append(note("quota project", told, quota))
    else:
        found.append(ok("quota project", identity.quota_project or f"none is named, so {project}"))
    if machine.gcloud is None:
        return found
    if machine.account is None:
        found.append(problem("gcloud's login", "nobody is logged in to gcloud", "gcloud auth login"))
    elif identity.account and machine.account != identity.account:
        told = (
            f"gcloud acts as {machine.account}, and programs as {identity.account}: one may lack what the other has"
        )
        found.append(note("gcloud's login", told, f"gcloud config set account {identity.account}"))
    else:
        found.append(ok("gcloud's login", machine.account))
    return found


def _object(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
