"""Stands in for gcloud: `python -m tests.walk.gcloud WORLD ARGUMENTS`.

A call that gcloud, or the service behind it, would refuse is refused.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.walk.world import World, refuse

API = "cloudresourcemanager.googleapis.com"


def options(words: list[str]) -> dict[str, str]:
    """The options with their values; one that is not of this form is refused."""
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--"):
            refuse(f"what is {word}?")
        found[name] = value if equals else ""
    return found


def enable(world: World, words: list[str]) -> None:
    """Switches on a service."""
    service, *rest = words
    if options(rest) != {"--project": "my-project"}:
        refuse(f"{service} is switched on in {rest}")
    world.write("apis", [*world.read("apis", []), service])


def identity(world: World, words: list[str]) -> None:
    """Makes the account of a service, whose API terraform has switched on by then."""
    found = options(words)
    if found != {"--quiet": "", "--service": "pubsub.googleapis.com", "--project": "my-project"}:
        refuse(f"an identity for {found}")
    if "google_project_service.pubsub" not in world.state:
        refuse("SERVICE_DISABLED: pubsub.googleapis.com is not switched on")
    world.write("identities", [*world.read("identities", []), found["--service"]])


def submit(world: World, words: list[str]) -> None:
    """Builds and pushes an image, from a source that its account may read to a repository that there is."""
    found, state = options(words), world.state
    source, account = state.get("google_storage_bucket.source"), state.get("google_service_account.build")
    repository = state.get("google_artifact_registry_repository.images")
    if source is None or account is None or repository is None:
        refuse("there is no bucket, account or repository for a build yet")
    image = found.pop("--substitutions").removeprefix("_IMAGE=")
    config = Path(found["--config"])
    if found != {
        "--project": "my-project",
        "--region": repository["location"],
        "--config": "cloudbuild.yaml",
        "--gcs-source-staging-dir": f"gs://{source['name']}/image",
        "--service-account": f"projects/my-project/serviceAccounts/{account['email']}",
    }:
        refuse(f"a build of {found}")
    if "${_IMAGE}" not in config.read_text() or not Path("Dockerfile").exists():
        refuse(f"nothing to build in {Path.cwd()}")
    start = f"{repository['location']}-docker.pkg.dev/my-project/{repository['name']}/ingest:"
    if not image.startswith(start) or image.endswith(":"):
        refuse(f"{image} is not in {start}…")
    world.write("registry", [*world.read("registry", []), image])


COMMANDS = {
    ("services", "enable"): enable,
    ("beta", "services", "identity", "create"): identity,
    ("builds", "submit"): submit,
}
SAID = {
    ("version", "--format=json"): '{"Google Cloud SDK": "500.0.0", "beta": "2026.01.01"}',
    (
        "auth",
        "list",
        "--filter=status:ACTIVE",
        "--format=value(account)",
    ): "robot@my-project.iam.gserviceaccount.com",
}
"""What only asks, and is not noted."""


def main(world: World, words: list[str]) -> None:
    """Does what the command says, or refuses."""
    if tuple(words) in SAID:
        print(SAID[tuple(words)])
        return
    world.note("gcloud", words)
    for name, command in COMMANDS.items():
        if tuple(words[: len(name)]) == name:
            command(world, words[len(name) :])
            return
    refuse(f"gcloud {' '.join(words)} is in no document")


if __name__ == "__main__":
    main(World(Path(sys.argv[1])), sys.argv[2:])
