"""Damage of every kind to everything that is read: a typed error that names file and chunk, or the right table.

The judge is strict both ways. What breaks a rule of the format must be refused, and what is whole must be
built as the oracle builds it; where two files contradict each other, that is found while building. A
hang, a huge allocation and any other exception count as failures.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from jobs.paths import REPOSITORY
from shared.errors import DataError
from shared.memory.storage import MemoryStorage
from shared.operate.queueing import resume
from shared.plan.grid import Chunk
from shared.run.done import is_finished
from shared.run.record import RunRecord
from tests.faults.damage import (
    Damage,
    HandOffFile,
    component_damage,
    edge_damage,
    handoff_damage,
    handoff_forgery,
    message_damage,
    record_damage,
)
from tests.faults.disturbed import RawTable
from tests.faults.facts import Facts, Invalid, facts_of
from tests.faults.guard import bounded
from tests.harness import MemoryRun
from tests.oracle import Oracle
from tests.volumes import Volume, random_volume

SECONDS, MEGABYTES = 60.0, 400
"""What one damaged thing may take; whole ones take milliseconds and next to nothing."""

ROUNDS = range(3)
CONTRADICTION = re.compile(r"edge files (of|below) \d/\d_\d_\d and \d/\d_\d_\d: chunk \d/\d_\d_\d: ")
TYPED = {"DataError", "RangeOverflow"}


@cache
def volume_of(number: int) -> Volume:
    """A small volume of three or four layers, another for each round."""
    shape, schema = ((3, 2, 1), 2) if number % 2 == 0 else ((2, 2, 2), 3)
    return random_volume(40 + number, shape, size=6, density=0.7, schema=schema)


@cache
def undisturbed(number: int) -> RawTable:
    """What the whole files of a volume come to."""
    return MemoryRun.of(volume_of(number)).start().work().raw_table()


@cache
def handoffs(number: int) -> dict[str, bytes]:
    """All hand-offs of a volume by name."""
    scratch = MemoryRun.of(volume_of(number)).start().work().scratch
    return {name: data for name, data in scratch.get(sorted(scratch.list("run/"))).items() if data}


def input_cases(number: int) -> list[Damage]:
    """Damage to the input files of one round."""
    volume, rng = volume_of(number), Random(number)
    return [*edge_damage(volume, rng), *component_damage(volume, rng)]


def message_cases(number: int) -> list[tuple[str, bytes]]:
    """Damage to a message of one round."""
    record = MemoryRun.of(volume_of(number)).record
    return list(message_damage(record.message(Chunk(2, 1, 1, 0)), Random(number)))


def handoff_cases(number: int) -> Iterator[tuple[str, str, bytes]]:
    """Damage to a hand-off of layer 2 and to one above it: the name, the kind, the bytes."""
    whole = handoffs(number)
    for name in _some_handoffs(number):
        others = [data for other, data in whole.items() if other != name]
        for kind, data in handoff_damage(whole[name], others, Random(number)):
            yield name, kind, data


def forged_cases(number: int, nodes: bool) -> Iterator[tuple[str, str, bytes]]:
    """Forged columns of the same hand-offs: the nodes, or all others."""
    for name in _some_handoffs(number):
        for kind, data in handoff_forgery(handoffs(number)[name], Random(number)):
            if nodes == kind.startswith("nodes"):
                yield name, kind, data


def _some_handoffs(number: int) -> list[str]:
    """The names of the hand-offs with most faces, of layer 2 and of layer 3 where edges leave there."""
    whole = handoffs(number)
    faces = {name: HandOffFile(data).faces for name, data in whole.items()}
    layers = [[name for name in whole if f"/layer{layer}/" in name and faces[name]] for layer in (2, 3)]
    return [max(names, key=faces.__getitem__) for names in layers if names]


def record_cases(number: int) -> list[tuple[str, bytes]]:
    """Damage to a run record of one round."""
    return list(record_damage(MemoryRun.of(volume_of(number)).record.encode(), Random(number)))


def test_there_are_enough_cases() -> None:
    """At least a thousand cases, of at least a hundred kinds."""
    kinds: Counter[str] = Counter()
    for number in ROUNDS:
        kinds.update(case.kind for case in input_cases(number))
        kinds.update(f"messages: {kind}" for kind, _ in message_cases(number))
        kinds.update(f"hand-offs: {kind}" for _, kind, _ in handoff_cases(number))
        kinds.update(f"forged hand-offs: {kind}" for _, kind, _ in forged_cases(number, nodes=False))
        kinds.update(f"run records: {kind}" for kind, _ in record_cases(number))
    print(*(f"{count:5} {kind}" for kind, count in sorted(kinds.items())), kinds.total(), sep="\n")
    assert kinds.total() >= 1000 and len(kinds) >= 100


@pytest.mark.parametrize("number", ROUNDS)
def test_input_files(number: int) -> None:
    """A damaged edge or component file ends in an error with its name, or in the table of what it says now."""
    complain([(case.kind, judge_input(volume_of(number), case)) for case in input_cases(number)])


@pytest.mark.parametrize("number", ROUNDS)
def test_messages(number: int) -> None:
    """What is no message ends in the dead letters with the reason, and nothing else comes of it."""
    complain([(kind, judge_message(number, data)) for kind, data in message_cases(number)])


@pytest.mark.parametrize("number", ROUNDS)
def test_handoffs(number: int) -> None:
    """A damaged hand-off ends in an error with its name; built again by the chunk's message, the run completes."""
    complain([(kind, judge_handoff(number, name, data)) for name, kind, data in handoff_cases(number)])


