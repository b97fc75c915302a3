"""One chunk's verification as a job's work: verdicts of others are read, its own and what was found are stored.

Two kinds of run do it: one that does nothing else (`verifies`), whose hand-offs are verdicts, and a build whose
jobs verify what they have just built (`verified`), since the jobs that a chunk waits for wrote all that its
verification reads. Invariants: findings come before the verdict, and the verdict before the hand-off, so whoever
sees a chunk done sees what was found in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import Denied, IngestError, OfOneRun, StateError
from shared.plan.grid import Chunk
from shared.run.ports import Storage
from shared.run.record import RunRecord
from shared.verify.findings import Findings
from shared.verify.verdict import Verdict
from shared.work.verifier import Verifier


class MissingVerdict(IngestError):
    """A chunk was queued before one of its dependencies was verified, or a verdict was deleted."""

    def __init__(self, chunk: Chunk, file: str) -> None:
        super().__init__(
            f"{file}: the verification of chunk {chunk} needs this, which is not there; it is tried again"
        )


@dataclass(frozen=True)
class StoredFindings:
    """What was found in a chunk, to be stored."""

    record: RunRecord
    scratch: Storage
    findings: Findings

    def put(self) -> None:
        """Stores it; nothing where nothing was found."""
        if self.findings.count:
            self.scratch.put(self.record.findings_name(self.findings.chunk), self.findings.encode())


@dataclass(frozen=True)
class Verifying:
    """Verifies the chunks of a run, whose verdicts are in the graph's `scratch` folder."""

    record: RunRecord
    scratch: Storage
    verifier: Verifier

    def verify(self, chunk: Chunk) -> tuple[bytes, StoredFindings]:
        """The bytes of a chunk's verdict, and what was found. MissingVerdict, DataError for damaged input, OfOneRun
        where the table cannot be read."""
        wanted = [] if chunk.layer == 2 else self.record.plan.dependencies(chunk)
        verdicts = self.stored(chunk, wanted)
        try:
            verdict, findings = self.verifier.verify(chunk, verdicts)
        except (StateError, Denied) as error:
            raise OfOneRun(f"the table of graph {self.record.graph}: {error}") from error
        return verdict.encode(), StoredFindings(self.record, self.scratch, findings)

    def verify_built(self, chunk: Chunk) -> int:
        """Verifies a chunk that was just built, and stores what follows from it; the bytes of its verdict."""
        verdict, findings = self.verify(chunk)
        findings.put()
        self.scratch.put(self.record.verdict_name(chunk), verdict)
        return len(verdict)

    def stored(self, chunk: Chunk, of: Sequence[Chunk]) -> dict[Chunk, Verdict]:
        """The verdicts of some chunks, for the verification of `chunk`."""
        names = {self.record.verdict_name(one): one for one in of}
        found: dict[Chunk, Verdict] = {}
        for name, data in self.scratch.get(list(names)).items():
            file = f"{self.scratch.folder}/{name}"
            if data is None:
                raise MissingVerdict(chunk, file)
            found[names[name]] = Verdict.decode(data, file, names[name])
        return found
