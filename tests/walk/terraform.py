"""Stands in for terraform: `python -m tests.walk.terraform WORLD ARGUMENTS`, in a folder like terraform/.

What it makes is a part of what the configuration makes, enough to see order, names, places, images and sizes. An
apply that Google would refuse is refused: of an image that was never pushed, of a grant to an account that is not
there.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

from tests.walk.variables import given
from tests.walk.world import World, refuse

Resources = dict[str, dict[str, Any]]
FIXED = {"google_storage_bucket": ("name", "location"), "google_firestore_database": ("name", "location")}
"""What cannot be changed in place, by type."""


def before_builds(its: dict[str, Any]) -> Resources:
    """What the target time_sleep.build_grants needs."""
    project, prefix = its["project"], its["prefix"]
    account = f"{prefix}-build@{project}.iam.gserviceaccount.com"
    return {
        "google_project_service.pubsub": {"name": "pubsub.googleapis.com"},
        "google_storage_bucket.source": {"name": f"{project}-{prefix}-source", "location": its["region"].upper()},
        "google_artifact_registry_repository.images": {"name": prefix, "location": its["region"]},
        "google_service_account.build": {"name": f"{prefix}-build", "email": account},
    }


def all_of_it(its: dict[str, Any], folder: Path) -> Resources:
    """What a deployment makes."""
    prefix, place = its["prefix"], its["region"].upper()
    found = before_builds(its) | {
        "google_storage_bucket.scratch": {"name": f"{its['project']}-{prefix}-scratch", "location": place},
        "google_firestore_database.progress": {"name": its["database"], "location": its["region"]},
        "google_pubsub_topic_iam_member.agent_dead": {"name": f"{prefix}-dead"},
    }
    for layer in range(2, int(its["layers"]) + 1):
        found[f"google_pubsub_subscription.layer[{layer}]"] = {"name": f"{prefix}-l{layer}"}
        found[f"google_cloud_run_v2_job.layer[{layer}]"] = {
            "name": f"{prefix}-l{layer}",
            "location": its["region"],
            "image": its["image"],
            "memory_gib": max(1, (its["layer_memory_gib"] or {}).get(str(layer), 1)),
            "max": _most(its, layer),
            "tables": sorted(its["tables"]),
            "args": ["--layers", str(layer), "--processes", "1"],
        }
    for name in ("dead_letter", "dispatch"):
        bundle = sorted((folder / str(its["functions_source"]) / name).rglob("*"))
        content = b"".join(path.read_bytes() for path in bundle if path.is_file())
        found[f"google_cloudfunctions2_function.{name}"] = {
            "name": name,
            "source": hashlib.md5(content).hexdigest(),
        }
    return found


def _most(its: dict[str, Any], layer: int) -> int:
    of_layer = (its["by_layer"] or {}).get(str(layer), {}).get("max") or (its["layer_tasks"] or {}).get(str(layer))
    return int(of_layer or math.ceil((its["fleet"] or {}).get("max", 500) / 4 ** (layer - 2)))


def planned(world: World, folder: Path, arguments: list[str]) -> dict[str, Any]:
    """A plan in the form of `terraform show -json`. Refuses what the configuration's conditions refuse."""
    its = given(folder, arguments)
    for name in ("project", "layers", "tables", "bigtable_instance"):
        if its[name] is None:
            refuse(f"variable {name} has no value")
    targets = [word for word in arguments if word.startswith("-target=")]
    if targets not in ([], ["-target=time_sleep.build_grants"]):
        refuse(f"nobody makes {targets}")
    wanted = before_builds(its) if targets else all_of_it(its, folder)
    if not targets and its["image"] is None:
        refuse("Which image? `make image` builds it")
    there = world.state
    kept = there if targets else {}
    changes = [_change(address, there.get(address), wanted.get(address)) for address in sorted({*wanted, *there} - {
        address for address in kept if address not in wanted
    })]  # fmt: skip
    variables = {name: {"value": value} for name, value in its.items() if value is not None}
    return {
        "format_version": "1.2",
        "variables": variables,
        "resource_changes": changes,
        "after": {**kept, **wanted},
    }


def _change(address: str, before: Any, after: Any) -> dict[str, Any]:
    kind = address.partition(".")[0]
    moved = [[name] for name in FIXED.get(kind, ()) if before and after and before[name] != after[name]]
    actions = (
        ["create"] if before is None else ["delete"] if after is None else ["no-op"] if before == after
        else ["delete", "create"] if moved else ["update"]
    )  # fmt: skip
    change = {"actions": actions, "before": before, "after": after, "replace_paths": moved}
    return {"address": address, "mode": "managed", "type": kind, "change": change}


def apply(world: World, plan: dict[str, Any]) -> None:
    """Makes what was planned."""
    after = plan["after"]
    if "cloudresourcemanager.googleapis.com" not in world.read("apis", []):
        refuse("SERVICE_DISABLED: cloudresourcemanager.googleapis.com is not switched on")
    images = {one["image"] for address, one in after.items() if address.startswith("google_cloud_run_v2_job.")}
    if lost := images - set(world.read("registry", [])):
        refuse(f"image {lost} is not in the registry")
    if any("agent_dead" in one for one in after) and not world.read("identities"):
        refuse("Service account service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com does not exist")
    world.write("state", after)


def main(world: World, words: list[str]) -> None:
    """Does what the command says, or refuses."""
    folder, command = Path.cwd(), words[0]
    if words == ["version", "-json"]:
        print('{"terraform_version": "1.9.8"}')
        return
    world.note("terraform", words)
    files = [word for word in words[1:] if not word.startswith("-")]
    if command == "init":
        world.write("init", True)
    elif world.read("init") is None:
        refuse("run terraform init")
    elif command == "plan":
        (out,) = (word.removeprefix("-out=") for word in words if word.startswith("-out="))
        Path(out).write_text(json.dumps(planned(world, folder, words)))
    elif command == "show":
        print(Path(files[0]).read_text())
    elif command == "apply":
        apply(world, json.loads(Path(files[0]).read_text()) if files else planned(world, folder, words))
    else:
        refuse(f"terraform {' '.join(words)} is in no document")


if __name__ == "__main__":
    main(World(Path(sys.argv[1])), sys.argv[2:])
