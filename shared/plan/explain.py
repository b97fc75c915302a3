"""Turns the errors of a pydantic model into problems that say what to type.

Invariants: one problem for each error, with the dotted key as the file spells it; a key that is not
known comes with the nearest one that is.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from shared.errors import Problem
from shared.plan.fields import REFUSED
from shared.plan.yaml_file import dotted

_SENTENCES = {
    "missing": "is missing; it has to be given",
    "int_type": "must be a whole number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "string_type": "must be text; put it in quotes if it looks like something else",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has characters that are not allowed here, or none at all",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "tuple_type": "must be a list of numbers",
    "too_long": "has more than {max_length} numbers",
    "model_type": "must be keys with values, indented below this one",
    "dict_type": "must be keys with values, indented below this one",
}
NEAR = 0.9
"""How like a section's name another one is that is taken for a typing error: one letter of ten or so."""
_TOO_SHORT = "has too few numbers"


def explain(error: ValidationError, file: str, model: type[BaseModel]) -> list[Problem]:
    """A problem for each of `error`'s parts; `model` is what was validated."""
    return [_problem(part, file, model) for part in error.errors(include_url=False)]


def misplaced(content: dict[str, Any], file: str, model: type[BaseModel]) -> list[Problem]:
    """A problem for each key at the left margin that is no section of a model, and was meant for something that is.

    Others are sections of other tools.
    """
    known = dict(known_keys(model))
    found = []
    for name, value in content.items():
        is_key = any(key.rpartition(".")[2] == name for key in known)
        sections = [key.upper() for key in known if "." not in key]
        near = difflib.get_close_matches(name.upper(), sections, n=1, cutoff=NEAR)
        if name not in known and (is_key or near):
            found.append(Problem(file, dotted("", name), value, _unknown((name,), known)))
    return found


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Each dotted key that a model knows, sections included, with the field's description."""
    for name, field in model.model_fields.items():
        key = dotted(prefix, field.alias or name)
        yield key, field.description or ""
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from known_keys(part, key)


def not_given(file: str, key: str, model: type[BaseModel]) -> Problem:
    """The problem of a key that has to be given, and is not."""
    return Problem(file, key, None, f"{_SENTENCES['missing']} ({dict(known_keys(model))[key]})")


def _problem(part: ErrorDetails, file: str, model: type[BaseModel]) -> Problem:
    known = dict(known_keys(model))
    loc = part["loc"]
    key = dotted("", *loc)
    if part["type"] == "extra_forbidden":
        return Problem(file, key, part["input"], _unknown(loc, known))
    if part["type"] == REFUSED:
        return Problem(file, key, part["input"], part["msg"])
    sentence = _SENTENCES.get(part["type"], part["msg"]).format(**part.get("ctx", {}))
    value: Any = part["input"]
    if part["type"] == "missing":
        if isinstance(loc[-1], int):  # a part of a list of fixed length
            key, sentence = dotted("", *loc[:-1]), _TOO_SHORT
        else:
            value = None
    field = dotted("", *(name for name in loc if isinstance(name, str)))
    return Problem(file, key, value, f"{sentence} ({known[field]})" if known.get(field) else sentence)


def _unknown(loc: tuple[int | str, ...], known: dict[str, str]) -> str:
    """What to say of a key that the model does not know."""
    section, name = dotted("", *loc[:-1]), str(loc[-1])
    for key in known:
        place, _, last = key.rpartition(".")
        if last == name:
            return f"does not belong here; move it {f'to {place}' if place else 'to the left margin'}"
    siblings = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == section}
    near = difflib.get_close_matches(name.upper(), [sibling.upper() for sibling in siblings], n=1)
    for sibling in siblings:
        if near == [sibling.upper()]:
            return f"is not known; did you mean {sibling}?"
    return f"is not known, so it would have no effect; remove it (known here: {', '.join(siblings)})"
