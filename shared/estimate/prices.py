"""The table of list prices, configs/prices.yml: what it must hold, and reading it.

Invariants: a table that was read has every price that a bill needs, each with the page and the date that
it is from. Prices differ by region and change, so they stand in a file and not in the code.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import ConfigError, Problem
from shared.plan.explain import explain
from shared.plan.yaml_file import WHOLE_FILE, read_yaml

GOOD_FOR = "without a whole table of prices no bill can be made; take back the one of this repository"


class _Section(BaseModel):
    """Values that are checked as they stand."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Price(_Section):
    """What one unit costs."""

    usd: float = Field(ge=0, description="US dollars for one unit")
    title: str = Field(min_length=1, description="the title of the page that the price is from")
    page: str = Field(pattern=r"^https://\S+$", description="that page's address")
    date: str = Field(pattern=r"^20\d\d-\d\d(-\d\d)?$", description="when the page showed it, as 2026-09-30")
    note: str | None = Field(default=None, description="what is not certain about it")


class CloudRunPrices(_Section):
    """Tasks of Cloud Run Jobs."""

    vcpu_second: Price = Field(description="a CPU for a second")
    gib_second: Price = Field(description="a GiB of memory for a second")


class PubSubPrices(_Section):
    """Messages."""

    tib: Price = Field(description="a TiB published or delivered")
    least_bytes: int = Field(ge=0, description="bytes that a request is charged for at least")


class FirestorePrices(_Section):
    """Records of progress, in a regional database."""

    read: Price = Field(description="a document read")
    write: Price = Field(description="a document written")
    delete: Price = Field(description="a document deleted")
    gib_month: Price = Field(description="a GiB stored for a month")


class BigtablePrices(_Section):
    """The table."""

    node_hour: Price = Field(description="a node for an hour")
    ssd_gib_month: Price = Field(description="a GiB on SSD for a month")


class CloudStoragePrices(_Section):
    """Input files and hand-offs, in a regional bucket of the standard class."""

    class_a: Price = Field(description="an object written or a listing")
    class_b: Price = Field(description="an object read")
    gib_month: Price = Field(description="a GiB stored for a month")


class Prices(_Section):
    """The whole table."""

    region: str = Field(min_length=1, description="the region that the prices are for")
    cloud_run: CloudRunPrices = Field(description="prices of Cloud Run Jobs")
    pubsub: PubSubPrices = Field(description="prices of Pub/Sub")
    firestore: FirestorePrices = Field(description="prices of Firestore")
    bigtable: BigtablePrices = Field(description="prices of Bigtable")
    storage: CloudStoragePrices = Field(description="prices of Cloud Storage")

    def dates(self) -> tuple[str, str]:
        """The dates of the oldest and of the newest price."""
        sections = (self.cloud_run, self.pubsub, self.firestore, self.bigtable, self.storage)
        found = sorted(price.date for section in sections for _, price in section if isinstance(price, Price))
        return found[0], found[-1]


def load_prices(path: Path) -> Prices:
    """The prices in a YAML file; ConfigError with everything that is wrong with it."""
    content, problems = read_yaml(path)
    if not problems and not isinstance(content, dict):
        problems = [Problem(str(path), WHOLE_FILE, content, "must be keys with values, starting with region")]
    if not problems:
        try:
            return Prices.model_validate(content)
        except ValidationError as error:
            problems = explain(error, str(path), Prices)
    raise ConfigError([_with_consequence(problem) for problem in problems])


def _with_consequence(problem: Problem) -> Problem:
    return Problem(problem.where, problem.key, problem.value, f"{problem.consequence}; {GOOD_FOR}")
