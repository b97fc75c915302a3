"""A task that builds a sample and works on nothing else: `python -m jobs.sampled_task NAME`.

What it is to build is in a document of that name, and what came of it is left in another. So neither has to fit
into a command line. `make sample PROJECT=…` starts it. Invariants: it takes no more memory than a worker of its Job
may; a task that was started a second time says so and builds nothing, as the first one ended without a word.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from jobs import memory_limit as memory
from jobs.container import cpus
from jobs.sample_here import sampling
from shared.environment import Environment
from shared.estimate.measured import Measured
from shared.gcp.doctor.trials import FirestoreNotes
from shared.gcp.progress import endpoints_of
from shared.operate.kept_sample import measured
from shared.operate.sampling import first_error
from shared.plan.grid import Chunk
from shared.run.record import RunRecord
from shared.timestamps import now

ASKED = "{}-asked"
"""The name of the document that says what is to be built."""


def asked_of(mark: str, record: RunRecord, chunks: list[Chunk], where: str) -> dict[str, str]:
    """What a task is asked for."""
    told = {"fingerprint": mark, "chunks": chunks, "where": where}
    return {"record": record.encode().decode(), "told": json.dumps(told)}


def answer(found: Measured | None, error: str = "") -> dict[str, str]:
    """What a task leaves."""
    return {"error": error, "sample": "" if found is None else json.dumps(found.fields())}


def answered(left: dict[str, Any], job: str) -> Measured:
    """What a task left; ValueError for what it says of why there is nothing."""
    if left.get("error"):
        raise ValueError(f"the task of {job} says: {left['error']}")
    return Measured.read(json.loads(left["sample"]))


def built(asked: dict[str, Any]) -> dict[str, str]:
    """Does what is asked for."""
    record = RunRecord.decode(asked["record"].encode(), "what is asked for")
    told = json.loads(asked["told"])
    try:
        taken = list(sampling(record).take([Chunk(*chunk) for chunk in told["chunks"]]))
    except Exception as error:  # whatever it is, whoever waits is told
        return answer(None, f"{type(error).__name__}: {error}")
    if (error_met := first_error(taken)) is not None:
        return answer(None, f"no chunk could be built; the first: {type(error_met).__name__}: {error_met}")
    return answer(measured(told["fingerprint"], record, taken, now(), told["where"], inside=True))


def main(name: str) -> None:
    """Builds what a document says, and leaves another."""
    environment = Environment.read(os.environ)
    memory.cap(environment.memory_mib or memory.share(cpus()))
    notes = FirestoreNotes(endpoints_of(environment))
    asked = notes.take(ASKED.format(name), 1)
    if not asked:
        told = "it was started again, as it ended without a word the first time; most likely for want of memory"
        notes.put(name, 0, answer(None, told))
        return
    found = built(dict(asked[0]))
    print(json.dumps({"severity": "INFO", "message": "task.sampled", "error": found["error"]}), flush=True)
    notes.put(name, 0, found)


if __name__ == "__main__":
    main(sys.argv[1])
