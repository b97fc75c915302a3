"""A plan of Terraform says what it would lose, in the form that `terraform show -json` has."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.deploy import installation
from jobs.deploy.plan_check import KEPT, changes_anything, losses
from shared.errors import StateError

ALL_ACTIONS = (
    ["no-op"], ["create"], ["read"], ["update"], ["delete", "create"], ["create", "delete"], ["delete"], ["forget"],
    ["create", "forget"],
)  # fmt: skip
"""Every list of actions that the format has."""


def change(kind: str, actions: list[str], mode: str = "managed", **more: Any) -> dict[str, Any]:
    """A change of a resource, as a plan has it."""
    values = {"name": "any-project-scratch", "location": "US-EAST1"}
    return {
        "address": f"{kind}.this",
        "mode": mode,
        "type": kind,
        "name": "this",
        "provider_name": "registry.terraform.io/hashicorp/google",
        "change": {"actions": actions, "before": values, "after": values, "after_unknown": {}, **more},
    }


def plan(*changes: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A plan with these changes."""
    variables = {name: {"value": name[:1]} for name in installation.NAMES}
    return {"format_version": "1.2", "variables": variables, "resource_changes": list(changes), **more}


@pytest.mark.parametrize("kind", sorted(KEPT))
@pytest.mark.parametrize("actions", ALL_ACTIONS, ids=" ".join)
def test_what_is_deleted_is_lost(kind: str, actions: list[str]) -> None:
    """Of what holds data, just what is deleted is lost, with or without something new in its place."""
    found = losses(plan(change(kind, actions)))
    assert [loss.replaced for loss in found] == (["create" in actions] if "delete" in actions else [])


def test_what_holds_nothing_may_go() -> None:
    """Jobs, grants and functions can be made again; a data source is nobody's to lose."""
    others = ("google_cloud_run_v2_job", "google_storage_bucket_object", "google_storage_bucket_iam_member")
    assert losses(plan(*(change(kind, ["delete"]) for kind in others))) == []
    assert losses(plan(change("google_storage_bucket", ["delete"], mode="data"))) == []


def test_a_loss_says_what_why_and_what_goes_with_it() -> None:
    """Address, name, the setting that cannot be changed in place with both values, and what is lost."""
    after = {"name": "any-project-scratch", "location": "US-CENTRAL1"}
    moved = change("google_storage_bucket", ["delete", "create"], after=after, replace_paths=[["location"]])
    (loss,) = losses(plan(moved))
    assert str(loss) == (
        "google_storage_bucket.this (any-project-scratch) would be replaced by an empty one, as these cannot be "
        "changed in place: location from US-EAST1 to US-CENTRAL1. With it goes all objects in it."
    )
    (gone,) = losses(plan(change("google_firestore_database", ["delete"], after=None)))
    assert str(gone) == (
        "google_firestore_database.this (any-project-scratch) would be destroyed. With it goes the progress and "
        "the failures of every graph."
    )


def test_what_is_not_known_yet_is_said() -> None:
    """A path to a value that is known after it was applied only, or deep in a block, is no error."""
    paths = [["location"], ["cluster", 0, "zone"]]
    (loss,) = losses(plan(change("google_storage_bucket", ["delete", "create"], after={}, replace_paths=paths)))
    assert loss.changes == (
        "location from US-EAST1 to a value that is not known yet",
        "cluster.0.zone from a value that is not known yet to a value that is not known yet",
    )


@pytest.mark.parametrize("broken", [{"format_version": "2.0"}, {"format_version": None}, {"errored": True}])
def test_what_is_no_plan_that_is_known_is_an_error(broken: dict[str, Any]) -> None:
    """A form that is not known, or half a plan, never counts as one without losses."""
    for look in (losses, changes_anything, installation.installation):
        with pytest.raises(StateError):
            look(plan(change("google_storage_bucket", ["delete"]), **broken))
    with pytest.raises(StateError):
        losses({})


def test_a_plan_that_changes_nothing() -> None:
    """What is looked up, or stays, is no change."""
    assert not changes_anything(plan(change("google_project", ["read"], mode="data"), change("a", ["no-op"])))
    assert changes_anything(plan(change("a", ["no-op"]), change("b", ["update"])))
