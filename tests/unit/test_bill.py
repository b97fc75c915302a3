"""A bill is quantities times prices: by hand, with nothing, with more; and the table of prices is checked."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.errors import ConfigError
from shared.estimate.bill import Bill, bill, node_hours, waiting_usd
from shared.estimate.needs import LayerNeeds, needs
from shared.estimate.operations import Operations, operations
from shared.estimate.prices import Prices, load_prices
from shared.estimate.schedule import Stage, schedule
from shared.plan.explain import known_keys
from tests.prices import prices
from tests.unit.test_needs import described

PRICES = Path(__file__).resolve().parents[2] / "configs" / "prices.yml"

NEEDS = LayerNeeds(
    layer=2,
    chunks=100,
    cpu_seconds=0,
    wait_seconds=0,
    memory_gib=1,
    rows=0,
    row_bytes=4 * 2**30,
    handoff_bytes=2**30,
)
STAGE = Stage(layer=2, cpu=2, at_once=1, memory_gib=5, fits=True, tasks=4, fleet=4, hours=0.5, nodes=3)
COUNTS = Operations(
    messages=11, publishes=2, bulk_messages=10, record_reads=20, record_writes=30, records=2**10, reads_a_look=6,
    input_gets=40, handoff_gets=50, puts=60,
)  # fmt: skip


def test_lines_by_hand() -> None:
    """Every line of a small bill, with prices of 1 or so for each unit."""
    found = bill([NEEDS], [STAGE], COUNTS, prices())
    lines = {(line.service, line.what): line.usd for line in found.lines}
    assert lines == {
        ("Cloud Run", "CPU"): pytest.approx(4 * 2 * 1_800 * 0.5),
        ("Cloud Run", "memory"): pytest.approx(4 * 5 * 1_800 * 0.25),
        # Ten messages in one request, one in another, eleven pulls.
        ("Pub/Sub", "messages"): pytest.approx(10 * 256 + 1_000 + 11_000),
        ("Firestore", "records read"): 20,
        ("Firestore", "progress looked at"): 30 * 6,
        ("Firestore", "records written"): 300,
        ("Firestore", "records reset"): 102_400,
        ("Firestore", "records, 1 month"): pytest.approx(1_024 * 1_800),
        # Half an hour is charged as one.
        ("Bigtable", "nodes"): 3 * 3,
        ("Bigtable", "table, 1 month"): pytest.approx(4 * 2**30),
        ("Cloud Storage", "files written"): 60 * 7,
        ("Cloud Storage", "files read"): 90 * 5,
        ("Cloud Storage", "hand-offs, 1.5 months"): pytest.approx(1.5 * 2**30),
    }
    assert found.total == pytest.approx(sum(lines.values()))


def test_nothing_costs_nothing() -> None:
    """Without layers and operations every line is there and 0."""
    found = bill([], [], Operations(), prices())
    assert len(found.lines) == 13
    assert [line.usd for line in found.lines] == [0] * 13
    assert found.total == 0
    assert Bill(()).total == 0


def test_nodes_are_charged_for_an_hour_at_least() -> None:
    """Each node that ever runs is charged for an hour; longer runs by what each layer has."""
    longer = Stage(layer=2, cpu=1, at_once=1, memory_gib=1, fits=True, tasks=1, fleet=1, hours=10, nodes=2)
    assert node_hours([STAGE]) == 3
    assert node_hours([STAGE, longer]) == 3 * 0.5 + 2 * 10
    assert node_hours([]) == 0


def test_tasks_that_wait_for_the_table_by_hand() -> None:
    """Six more tasks of 2 CPUs and 5 GiB for half an hour; nothing where the fleet is as large as is useful."""
    assert waiting_usd([replace(STAGE, fleet=10)], prices()) == pytest.approx(6 * 1_800 * (2 * 0.5 + 5 * 0.25))
    assert waiting_usd([STAGE], prices()) == 0


@pytest.mark.parametrize("side", [1, 2, 5, 20, 100])
def test_the_bill_grows_with_the_chunks(side: int) -> None:
    """A volume with another slab of chunks costs more, and no line of it less."""
    bills = []
    for count in (side, side + 1):
        _, report = described(512 * side, 512 * side, 128 * count, chunk=(512, 512, 128))
        found = needs(report)
        bills.append(bill(found, schedule(found), operations(report), load_prices(PRICES)))
    before, after = bills
    assert after.total > before.total
    assert all(one.quantity <= other.quantity for one, other in zip(before.lines, after.lines, strict=True))


def test_rows_for_people() -> None:
    """A line has quantity, unit, price and dollars; tiny prices keep their digits."""
    table = bill([NEEDS], [STAGE], COUNTS, load_prices(PRICES)).as_rows()
    assert table[0] == ("service", "what", "how much", "unit", "$ a unit", "$")
    assert ("Cloud Run", "CPU", "14,400", "vCPU-seconds", "0.000018", "0.26") in table
    assert ("Firestore", "records read", "20", "reads", "0.0000003", "0.00") in table
    assert ("Bigtable", "nodes", "3", "node-hours", "0.65", "1.95") in table
    assert table[-1][0] == "total"


def test_the_table_of_this_repository() -> None:
    """It can be read, every price is above 0, and says which page it is from and when."""
    table = load_prices(PRICES)
    assert table.region == "us-east1"
    assert all(line.price.usd > 0 for line in bill([NEEDS], [STAGE], COUNTS, table).lines)
    oldest, newest = table.dates()
    assert "2026" <= oldest <= newest
    assert prices().dates() == ("2025-12-31", "2026-02")


def test_every_price_is_documented() -> None:
    """The table of configs/README.md has each key of the table of prices."""
    section = (PRICES.parent / "README.md").read_text().split("## `prices.yml`")[1]
    documented = set[str]()
    for row in re.findall(r"^\| (`.*?`) \|", section, re.MULTILINE):
        first, *others = re.findall(r"`([\w.]+)`", row)
        documented |= {first, *(first.split(".")[0] + other for other in others)}
    assert "`region`" in section
    assert documented == {key for key, _ in known_keys(Prices) if key.count(".") == 1}


def damaged(tmp_path: Path, section: str, name: str, value: Any) -> Path:
    """The table with another value in one place; None takes the key out."""
    content = yaml.safe_load(PRICES.read_text())
    content["region"] = str(content["region"])
    for prices_of in content.values():
        for price in prices_of.values() if isinstance(prices_of, dict) else ():
            if isinstance(price, dict):
                price["date"] = str(price["date"])
    place = content[section] if section else content
    if value is None:
        del place[name]
    else:
        place[name] = value
    file = tmp_path / "prices.yml"
    file.write_text(yaml.safe_dump(content))
    return file


GOOD = {"usd": 1.5, "title": "t", "page": "https://example.org", "date": "2026-01"}


@pytest.mark.parametrize(
    ("section", "name", "value", "key", "said"),
    [
        ("cloud_run", "vcpu_second", None, "cloud_run.vcpu_second", "is missing"),
        ("", "bigtable", None, "bigtable", "is missing"),
        ("pubsub", "tib", {**GOOD, "usd": -1.0}, "pubsub.tib.usd", "at least 0"),
        ("pubsub", "tib", {**GOOD, "usd": "40"}, "pubsub.tib.usd", "number"),
        ("pubsub", "least_bytes", 0.5, "pubsub.least_bytes", "whole number"),
        ("storage", "class_a", {**GOOD, "page": "somewhere"}, "storage.class_a.page", "not allowed"),
        ("storage", "class_a", {**GOOD, "date": "lately"}, "storage.class_a.date", "not allowed"),
        ("storage", "class_c", GOOD, "storage.class_c", "is not known"),
        ("firestore", "read", 0.5, "firestore.read", "keys with values"),
    ],
)
def test_a_damaged_table(tmp_path: Path, section: str, name: str, value: Any, key: str, said: str) -> None:
    """What is wrong is named with file, key, value, and what follows; a bill is not made from the rest."""
    file = damaged(tmp_path, section, name, value)
    with pytest.raises(ConfigError) as caught:
        load_prices(file)
    (problem,) = caught.value.problems
    assert (problem.where, problem.key) == (str(file), key)
    assert said in problem.consequence and "no bill can be made" in problem.consequence


@pytest.mark.parametrize("text", [None, "", "- 1", "region: [", "region: a\nregion: b"])
def test_no_table(tmp_path: Path, text: str | None) -> None:
    """A file that is not there, or no table at all, is a problem that names it."""
    file = tmp_path / "prices.yml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_prices(file)
    assert all(problem.where == str(file) for problem in caught.value.problems)
    assert "take back" in str(caught.value)
