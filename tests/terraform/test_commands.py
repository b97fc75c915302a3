"""Terraform itself finds nothing wrong: format, references, types, and the assertions of terraform/tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.terraform.tool import FOLDER, Command, Outcome


def test_format(terraform: Command) -> None:
    """Every file is as `terraform fmt` writes it."""
    done = terraform.run("fmt", "-check", "-recursive", "-diff", "-no-color", folder=FOLDER)
    assert done.returncode == 0, done.stdout + done.stderr


def test_valid(terraform: Command, folder: Path) -> None:
    """Names, types and references work out."""
    done = terraform.run("validate", "-no-color", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_assertions(outcome: Outcome) -> None:
    """Every run of terraform/tests passes, and none was left out."""
    assert not outcome.problems, "\n".join(outcome.problems)
    written = {
        f"tests/{file.name}: {name}"
        for file in (FOLDER / "tests").glob("*.tftest.hcl")
        for name in re.findall(r'^run "(\w+)"', file.read_text(), re.MULTILINE)
    }
    assert len(written) > 30
    assert outcome.runs == dict.fromkeys(written, "pass")


def test_no_alert_policy_mixes(outcome: Outcome) -> None:
    """A policy that asks in PromQL has that one condition: Monitoring refuses any other."""
    policies = [
        one for state in outcome.states.values() for one in state if one.type == "google_monitoring_alert_policy"
    ]
    assert policies
    for policy in policies:
        conditions = policy.values["conditions"]
        asked = [one for one in conditions if one["condition_prometheus_query_language"]]
        assert not asked or len(conditions) == 1, policy.address
