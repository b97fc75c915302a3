"""What to type about a chunk, or about all that failed: pure; a page shows it to be copied."""

from __future__ import annotations

from shared.look.states import Look
from shared.plan.grid import Chunk
from shared.run.record import RunRecord


def of_chunk(record: RunRecord, chunk: Chunk, state: Look, where: str) -> list[tuple[str, str]]:
    """Pairs (what it does, what to type) for one chunk; `where` are the variables that name the run."""
    named = f'{where} CHUNK="{chunk.layer} {chunk.x} {chunk.y} {chunk.z}"'
    found = []
    if state in (Look.FAILED, Look.DISCARDED):
        found += [
            ("its error with the whole traceback", f"make failed {named}"),
            ("queue it again", f"make replay {named}"),
        ]
    if state is Look.FAILED and chunk.layer:
        found.append(("give it up", f"make discard {named}"))
    if chunk.layer == 1 or (chunk.layer and not record.prepare):
        found.append(("build it here, without writing", f"make chunk-local {named}"))
    found += [
        ("its lines of the log", f"make logs {named}"),
        ("queue it to be built once more", f"make chunk {named}"),
    ]
    return found


def of_failures(where: str, dead: int) -> list[tuple[str, str]]:
    """Pairs (what it does, what to type) for all chunks in the dead letters."""
    if not dead:
        return [("all that was tried in vain", f"make failed {where}")]
    return [
        ("all failures, by cause", f"make failed {where}"),
        ("queue them again, once their cause is mended", f"make replay {where}"),
        ("what would be queued", f"make replay {where} DRY=1"),
    ]


def of_cause(where: str, chunks: list[Chunk], most: int = 50) -> str:
    """What queues the chunks of one cause again; of many the first, as a command line has an end."""
    named = ", ".join(f"{chunk.layer} {chunk.x} {chunk.y} {chunk.z}" for chunk in sorted(chunks)[:most])
    return f'make replay {where} CHUNK="{named}"'
