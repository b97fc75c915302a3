"""Whose turn it is among the graphs whose messages are at hand: the one that was served longest ago.

Why: a subscription holds the messages of all graphs of a layer, in no order that could be relied on, and a
worker has a few of them at hand. Taken in the order of their coming, the graph with most messages would have
all workers. Invariants: of two graphs that both have messages at hand neither is served twice in a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from shared.errors import MessageError
from shared.run.messages import Message

AT_HAND = 8
"""Messages among which is chosen, the oldest ones."""


class Turns:
    """What one worker was served with; graphs that it never met come first."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._count = count(1)

    def choose(self, messages: Sequence[bytes]) -> int:
        """The index of the message to take, among some (at least one); it counts as served."""
        graphs = [_graph(data) for data in messages]
        chosen = min(range(len(graphs)), key=lambda index: self._served.get(graphs[index], 0))
        self._served[graphs[chosen]] = next(self._count)
        return chosen


def _graph(data: bytes) -> str:
    """The graph of a message; nothing for what is no message."""
    try:
        return Message.decode(data).graph
    except MessageError:
        return ""
