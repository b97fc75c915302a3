"""Completion by the shell: the script names the program, and the program answers what the script asks."""

from __future__ import annotations

import pytest
from click.shell_completion import get_completion_class
from click.testing import CliRunner

from jobs.cli import cli
from jobs.commands.completion import PROGRAM, VARIABLE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(shell: str) -> None:
    """What is printed is for that shell, asks by the variable that click looks for, and completes the program."""
    done = CliRunner().invoke(cli, ["completion", shell])
    assert done.exit_code == 0 and PROGRAM in done.output and f"{VARIABLE}={shell}_complete" in done.output


@pytest.mark.parametrize(
    ("before", "begun", "found"),
    [
        ([], "re", {"repair", "replay", "report", "reset", "resume"}),
        (["completion"], "b", {"bash"}),
        (["reset"], "--y", {"--yes"}),
    ],
)
def test_answers(before: list[str], begun: str, found: set[str]) -> None:
    """Commands, arguments and options are completed."""
    shell = get_completion_class("bash")
    assert shell is not None
    assert {item.value for item in shell(cli, {}, PROGRAM, VARIABLE).get_completions(before, begun)} == found