@pytest.mark.parametrize("number", ROUNDS)
def test_forged_handoffs(number: int) -> None:
    """A hand-off with fitting checksums and impossible edges is refused, or contradicts its neighbour."""
    cases = forged_cases(number, nodes=False)
    complain([(kind, judge_handoff(number, name, data, forged=True)) for name, kind, data in cases])


def test_forged_nodes() -> None:
    """A hand-off with fitting checksums whose nodes are unsorted or of other chunks is refused."""
    cases = [(number, *case) for number in ROUNDS for case in forged_cases(number, nodes=True)]
    complain([(kind, judge_handoff(number, name, data, forged=True)) for number, name, kind, data in cases])


@pytest.mark.parametrize("number", ROUNDS)
def test_run_records(number: int) -> None:
    """A damaged run record is refused with its name, unless every field still is what it may be."""
    complain([(kind, judge_record(data)) for kind, data in record_cases(number)])


def complain(judged: Sequence[tuple[str, str | None]]) -> None:
    """Fails with all complaints at once."""
    bad = [f"{kind}: {complaint}" for kind, complaint in judged if complaint]
    assert not bad, f"{len(bad)} of {len(judged)}:\n" + "\n".join(bad)


def judge_input(volume: Volume, damage: Damage) -> str | None:
    """Builds a volume some of whose files are replaced; what is wrong with the outcome."""
    harmed = replace(
        volume,
        edges=_replaced(volume.edges, "edges_", damage.files),
        components=_replaced(volume.components, "components_", damage.files),
    )
    run = MemoryRun.of(harmed).start()
    with bounded(SECONDS, MEGABYTES):
        run.work()
    try:
        facts: Facts | None = facts_of(harmed)
    except Invalid:
        facts = None
    failures = run.completion.failures()
    for failure in failures:
        named = any(name in failure.message for name in damage.files) and str(failure.chunk) in failure.message
        if not failure.dead or failure.error not in TYPED:
            return f"{failure.error} at {failure.chunk}: {failure.message}\n{failure.traceback}"
        if not named and not CONTRADICTION.match(failure.message):
            return f"it does not name file and chunk: {failure.message}"
    if failures:
        whole = facts is not None and facts.agree
        return f"refused, though nothing is wrong: {failures[0].message}" if whole else None
    if facts is None:
        return "taken, though it breaks a rule"
    if not is_finished(run.record, run.completion):
        return "nothing failed, and the run is not done"
    return _compare_with_oracle(run, facts)


