"""What counts as lacking: programs and networks, and nothing that this repository could have got wrong."""

from __future__ import annotations

import subprocess

import pytest

from tests import lacking

NO_WAY = [
    """
Error: Failed to query available provider packages

Could not retrieve the list of available versions for provider
hashicorp/google: could not connect to registry.terraform.io: failed to
request discovery document: Get
"https://registry.terraform.io/.well-known/terraform.json": dial tcp: lookup
registry.terraform.io on 10.0.0.1:53: no such host
""",
    "WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError(... [Errno 111] Connection\n"
    "refused'))': /simple/numpy/\nERROR: No matching distribution found for numpy==2.1.0",
    "Error: initializing source docker://debian:bookworm-slim: pinging container registry docker.io: Get\n"
    '"https://docker.io/v2/": dial tcp: lookup docker.io: Temporary failure in name resolution',
    "Error: Unsupported Terraform Core version\nThis configuration does not support Terraform version 1.2.0.",
]

OUR_FAULT = [
    "Error: Failed to query available provider packages\nprovider registry registry.terraform.io does not have a\n"
    "provider named registry.terraform.io/hashicorp/gogle",
    "ERROR: No matching distribution found for numpy==99.1.0",
    "COPY failed: file not found in build context: stat shard: file does not exist",
]


@pytest.mark.parametrize("said", NO_WAY)
def test_no_way_to_a_registry(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that found no way is left out with one line that says which way; in CI the test fails."""
    done = subprocess.CompletedProcess([], 1, "", said)
    monkeypatch.setattr(lacking, "IN_CI", False)
    with pytest.raises(pytest.skip.Exception, match=r"^fetching: .+$") as left_out:
        lacking.needs_network(done, "packages", "fetching")
    assert "\n" not in str(left_out.value)
    monkeypatch.setattr(lacking, "IN_CI", True)
    monkeypatch.setenv("MAY_LACK", "image terraform")
    with pytest.raises(pytest.fail.Exception):
        lacking.needs_network(done, "packages", "fetching")
    with pytest.raises(pytest.skip.Exception):
        lacking.needs_network(done, "image", "fetching")


@pytest.mark.parametrize("said", OUR_FAULT)
def test_our_own_mistakes(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a command refuses that did find its way fails everywhere, with what it said."""
    monkeypatch.setattr(lacking, "IN_CI", False)
    with pytest.raises(pytest.fail.Exception) as failed:
        lacking.needs_network(subprocess.CompletedProcess([], 1, "", said), "packages", "fetching")
    assert said in str(failed.value)


def test_summary() -> None:
    """At the end each thing that is lacking has one line, with how many tests of which folders it took."""
    places = ["image/test_run.py::test_a", "image/test_image.py::test_b[x::y]", "e2e/test_task.py::test_c"]
    reasons = ["no engine", "no engine", "no java"]
    reports = [
        pytest.TestReport(f"tests/{at}", ("", 0, ""), {}, "skipped", ("conftest.py", 1, f"Skipped: {why}"), "setup")
        for at, why in zip(places, reasons, strict=True)
    ]
    assert lacking.summary(reports) == ["2 of tests/image: no engine", "1 of tests/e2e: no java"]
