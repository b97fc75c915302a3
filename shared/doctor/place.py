"""Where an installation is, and what everything in it is called: the names that terraform/ gives.

Invariants: names are those of terraform/*.tf; tests/terraform compares them with what it makes.
"""

from __future__ import annotations

from dataclasses import dataclass

APIS = "https://{}.googleapis.com/{}"


def url(service: str, path: str) -> str:
    """The address of something in a Google service."""
    return APIS.format(service, path)


@dataclass(frozen=True)
class Place:
    """An installation, as far as it is known."""

    project: str
    prefix: str
    database: str
    region: str | None = None
    """None before anything is deployed or said."""
    instance: str | None = None
    scratch: str = ""
    """Name of the bucket; empty where scratch is in none."""
    layers: tuple[int, ...] = ()
    """Those that the dataset has, or else those that are deployed."""
    tables: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    """Buckets with edges and components, raw output, or the volumes and tables of a segmentation."""
    outputs: tuple[str, ...] = ()
    """Buckets that are written to beside the table: processed files, and the volume cut from a segmentation."""
    dataset: str | None = None
    """As the command named it."""

    @property
    def low(self) -> tuple[int, ...]:
        """The layers up to 2: that of the graph's chunks, and below it those that make them of a segmentation."""
        return (*(layer for layer in self.layers if layer < 2), 2)

    @property
    def fed(self) -> tuple[int, ...]:
        """The layers that a large run may be queued in some at a time."""
        return tuple(layer for layer in self.low if layer > 0)

    @property
    def readers(self) -> tuple[int, ...]:
        """The layers whose workers read the inputs."""
        return self.low[:-1] or (2,)

    @property
    def writers(self) -> tuple[int, ...]:
        """The layers whose workers write to the outputs: the root's job notes there that all is written."""
        return tuple(sorted({*self.fed, max((2, *self.layers))}))

    @property
    def trial_table(self) -> str | None:
        """The table in which something may be tried: that of a test graph; None if none is known."""
        tables = [table for table in self.tables if table.endswith("_test")] if self.instance else []
        return tables[-1] if tables else None

    @property
    def deploy(self) -> str:
        """The command that makes what is not there."""
        return f"make deploy DATASET={self.dataset or '…'} PROJECT={self.project}"

    @property
    def update(self) -> str:
        """The command that brings code up to date."""
        return f"make update PROJECT={self.project}"

    @property
    def jobs(self) -> str:
        """What the full names of Jobs and executions start with."""
        return f"projects/{self.project}/locations/{self.region}/jobs/{self.prefix}-"

    @property
    def instance_name(self) -> str:
        """The full name of the Bigtable instance."""
        return f"projects/{self.project}/instances/{self.instance}"

    def topic(self, name: str) -> str:
        """The full name of a topic: `l2`, `dead`."""
        return f"projects/{self.project}/topics/{self.prefix}-{name}"

    def subscription(self, name: str) -> str:
        """The full name of a subscription."""
        return f"projects/{self.project}/subscriptions/{self.prefix}-{name}"

    def job(self, layer: int) -> str:
        """The full name of a layer's Cloud Run Job."""
        return f"{self.jobs}l{layer}"

    def service(self, name: str) -> str:
        """The full name of a function's Cloud Run service."""
        return f"projects/{self.project}/locations/{self.region}/services/{self.prefix}-{name}"

    def account(self, name: str) -> str:
        """The address of a service account."""
        return f"{self.prefix}-{name}@{self.project}.iam.gserviceaccount.com"
