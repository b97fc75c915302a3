"""Counts for the reports, as hand-offs carry them upward: what a chunk and all below it come to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Totals = dict[int, dict[str, int]]
"""For each layer, named counts summed over all chunks at and below the hand-off's own."""


def add_totals(parts: list[Totals]) -> Totals:
    """The sum of counts, layer by layer and name by name."""
    result: Totals = {}
    for part in parts:
        for layer, counts in part.items():
            into = result.setdefault(layer, {})
            for name, count in counts.items():
                into[name] = into.get(name, 0) + count
    return result


def checked_totals(found: Any) -> Totals:
    """What JSON has of totals; ValueError, TypeError or AttributeError if these are none."""
    check_counts([count for _, of_layer in found.items() for count in of_layer.values()])
    return {_layer(layer): of_layer for layer, of_layer in found.items()}


def check_counts(values: Iterable[Any]) -> None:
    """ValueError unless all are numbers from 0 that fit 64 bits; bool and float are none."""
    for value in values:
        if type(value) is not int or not 0 <= value < 1 << 64:
            raise ValueError(f"{value!r:.100} is no count")


def _layer(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or text[0] == "0":
        raise ValueError(f"{text!r:.100} is no layer")
    return int(text)
