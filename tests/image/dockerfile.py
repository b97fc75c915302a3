"""The instructions of the Dockerfile, as tests need them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobs.paths import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """A keyword such as COPY, and what follows it, on one line."""

    keyword: str
    rest: str


def stages() -> list[list[Instruction]]:
    """The instructions of each stage; a stage begins with its FROM."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE)
    found: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line.strip():
            keyword, rest = line.split(maxsplit=1)
            if keyword == "FROM":
                found.append([])
            found[-1].append(Instruction(keyword, rest))
    return found


def last(keyword: str) -> str:
    """What the last stage says with a keyword, which it has once."""
    (rest,) = [instruction.rest for instruction in stages()[-1] if instruction.keyword == keyword]
    return rest