def _replaced(files: dict[str, bytes], prefix: str, by: dict[str, bytes | None]) -> dict[str, bytes]:
    changed = files | {name: data for name, data in by.items() if name.startswith(prefix)}
    return {name: data for name, data in changed.items() if data is not None}


def _compare_with_oracle(run: MemoryRun, facts: Facts) -> str | None:
    if not facts.agree:
        return "taken, though an active edge stands in one of two files alone"
    wanted = Oracle(run.record.plan, facts.supervoxels, facts.active).table()
    found = run.decoded_table()
    if found == wanted:
        return None
    rows = sorted(key for key in {*wanted, *found} if wanted.get(key) != found.get(key))
    return f"another table: {rows[0]} is {found.get(rows[0])} and should be {wanted.get(rows[0])}"


def judge_message(number: int, data: bytes) -> str | None:
    """Puts a message among those of a run; what is wrong with the outcome."""
    run = MemoryRun.of(volume_of(number)).start()
    run.broker.open([]).publish(2, [data])
    with bounded(SECONDS, MEGABYTES):
        run.work()
    letters = [(letter, attributes["error"]) for letter, attributes in run.broker.dead]
    if letters != ([] if _is_message(data) else [(data, "MessageError")]):
        return f"dead letters {letters}"
    if run.completion.failures():
        return f"failures {run.completion.failures()}"
    if set(run.scratch.list("")) != {*handoffs(number), "run.json"}:
        return f"objects {sorted(run.scratch.list(''))}"
    return None if run.raw_table() == undisturbed(number) else "another table"


def _is_message(data: bytes) -> bool:
    """Whether the bytes are a message by the rules: two names, four numbers, and perhaps `force`."""
    try:
        fields = json.loads(data) if len(data) <= 1024 else None
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, dict) or fields.pop("force", True) is not True:
        return False
    if sorted(fields) != ["graph", "layer", "run", "x", "y", "z"]:
        return False
    names = all(isinstance(fields[key], str) and _name(fields[key]) for key in ("graph", "run"))
    numbers = [fields[key] for key in ("layer", "x", "y", "z")]
    return names and all(type(number) is int and 0 <= number < 1 << 31 for number in numbers)


def _name(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,62}", text, re.ASCII) is not None


class Harmed(MemoryStorage):
    """A storage in which one object turns into something else when it is written."""

    def __init__(self, name: str, data: bytes) -> None:
        super().__init__("scratch")
        self.harm = {name: data}

    def put(self, name: str, data: bytes) -> None:
        """Writes an object, or what it is turned into."""
        super().put(name, self.harm.get(name, data))


def judge_handoff(number: int, name: str, data: bytes, forged: bool = False) -> str | None:
    """Builds a volume of which one hand-off is damaged, then builds that one again; what is wrong."""
    storage = Harmed(name, data)
    run = MemoryRun.of(volume_of(number))
    run.scratch = storage
    run.start()
    with bounded(SECONDS, MEGABYTES):
        run.work()
    chunk = run.record.handoff_chunk(name)
    for failure in run.completion.failures():
        if not failure.dead or failure.error not in TYPED:
            return f"{failure.error} at {failure.chunk}: {failure.message}\n{failure.traceback}"
        named = f"scratch/{name}" in failure.message or (forged and CONTRADICTION.match(failure.message))
        if not named or str(chunk) not in failure.message:
            return f"it does not name file and chunk: {failure.message}"
        if failure.chunk not in run.record.plan.dependents(chunk):
            return f"{failure.chunk} fails, which does not read the hand-off of {chunk}"
    if not run.completion.failures():
        return None if run.raw_table() == undisturbed(number) else "another table, and no error"
    storage.harm = {}
    run.broker.open([]).publish(chunk.layer, [run.record.message(chunk)])
    with bounded(SECONDS, MEGABYTES):
        run.work()
        resume(run.record, run.scratch, run.completion, run.broker.open([]))
        run.work()
    return None if run.raw_table() == undisturbed(number) else "another table after the chunk was built again"


