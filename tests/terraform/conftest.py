"""Runs Terraform on a copy of terraform/, once a session, and shares what came of it.

Why a copy: `init` writes beside the files, and the functions' bundles need not be built here. The command
is what the variable TERRAFORM names. Without one, or without a way to its providers, tests are left out.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.lacking import lacks, needs_network
from tests.terraform.tool import FOLDER, Command, Outcome, Resource, read_messages


@pytest.fixture(scope="session")
def terraform() -> Command:
    """The command, to be run in any folder."""
    command = Command.find(os.environ)
    if not command.there():
        lacks(
            "terraform", f"there is no {command.words[0]}: install Terraform, or name another command as TERRAFORM"
        )
    return command


@pytest.fixture(scope="session")
def folder(terraform: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of terraform/ beside stand-ins of the bundles, with its providers."""
    root = tmp_path_factory.mktemp("terraform")
    copy = root / "terraform"
    shutil.copytree(
        FOLDER, copy, ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars", "*.tfvars.json")
    )
    for name in ("dead_letter", "dispatch"):
        bundle = root / "build" / "functions" / name
        bundle.mkdir(parents=True)
        (bundle / "main.py").write_text(f"# stands in for {name}\n")
    made = terraform.run("init", "-backend=false", "-input=false", "-no-color", folder=copy)
    needs_network(made, "terraform", "terraform init, which fetches the providers")
    return copy


@pytest.fixture(scope="session")
def outcome(terraform: Command, folder: Path) -> Outcome:
    """What `terraform test` says of all runs, and the state that each applied one left."""
    outcome = Outcome()
    # States are large, as each comes with the provider's schema: so only of those tests that make what is read.
    read, others = ("wiring", "options"), ("keeping", "sizes", "refusals")
    for verbose, files in ((("-verbose",), read), ((), others)):
        filters = [f"-filter=tests/{name}.tftest.hcl" for name in files]
        done = terraform.run("test", "-json", *verbose, *filters, folder=folder)
        outcome.add(read_messages(done.stdout, done.stderr))
    return outcome


@pytest.fixture(scope="session")
def resources(outcome: Outcome) -> list[Resource]:
    """What the plain configuration of tests/wiring.tftest.hcl makes: six layers, nothing optional but the
    cluster that verifications read."""
    return outcome.states["all"]
