"""What opens the ports: Google's services or their emulators, or the memory of a process.

Two protocols, since functions and dispatch need the progress of runs alone, and their bundles have no
client of the table or the queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from shared.classify import Classify
from shared.inputs.raw.ranges import RangeReader
from shared.run.ports import Board, Completion, Delivery, Folder, Orphans, Queue, Storage, Table


class Progress(Protocol):
    """Opens what is known of runs. Each call opens anew."""

    @property
    def project(self) -> str | None:
        """The Google Cloud project; None where everything is local."""

    @property
    def scratch(self) -> str:
        """The folder that holds a folder for each graph."""

    @property
    def classify(self) -> Classify:
        """Tells the kind of the errors of these ports."""

    def storage(self, folder: str) -> Storage:
        """Objects below a folder, wherever it is."""

    def completion(self, graph: str, run: str) -> Completion:
        """The completion records of a run."""

    def orphans(self) -> Orphans:
        """The dead letters that belong to no known run."""

    def board(self) -> Board:
        """Where dispatch is told of graphs with work."""


class Backend(Progress, Protocol):
    """Opens all ports. Who opens a queue closes it."""

    def inputs(self, folder: str) -> Folder:
        """Input files below a folder of a dataset, wherever it is."""

    def ranges(self, folder: str) -> RangeReader:
        """Parts of objects below a folder, wherever it is."""

    def queue(self, layers: Sequence[int]) -> Queue:
        """A queue that receives from `layers` and publishes to any."""

    def table(self, name: str, instance: str | None, verifying: bool = False) -> Table:
        """A graph's table; `instance` is the one of its dataset, where the environment names none. What is read
        when `verifying` comes after what servers read, where the instance has a way for that."""

    def prepare(self, layers: Sequence[int]) -> None:
        """Makes topics and subscriptions, where they are not there and are not made by Terraform."""

    def dead_letters(self) -> Iterable[Delivery]:
        """The dead letters that nobody has noted yet, as deliveries to be acked."""