def judge_record(data: bytes) -> str | None:
    """Decodes a run record; what is wrong with the outcome."""
    try:
        with bounded(SECONDS, MEGABYTES):
            record = RunRecord.decode(data, "gs://b/run.json")
            assert record.plan.top in record.plan
    except DataError as error:
        return None if "gs://b/run.json" in str(error) else f"it does not name the file: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    good = {
        "names": all(map(_name, (record.graph, record.run))),
        "table": bool(re.fullmatch(r"[_a-zA-Z0-9][-_.a-zA-Z0-9]{0,49}", record.table, re.ASCII)),
        "folders": all(isinstance(folder, str) and folder for folder in (record.edges, record.components)),
        "instance": record.instance is None or isinstance(record.instance, str),
        "time": type(record.timestamp_ms) is int and 0 < record.timestamp_ms * 1000 < 1 << 63,
        "shape": len(record.shape) == 3 and all(type(side) is int and 0 < side <= 1 << 18 for side in record.shape),
        "bits": record.layer_id_bits == 8 and type(record.spatial_bits) is int and 1 <= record.spatial_bits <= 18,
        "schema": type(record.schema) is int and record.schema in (2, 3),
        "flags": isinstance(record.test, bool) and isinstance(record.auto_queue_parents, bool),
        "dataset": isinstance(record.dataset, dict),
    }
    wrong = [name for name, is_good in good.items() if not is_good]
    return f"taken with wrong {wrong}: {record}" if wrong else None


def test_harmless_numbers() -> None:
    """Affinities that are no numbers and absurd areas change nothing, to the byte."""
    seen = 0
    for case in input_cases(0):
        if case.kind in ("edges: affinities that are no numbers", "edges: absurd areas"):
            volume = volume_of(0)
            run = MemoryRun.of(replace(volume, edges=_replaced(volume.edges, "edges_", case.files))).start().work()
            assert run.raw_table() == undisturbed(0)
            seen += 1
    assert seen >= 7


BOMBS = {
    "claims 2^62 bytes": "zstd(b'', claim=1 << 62)",
    "claims all that is allowed": "zstd(b'', claim=4 << 30)",
    "256 MB of zeros": "zeros(256 << 20)",
    "256 MB of zeros that it does not tell": "zeros(256 << 20, tell=False)",
    "256 MB of ids": "zeros(256 << 20, start=b'\\x0a\\xff\\xff\\xff\\x7f\\x0a\\xf8\\xff\\xff\\x7f')",
}
BOMB = """
import resource, struct, sys, zstandard
from shared.errors import DataError
from shared.inputs.edges import decode_edges
from shared.plan.grid import Chunk

def zstd(data, claim):
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(data)
    return frame[:4] + b"\\xc0" + frame[5:6] + struct.pack("<Q", claim) + frame[6:]

def zeros(size, tell=True, start=b""):
    compressor = zstandard.ZstdCompressor(level=3, write_content_size=tell)
    frame = compressor.compressobj(size=size if tell else -1)
    block = bytes(1 << 20)
    parts = [frame.compress(start + block[len(start):])] + [frame.compress(block) for _ in range((size >> 20) - 1)]
    return b"".join(parts) + frame.flush()

data = {bomb}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    decode_edges(data, "edges_0_0_0.proto.zst", Chunk(2, 0, 0, 0))
    print("taken")
except DataError as error:
    print("refused", "edges_0_0_0.proto.zst" in str(error) and "2/0_0_0" in str(error))
print(len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before >> 10)
"""


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_bombs(bomb: str) -> None:
    """A few kilobytes that claim or hold hundreds of megabytes are refused, and never held in memory."""
    script = textwrap.dedent(BOMB).replace("{bomb}", bomb)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=600, check=True
    )
    verdict, sizes = done.stdout.splitlines()
    size, grown = map(int, sizes.split())
    assert size < 100_000
    assert verdict == "refused True" and grown < 64, f"{grown} MB for {size} bytes"
