"""The example of variables has every one of them, and works when all of it is switched on."""

from __future__ import annotations

import re
from pathlib import Path

from tests.terraform.tool import FOLDER, Command, read_messages

EXAMPLE = (FOLDER / "terraform.tfvars.example").read_text()
RUN = """
mock_provider "google" {
  source = "./tests/mocks"
}
mock_provider "google" {
  alias  = "billing"
  source = "./tests/mocks"
}
run "example" {
  command = plan
}
"""


def declared() -> set[str]:
    """The variables that there are."""
    return set(re.findall(r'^variable "(\w+)"', (FOLDER / "variables.tf").read_text(), re.MULTILINE))


def switched_on() -> str:
    """The example with its settings no longer comments: those lines in which nothing follows # but a setting."""
    return re.sub(r"^#(?! \S|$)", "", EXAMPLE, flags=re.MULTILINE)


def test_example_has_every_variable() -> None:
    """Each variable is in the example, once, and no other."""
    named = re.findall(r"^#?(\w+) += ", EXAMPLE, re.MULTILINE)
    assert sorted(named) == sorted(declared())


def test_every_variable_says_what_it_is() -> None:
    """Each variable has a description that is a sentence."""
    text = (FOLDER / "variables.tf").read_text()
    descriptions = re.findall(r'^  description = "(.+)"$', text, re.MULTILINE)
    assert len(descriptions) == len(declared()) and all(one.endswith((".", ")")) for one in descriptions)


def test_example_works(terraform: Command, folder: Path) -> None:
    """With all its settings, the example is a configuration that can be planned."""
    (folder / "tests" / "example.tftest.hcl").write_text(RUN)
    (folder / "example.tfvars").write_text(switched_on())
    arguments = ("-json", "-filter=tests/example.tftest.hcl", "-var-file=example.tfvars")
    done = terraform.run("test", *arguments, folder=folder)
    (folder / "tests" / "example.tftest.hcl").unlink()
    outcome = read_messages(done.stdout, done.stderr)
    assert not outcome.problems, "\n".join(outcome.problems)
    assert outcome.runs == {"tests/example.tftest.hcl: example": "pass"}
