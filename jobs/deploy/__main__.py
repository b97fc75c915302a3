"""One phase of a deployment: `python -m jobs.deploy -- -var project=p [-target=…]`, for `make deploy`.

Terraform plans and shows what it would do. A plan that would replace or destroy what holds data ends here (exit 2)
unless --replace says that it may. Then it is asked, and that very plan is applied. Exit 75 if that stopped
half-way: the same command goes on from there.
"""

from __future__ import annotations

from jobs import entry

with entry.importing(__name__):
    import json
    import os
    import shlex
    import subprocess
    import sys
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    import click

    from jobs.deploy import installation
    from jobs.deploy.plan_check import changes_anything, losses
    from jobs.paths import REPOSITORY
    from jobs.program import Program, ended
    from shared.classify import Classifier
    from shared.errors import StateError
    from shared.exit_codes import Exit

FOLDER = REPOSITORY / "terraform"


class Terraform:
    """The command that the variable TERRAFORM names, in a folder.

    It does not see that variable: a program in terraform's place may look at it too, and find itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._words = shlex.split(os.environ.get("TERRAFORM") or "terraform")
        self._environ = {name: value for name, value in os.environ.items() if name != "TERRAFORM"}

    def run(self, *arguments: str) -> bool:
        """Runs it before the user's eyes; whether it went well."""
        return self._call(arguments, None).returncode == 0

    def read(self, *arguments: str) -> str:
        """What it prints. StateError if it did not go well."""
        done = self._call(arguments, subprocess.PIPE)
        if done.returncode != 0:
            raise StateError(f"terraform {' '.join(arguments)} ended with {done.returncode}; nothing was changed")
        return done.stdout

    def _call(self, arguments: Sequence[str], output: int | None) -> subprocess.CompletedProcess[str]:
        command = [*self._words, *arguments]
        try:
            return subprocess.run(command, cwd=self._folder, env=self._environ, stdout=output, text=True)
        except OSError as error:
            raise StateError(f"{command[0]} cannot be run ({error}): install Terraform 1.6 or later") from error


def refusal(found: Sequence[object], moves: Sequence[str]) -> str:
    """What somebody reads whose plan would lose something."""
    lines = ["Refused, and nothing was changed: this plan would lose what cannot be made again.", *map(str, found)]
    if moves:
        lines.append(
            f"It would, because of what was said: {'; '.join(moves)}. terraform/{installation.FILE} remembers "
            "where this installation is, so leave that away. A second one needs a copy of this folder of its own."
        )
    return "\n  ".join(lines) + "\nIf all of that may go: the same command with REPLACE=1."


def phase(terraform: Terraform, folder: Path, arguments: Sequence[str], replace: bool, yes: bool) -> Exit:
    """Plans, checks, asks and applies. StateError if a plan cannot be had or understood."""
    file = str(folder.parent / "build" / "deploy.tfplan")
    Path(file).parent.mkdir(exist_ok=True)
    try:
        if not terraform.run("plan", "-input=false", f"-out={file}", *arguments):
            return Exit.REFUSED
        plan = _plan(terraform.read("show", "-json", file))
        now = installation.installation(plan)
        found = losses(plan)
        if found and not replace:
            click.echo(refusal(found, installation.moved(installation.read(folder), now)), err=True)
            return Exit.REFUSED
        if changes_anything(plan) and not yes and not _agreed(found):
            return Exit.REFUSED
        # Before it is applied: also what stops half-way is where it is.
        installation.write(folder, now)
        if not terraform.run("apply", "-input=false", file):
            click.echo("What was made stays. The same command goes on from there.", err=True)
            return Exit.TRY_AGAIN
        return Exit.OK
    finally:
        Path(file).unlink(missing_ok=True)


def _plan(text: str) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise StateError(f"terraform show -json printed no JSON ({error}); nothing was changed") from error
    return plan


def _agreed(found: Sequence[object]) -> bool:
    if not sys.stdin.isatty():
        click.echo("Nobody can be asked here: the same command with YES=1 does it. Nothing was changed.", err=True)
        return False
    for one in found:
        click.echo(str(one), err=True)
    return click.confirm("Do this?", err=True)


@click.command(cls=Program)
@click.option("--replace", is_flag=True, help="Allow a plan that replaces or destroys what holds data.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(replace: bool, yes: bool, arguments: tuple[str, ...]) -> None:
    """Plan, check, ask and apply; ARGUMENTS are those of terraform plan."""
    sys.exit(phase(Terraform(FOLDER), FOLDER, arguments, replace, yes))


if __name__ == "__main__":
    entry.leave(ended(lambda: main(standalone_mode=False), Classifier()))
