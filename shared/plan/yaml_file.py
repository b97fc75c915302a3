"""Reads a YAML file to plain values: mappings with text keys, lists, text, numbers, true, false, null.

Invariants: whatever the file contains, the answer is values that JSON can hold too, and a list of
problems; a key that stands twice, which YAML readers let pass silently, is one of them. Dates stay
text, and keys are the text that was written (so the key 2 is "2").
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from shared.errors import Problem

WHOLE_FILE = "(file)"
"""The key of problems that concern no single key."""

_TAG = "tag:yaml.org,2002:"
_TYPED = {_TAG + name for name in ("null", "bool", "int", "float", "str")}
_TEXT = {_TAG + name for name in ("timestamp", "value")}
_LARGEST = 1 << 64
"""Labels of a volume may be as large as 64 bits can be without a sign."""


def read_yaml(path: Path) -> tuple[Any, list[Problem]]:
    """The file's content and what is wrong with it; with problems the content may have gaps."""
    try:
        loader = yaml.SafeLoader(path.read_bytes())
        node = loader.get_single_node()
        reader = _Reader(str(path), loader)
        return reader.read(node, "", ()) if node is not None else None, reader.problems
    except FileNotFoundError:
        return None, [Problem(str(path), WHOLE_FILE, None, "does not exist; check the path")]
    except yaml.YAMLError as error:
        return None, [_syntax_problem(path, error)]
    except (OSError, ValueError) as error:
        return None, [Problem(str(path), WHOLE_FILE, None, f"cannot be read ({error})")]
    except RecursionError:
        return None, [Problem(str(path), WHOLE_FILE, None, "is nested too deeply to be a configuration")]


def dotted(section: str, *names: object) -> str:
    """A key as problems name it: the section's key ("" for the whole file) and the names below it."""
    return ".".join([*([section] if section else []), *(str(name) or "''" for name in names)])


def _syntax_problem(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    key = f"line {mark.line + 1}, column {mark.column + 1}" if mark else WHOLE_FILE
    reason = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    return Problem(str(path), key, None, f"is no valid YAML ({reason}); nothing of the file was read")


class _Reader:
    """Turns YAML nodes into values and collects what is wrong with them."""

    def __init__(self, where: str, loader: yaml.SafeLoader) -> None:
        self.problems: list[Problem] = []
        self._where = where
        self._loader = loader

    def read(self, node: yaml.Node, key: str, outer: tuple[yaml.Node, ...]) -> Any:
        """The value of `node`, which stands under the dotted `key` inside the nodes `outer`."""
        if node in outer:
            return self._refuse(node, key, "contains itself by an alias (*); write the value out")
        inner = (*outer, node)
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, key, inner)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self.read(item, dotted(key, at), inner) for at, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.tag in _TYPED | _TEXT:
            return self._scalar(node, key)
        tag = node.tag.replace(_TAG, "!!")
        return self._refuse(node, key, f"has the tag {tag}; write a plain value without a tag")

    def _mapping(self, node: yaml.MappingNode, key: str, inner: tuple[yaml.Node, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                self._refuse(name, key, "has a list or a mapping as a key; keys are names")
            elif name.tag == _TAG + "merge":
                self._refuse(name, dotted(key, "<<"), "merging mappings is not supported; write the keys out")
            elif name.value in found:
                twice = f"stands twice (lines {lines[name.value]} and {name.start_mark.line + 1})"
                self._refuse(value, dotted(key, name.value), f"{twice}; remove one, as only one can count")
            else:
                lines[name.value] = name.start_mark.line + 1
                found[name.value] = self.read(value, dotted(key, name.value), inner)
        return found

    def _scalar(self, node: yaml.ScalarNode, key: str) -> Any:
        text: str = node.value
        if node.tag in _TEXT:
            return text
        try:
            value = self._loader.construct_object(node)
        except (ValueError, LookupError, yaml.YAMLError):
            return self._refuse(node, key, "looks like a number but is none; put it in quotes if it is text")
        if isinstance(value, str) and not value.isascii() and not _is_unicode(value):
            return self._refuse(node, key, "holds half of a Unicode pair; write the character itself")
        if isinstance(value, int) and abs(value) >= _LARGEST:
            return self._refuse(node, key, "is a number that does not fit in 64 bits")
        if isinstance(value, float) and not math.isfinite(value):
            return self._refuse(node, key, "must be a finite number")
        return value

    def _refuse(self, node: yaml.Node, key: str, consequence: str) -> None:
        value = node.value if isinstance(node, yaml.ScalarNode) and node.tag != _TAG + "merge" else None
        self.problems.append(Problem(self._where, key or WHOLE_FILE, value, consequence))


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
