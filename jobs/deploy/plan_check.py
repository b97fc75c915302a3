"""What a plan of Terraform would lose: the buckets, databases and tables that it replaces or destroys.

Why a check of the plan: `lifecycle.prevent_destroy` cannot depend on a variable, so it would forbid `terraform
destroy` too; and deletion_protection in terraform/variables.tf refuses only once everything else is gone.

Invariants: only the plan is looked at, as `terraform show -json` prints it
(https://developer.hashicorp.com/terraform/internals/json-format). A form that is not known is an error, never a
plan without losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import StateError

KEPT = {
    "google_storage_bucket": "all objects in it",
    "google_firestore_database": "the progress and the failures of every graph",
    "google_bigtable_instance": "every table in it",
    "google_bigtable_table": "every row of it",
}
"""Types that hold what cannot be made again by Terraform, and what goes with one."""


@dataclass(frozen=True)
class Loss:
    """Something that holds data and would be gone."""

    address: str
    """As Terraform names it."""
    name: str
    """As Google names it."""
    holds: str
    replaced: bool
    """Whether an empty one of the kind takes its place."""
    changes: tuple[str, ...]
    """What cannot be changed in place, as `location from US-EAST1 to US-CENTRAL1`."""

    def __str__(self) -> str:
        reason = f", as these cannot be changed in place: {'; '.join(self.changes)}" if self.changes else ""
        verb = "replaced by an empty one" if self.replaced else "destroyed"
        return f"{self.address} ({self.name}) would be {verb}{reason}. With it goes {self.holds}."


def losses(plan: Mapping[str, Any]) -> list[Loss]:
    """What the plan replaces or destroys of the kinds in KEPT, in its order.

    StateError if it is not a plan of a form that is known.
    """
    known(plan)
    return [_loss(one) for one in plan.get("resource_changes", []) if _gone(one)]


def changes_anything(plan: Mapping[str, Any]) -> bool:
    """Whether applying the plan would make, change or destroy anything in the cloud."""
    known(plan)
    actions = {action for one in plan.get("resource_changes", []) for action in one["change"]["actions"]}
    return not actions <= {"no-op", "read"}


def known(plan: Mapping[str, Any]) -> None:
    """StateError unless this is a plan in version 1 of the format, and a whole one."""
    version = str(plan.get("format_version", "none"))
    if version.partition(".")[0] != "1":
        raise StateError(
            f"terraform show -json: format_version is {version}, and only 1 can be read here; nothing was changed. "
            "Use a Terraform whose plans have that version (1.6 to 1.x)"
        )
    if plan.get("errored"):
        raise StateError("terraform show -json: the plan ended with an error, so it does not say all that it does")


def _gone(one: Mapping[str, Any]) -> bool:
    return one["mode"] == "managed" and one["type"] in KEPT and "delete" in one["change"]["actions"]


def _loss(one: Mapping[str, Any]) -> Loss:
    change = one["change"]
    before = change["before"] or {}
    return Loss(
        address=one["address"],
        name=str(before.get("name", "of unknown name")),
        holds=KEPT[one["type"]],
        replaced="create" in change["actions"],
        changes=tuple(_change(path, change) for path in change.get("replace_paths", [])),
    )


def _change(path: Sequence[str | int], change: Mapping[str, Any]) -> str:
    name = ".".join(str(step) for step in path)
    return f"{name} from {_at(change['before'], path)} to {_at(change['after'], path)}"


def _at(value: Any, path: Sequence[str | int]) -> str:
    """The value at a path; a plan leaves out what is known after it was applied only."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return "a value that is not known yet"
    return str(value)
