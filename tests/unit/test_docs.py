"""The documents say what the programs do: commands, targets, exit codes and variables are compared."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from jobs.cli import cli
from shared import environment
from shared.exit_codes import Exit
from shared.version import VERSION

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text()
ARCHITECTURE = (REPOSITORY / "ARCHITECTURE.md").read_text()
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))


def test_make_targets_of_the_readme_exist() -> None:
    """Every `make …` that a document shows is a target of the Makefile."""
    others = [(REPOSITORY / folder / "README.md").read_text() for folder in ("configs", "terraform")]
    text = "".join([README, ARCHITECTURE, *others])
    shown = set(re.findall(r"(?:`|^    )make (?:-C \.\. )?([a-z][a-z-]*)", text, re.MULTILINE))
    assert shown and shown <= TARGETS


def test_daily_targets_are_in_the_readme() -> None:
    """Every target with a line in `make help` is in the README."""
    helped = set(re.findall(r"^([a-z-]+):.*##", MAKEFILE, re.MULTILINE)) - {"help", "lint", "clean"}
    assert {target for target in helped if f"make {target}" not in README} == set()


@pytest.mark.parametrize("name", sorted(cli.commands))
def test_commands_have_help_and_a_target(name: str) -> None:
    """Each command says what it does, explains each option, and has a make target."""
    command = cli.commands[name]
    assert command.help and command.help.strip().endswith(".")
    options = [option for option in command.params if isinstance(option, click.Option)]
    assert all(option.help for option in options)
    assert name in TARGETS or name == "completion"  # which is for those who leave make away


def test_exit_codes() -> None:
    """The README's table has exactly the codes of the vocabulary."""
    table = README.split("## Exit codes")[1].split("##")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)} == set(Exit)


def test_environment_variables() -> None:
    """README and code name the same variables, and make passes on those that it has a name for."""
    table = README.split("## Variables")[1].split("\n##")[0]
    rows = [line.split("|") for line in table.splitlines() if line.startswith("| `")]
    documented = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[1])}
    settings = re.search(r"^SETTINGS := (.*)$", MAKEFILE, re.MULTILINE)
    assert settings is not None
    assert {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[2])} == set(settings[1].split())
    source = Path(environment.__file__).read_text()
    read = set(re.findall(r'"((?:INGEST|[A-Z_]+_HOST)[A-Z_]*)"', source))
    assert documented == read | {"INGEST_GRAPH", "INGEST_WORKERS"}


def test_one_version() -> None:
    """The image's label and the newest entry of the changes have the version of shared/version.py."""
    dockerfile, changes = ((REPOSITORY / name).read_text() for name in ("Dockerfile", "CHANGELOG.md"))
    assert f'org.opencontainers.image.version="{VERSION}"' in dockerfile
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert newest is not None and newest[1] == VERSION


def test_links_lead_somewhere() -> None:
    """Relative links of the documents lead to files that exist."""
    others = [(REPOSITORY / name).read_text() for name in ("CONTRIBUTING.md", "CHANGELOG.md")]
    for text in (README, ARCHITECTURE, *others):
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert (REPOSITORY / target).exists(), target
    for path in re.findall(r"shared/[\w/]+\.py|tests/[\w/]+\.py", ARCHITECTURE):
        assert (REPOSITORY / path).exists(), path
