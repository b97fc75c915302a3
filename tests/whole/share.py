"""Damaged tables, verified by both: whatever the oracle finds is found chunk by chunk, and nothing that is
right."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random

from tests.volumes import Volume, random_volume
from tests.whole.both import as_whole, built, by_chunks
from tests.whole.damage import Damager

SHAPES = [
    *((5, 3, 1), (1, 5, 3), (3, 1, 5), (1, 1, 1), (2, 1, 1), (9, 1, 1), (3, 3, 3), (2, 2, 7), (2, 2, 2), (4, 4, 1)),
]


@dataclass
class Share:
    """How many damaged tables were verified, by kind of damage; what only the chunks' verification found, what
    none did; and what went wrong, in words."""

    tables: Counter[str] = field(default_factory=Counter)
    more: Counter[str] = field(default_factory=Counter)
    neither: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def volume_of(rng: Random) -> Volume:
    """A random volume of a few chunks."""
    return random_volume(
        rng.randrange(1 << 30),
        rng.choice(SHAPES),
        size=rng.choice([1, 3, 5, 10]),
        density=rng.choice([0.1, 0.25, 0.6, 1.0]),
        schema=rng.choice([2, 3]),
        disagree=rng.choice([0.0, 0.1]),
    )


def verify_damaged(seed: int, damages: int, share: Share) -> None:
    """Builds one table, damages it so many times, each time once, and compares what both find."""
    rng = Random(seed)
    run = built(volume_of(rng))
    sound = as_whole(run), by_chunks(run)
    if any(found.violation_count for found in sound):
        share.wrong.append(f"seed {seed}: a false alarm in a table that is whole: {sound[1].violations[:3]}")
    table = Damager(run.record.plan, run.table._rows)
    for number in range(damages):
        name = table.damage(rng)
        if name and table.changed():
            share.tables[name] += 1
            try:
                expected = as_whole(run).violations[:3]
            except IndexError:
                # The oracle trips over some ids that it takes for children.
                expected = ["it cannot be read"]
            found = by_chunks(run).violation_count
            if expected and not found:
                share.wrong.append(f"seed {seed}, damage {number} ({name}) is missed: {expected}")
            share.more[name] += bool(found and not expected)
            share.neither[name] += bool(not found and not expected)
        table.undo()
