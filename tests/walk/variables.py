"""Terraform's variables as it reads them: what is declared, what files and the command line say, who comes first.

Of HCL just what the settings here are written in; anything else is refused.
"""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.walk.world import refuse

DECLARED = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
CHECKS: dict[str, Any] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: type(value) in (int, float),
    "bool": lambda value: isinstance(value, bool),
    "set(string)": lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
    "map(number)": lambda value: (
        isinstance(value, dict) and all(type(one) in (int, float) for one in value.values())
    ),
}


def declared(folder: Path) -> dict[str, tuple[str, Any]]:
    """Each variable's type and default; a type of several lines is told by its first, a default as None."""
    found = {}
    for file in sorted(folder.glob("*.tf")):
        for name, body in DECLARED.findall(file.read_text()):
            kind = re.search(r"^  type +?= (.+)$", body, re.MULTILINE)
            default = re.search(r"^  default += ([^#\n]+)", body, re.MULTILINE)
            found[name] = (kind[1] if kind else "any", _value(default[1]) if default else None)
    return found


def settings(text: str) -> dict[str, Any]:
    """A file of settings, each on a line of its own."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            name, equals, value = line.partition("=")
            if not equals:
                refuse(f"terraform.tfvars: what is {line}?")
            found[name.strip()] = _value(value)
    return found


def _value(text: str) -> Any:
    """A value of HCL on one line."""
    try:
        return json.loads(re.sub(r'("?[\w]+"?) = ', lambda match: f'"{match[1].strip(chr(34))}": ', text.strip()))
    except ValueError:
        return None


def given(folder: Path, arguments: list[str]) -> dict[str, Any]:
    """All variables: defaults, terraform.tfvars, *.auto.tfvars.json by name, -var; declared, and of their types."""
    known = declared(folder)
    values = {name: default for name, (_, default) in known.items()}
    said: list[tuple[str, dict[str, Any]]] = []
    plain = folder / "terraform.tfvars"
    if plain.exists():
        said.append((plain.name, settings(plain.read_text())))
    said += [(file.name, json.loads(file.read_text())) for file in sorted(folder.glob("*.auto.tfvars.json"))]
    command = [word.partition("=") for before, word in pairwise(arguments) if before == "-var"]
    said.append(("-var", {name: value for name, _, value in command}))
    for where, found in said:
        for name, value in found.items():
            if name not in known:
                refuse(f"{where}: {name} is not declared")
            if not CHECKS.get(known[name][0], lambda value: True)(value):
                refuse(f"{where}: {name} = {value!r} is no {known[name][0]}")
        values |= found
    return values
