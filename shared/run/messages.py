"""A queue message: the identity of one chunk of one run, and whether to build it even if it is done.

Invariants: a decoded message is well-formed, so nothing in it can lead outside the run's own
folder; whether the chunk exists in the run's grid is checked against the plan by the worker.
Golden bytes in the tests keep the wire form: compact JSON with sorted keys.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from shared.errors import MessageError
from shared.plan.grid import Chunk
from shared.plan.names import NAME

MAX_BYTES = 1024
_KEYS = {"graph", "run", "layer", "x", "y", "z"}


@dataclass(frozen=True)
class Message:
    """Build `chunk` for `run` of `graph`; `force`: even if it is done."""

    graph: str
    run: str
    chunk: Chunk
    force: bool = False

    def encode(self) -> bytes:
        """The bytes that go to the queue."""
        fields = {"graph": self.graph, "run": self.run, **self.chunk._asdict()}
        if self.force:
            fields["force"] = True
        return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, raw: bytes) -> Message:
        """The message in `raw`; MessageError with `raw` in it for anything that is not one."""
        if len(raw) > MAX_BYTES:
            raise MessageError(raw, f"{len(raw)} bytes, more than {MAX_BYTES}")
        try:
            fields = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise MessageError(raw, f"not JSON ({error})") from error
        if not isinstance(fields, dict) or set(fields) - {"force"} != _KEYS:
            raise MessageError(raw, f"not an object with the keys {sorted(_KEYS)}")
        if fields.get("force", True) is not True:
            raise MessageError(raw, "force can only be true")
        graph, run = fields["graph"], fields["run"]
        for name in (graph, run):
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise MessageError(raw, f"{name!r} is no name of a graph or run")
        numbers = [fields[key] for key in ("layer", "x", "y", "z")]
        if not all(type(number) is int and 0 <= number < 1 << 31 for number in numbers):
            raise MessageError(raw, "layer, x, y and z must be whole numbers from 0")
        return cls(graph, run, Chunk(*numbers), "force" in fields)
