"""The verification of a table as a run of its own: same queue, workers, records, dead letters, pause and resume.

    {scratch}/fly/run.json, verify.json          the run that built the table; the report of its last verification
    {scratch}/fly-verify/run.json, {run}/…       the run that verifies it: verdicts, and findings where there are
    some

Its record is the build's, under a name and a run of its own. Its chunks are those of layers 2 and up with the same
dependencies; nothing is written to the table. Invariants: no graph that is ingested can have such a name, and a
folder of that name with another graph's run in it is left alone.
"""

from __future__ import annotations

from dataclasses import replace

from shared.errors import StateError
from shared.operate import clearing
from shared.operate.verification import Verification, compared_with, report
from shared.plan.grid import Chunk
from shared.plan.names import NAME, VERIFY_SUFFIX
from shared.run.backend import Backend
from shared.run.ports import Storage
from shared.run.queued import queue_first
from shared.run.record import RECORD_NAME, VERIFY_NAME, WRITTEN, RunRecord
from shared.run.registry import graph_folder, load_record
from shared.timestamps import now
from shared.verify.findings import Findings
from shared.verify.verdict import Verdict

READ_AT_ONCE = 500


def verify_name(graph: str) -> str:
    """What the run is called that verifies a graph; StateError where that is no name."""
    name = graph + VERIFY_SUFFIX
    if not NAME.fullmatch(name):
        raise StateError(f"{graph} is too long a name for a run that verifies it: {name} has more than 63 letters")
    return name


def known_verification(backend: Backend, graph: str) -> RunRecord | None:
    """The run that verifies a graph, if there is one. StateError for another run of that name."""
    name = verify_name(graph)
    record = load_record(backend, name)
    if record is not None and record.verifies != graph:
        raise StateError(
            f"{name} is a graph of its own, so {graph} cannot be verified under that name by the queue"
        )
    return record


def verifying(backend: Backend, of: RunRecord) -> RunRecord:
    """The run that verified the graph of a run last: that run itself if it verifies one, or what it built, and was
    not verified by itself since. StateError if there is none."""
    if of.verifies:
        return of
    if of.verified:
        later = load_record(backend, of.graph + VERIFY_SUFFIX)
        is_later = later is not None and later.verifies == of.graph and later.timestamp_ms > of.timestamp_ms
        return later if later is not None and is_later else of
    known = known_verification(backend, of.graph)
    if known is None:
        raise StateError(f"{of.graph} was not verified by the queue; see: make verify GRAPH={of.graph}")
    return known


def begin_verification(backend: Backend, of: RunRecord, now_ms: int) -> tuple[RunRecord, int]:
    """Begins to verify the table of a finished run, and queues layer 2; the run's record, and how many chunks."""
    known, name = known_verification(backend, of.graph), verify_name(of.graph)
    if of.segmentation is not None and not (of.test or set(WRITTEN) <= set(of.written)):
        raise StateError(f"{of.graph} has no files of edges and components that its table could be compared with")
    record = replace(
        of,
        graph=name,
        run=f"r{now_ms}",
        timestamp_ms=now_ms,
        verifies=of.graph,
        verified=False,
        segmentation=None,
        table_parts=(),
        written=(),
        upgrade=False,
        auto_queue_parents=True,
    )
    folder = graph_folder(backend, name)
    clearing.need_own_folder(folder)
    if known is not None:
        backend.completion(name, known.run).clear()
    clearing.delete_graph(folder)
    backend.prepare(record.plan.layers)
    folder.put(RECORD_NAME, record.encode())
    backend.board().announce(name)
    queue = backend.queue([])
    try:
        return record, queue_first(record, folder, queue, now_ms / 1000)
    finally:
        queue.close()


def stored_findings(record: RunRecord, scratch: Storage) -> dict[Chunk, Findings]:
    """What was found in the chunks of a run so far, where something was."""
    names, found = sorted(scratch.list(f"{record.run}/findings/")), {}
    for start in range(0, len(names), READ_AT_ONCE):
        for name, data in scratch.get(names[start : start + READ_AT_ONCE]).items():
            if data is not None:
                findings = Findings.decode(record.plan, data, f"{scratch.folder}/{name}")
                found[findings.chunk] = findings
    return found


def collected(record: RunRecord, scratch: Storage) -> Verification:
    """The report of a run that has verified a table; StateError before its end."""
    top = record.plan.top
    name = record.verdict_name(top)
    data = scratch.get([name])[name]
    if data is None:
        raise StateError(f"{record.graph} is not done: there is no {name}")
    verdict = Verdict.decode(data, f"{scratch.folder}/{name}", top)
    compared = compared_with(not record.test)
    return report(record.plan, verdict, stored_findings(record, scratch), compared)


def keep(folder: Storage, found: Verification, run: str) -> Verification:
    """Stores a report in the graph's folder, in place of the one before; as it is stored."""
    kept = replace(found, run=run, when=now())
    folder.put(VERIFY_NAME, kept.encode())
    return kept


def last_report(folder: Storage) -> Verification | None:
    """The report of the last verification of a graph; None if there was none."""
    data = folder.get([VERIFY_NAME])[VERIFY_NAME]
    return None if data is None else Verification.decode(data, f"{folder.folder}/{VERIFY_NAME}")
