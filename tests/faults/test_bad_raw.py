"""Damage of every kind to raw agglomeration output: a typed error that names shard and chunk, or the right table.

As in test_bad_input: what breaks a rule must be refused, what is whole must be built as the oracle builds it, and
a hang, a huge allocation and any other exception count as failures. Files are written only of what was right:
what a run wrote gives its table again.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from random import Random

import pytest

from jobs.example.shards import RawFiles
from shared.run.done import is_finished
from tests.faults.disturbed import RawTable
from tests.faults.facts import Facts, Invalid
from tests.faults.guard import bounded
from tests.faults.raw_damage import Replaced, facts_of_raw, forged_damage, record_damage, shard_damage
from tests.faults.test_bad_input import MEGABYTES, SECONDS, TYPED, complain
from tests.oracle import Oracle
from tests.raw_runs import RawRun, agreeing_volume, processed_run
from tests.raw_shards import raw_of_volume
from tests.volumes import Volume

ROUNDS = range(3)


@cache
def volume_of(number: int) -> Volume:
    """A small volume, another for each round."""
    shape = (3, 2, 1) if number % 2 == 0 else (2, 2, 2)
    return agreeing_volume((6, 1, 4)[number], shape)


@cache
def raw_of(number: int) -> RawFiles:
    """Its raw output, in each of the data versions."""
    return raw_of_volume(volume_of(number), version=(2, 3, 4)[number], seed=number)


@cache
def undisturbed(number: int) -> RawTable:
    """The table of the output as it was."""
    run = RawRun.of_raw(volume_of(number), raw_of(number)).begin()
    run.work()
    return run.raw_table()


def bytes_of(number: int) -> list[tuple[str, Replaced]]:
    """Shards with other bytes."""
    rng = Random(number)
    return [*shard_damage(raw_of(number), rng), *forged_damage(raw_of(number), rng)]


def records_of(number: int) -> list[tuple[str, RawFiles]]:
    """Shards with other records."""
    return list(record_damage(raw_of(number), Random(number)))


def test_there_are_enough_cases() -> None:
    """At least five hundred cases, of at least a hundred kinds."""
    kinds: Counter[str] = Counter()
    for number in ROUNDS:
        kinds.update(kind for kind, _ in [*bytes_of(number), *records_of(number)])
    print(*(f"{count:5} {kind}" for kind, count in sorted(kinds.items())), kinds.total(), sep="\n")
    assert kinds.total() >= 500 and len(kinds) >= 100


@pytest.mark.parametrize("number", ROUNDS)
def test_the_rules_of_the_format_say_the_same(number: int) -> None:
    """The judge's reading of the output as it was gives the table that is built."""
    run = RawRun.of_raw(volume_of(number), raw_of(number)).begin()
    run.work()
    assert compared(run, facts_of_raw(raw_of(number))) is None


@pytest.mark.parametrize("number", ROUNDS)
def test_other_bytes(number: int) -> None:
    """A shard with other bytes is refused by name, unless they are where nothing is read."""
    complain([(kind, judge_bytes(number, replaced)) for kind, replaced in bytes_of(number)])


@pytest.mark.parametrize("number", ROUNDS)
def test_other_records(number: int) -> None:
    """Records that cannot be are refused by name; others give the table of what they say."""
    complain([(kind, judge_records(number, raw)) for kind, raw in records_of(number)])


def built(run: RawRun) -> tuple[RawRun, str | None]:
    """Builds what can be built; what is wrong with its failures."""
    run.begin()
    with bounded(SECONDS, MEGABYTES):
        run.work()
    for failure in run.completion.failures():
        if not failure.dead or failure.error not in TYPED:
            return run, f"{failure.error} at {failure.chunk}: {failure.message}\n{failure.traceback}"
        if ".data" not in failure.message or str(failure.chunk) not in failure.message:
            return run, f"it does not name shard and chunk: {failure.message}"
    if run.completion.failures():
        return run, "files are noted as there" if run.notes() != [False, False] else None
    if not is_finished(run.record, run.completion):
        return run, "nothing failed, and the run is not done"
    if processed_run(run).raw_table() != run.raw_table():
        return run, "what was written gives another table"
    return run, None


def judge_bytes(number: int, replaced: Replaced) -> str | None:
    """Builds from output one of whose shards is replaced; what is wrong with the outcome."""
    run = RawRun.of_raw(volume_of(number), raw_of(number))
    run.replaced = replaced
    run, complaint = built(run)
    if complaint or run.completion.failures():
        named = all(next(iter(replaced)) in failure.message for failure in run.completion.failures())
        return complaint or (None if named else "it names another shard")
    return None if run.raw_table() == undisturbed(number) else "taken, and another table"


def judge_records(number: int, raw: RawFiles) -> str | None:
    """Builds from output with other records; what is wrong with the outcome."""
    run, complaint = built(RawRun.of_raw(volume_of(number), raw))
    try:
        facts: Facts | None = facts_of_raw(raw)
    except Invalid:
        facts = None
    if complaint:
        return complaint
    failures = run.completion.failures()
    if failures:
        # Areas that come near to what 64 bits hold may be refused, and those beyond it must be.
        whole = facts is not None and not all("the areas of its records" in one.message for one in failures)
        return f"refused, though nothing is wrong: {failures[0].message}" if whole else None
    return "taken, though it breaks a rule" if facts is None else compared(run, facts)


def compared(run: RawRun, facts: Facts) -> str | None:
    """What is wrong with a table, by what the output says."""
    assert facts.agree
    wanted, found = Oracle(run.record.plan, facts.supervoxels, facts.active).table(), run.decoded_table()
    rows = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
    return f"another table: {rows[0]} is {found.get(rows[0])}, not {wanted.get(rows[0])}" if rows else None
