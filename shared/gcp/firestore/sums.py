"""How far the layers of a run are: sums and counts by the service, within a time that a function has.

Why: the service cuts off a sum that takes a minute, and the client's own way is to ask again without an end, while
the function that dispatches has two minutes in all. So a layer is asked for as a whole while it is small; once it
has LARGE chunks done, or a query took too long, by PARTS: ranges of the records' names, which begin with a hash.
A sum over a range would want an index of its own; a count of the records with a certain number of done children
does not, and there are at most 8 of them. What cannot be had in time is what it was when it could: counts only
grow, so a little too few chunks are said to be done.

Source: equality filters on fields with a range of names need no composite index ("Indexes" in the documentation of
Datastore, whose engine this is); aggregations are cut off after 60 seconds ("Aggregation queries", Firestore).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from shared.gcp.clients import transient_errors
from shared.plan.grid import FANOUT
from shared.run.ports import LayerProgress

SECONDS = 50.0
"""For all that is asked at one look."""

QUERY_SECONDS = 20.0
"""For one query; one that takes longer is of too many records."""

LARGE = 1_000_000
"""Done chunks from which a layer is asked for by parts: an eighth as many records."""

PARTS = "0123456789abcdef"
"""How the names of records begin; a range of names for each."""

CHILDREN = range(1, FANOUT**3 + 1)

SAMPLE = 100
"""Records from which the build time of a layer that is asked for by parts is estimated."""

THREADS = 16

PAUSE = 0.5
"""Before a query that met a passing fault is made again."""

Key = tuple[int, str]
"""A layer, and what is asked of it: done, published, seconds."""


class Sums:
    """Asks for sums over the collections that `records` gives for a layer, and remembers the last answers."""

    def __init__(self, records: Callable[[int], Any]) -> None:
        self._records = records
        self._known: dict[Key, float] = {}
        self._slow: set[int] = set()
        self._errors: list[Exception] = []
        self._answers = 0

    def progress(self, layers: Iterable[int]) -> dict[int, LayerProgress]:
        """As `shared.run.ports.Completion.progress`. Raises the service's error for what it does not answer in
        time, and never did."""
        until = time.monotonic() + SECONDS
        self._errors, self._answers, slow = [], 0, set(self._slow)
        wanted = sorted(set(layers))
        with ThreadPoolExecutor(THREADS) as pool:
            for layer in self._ask_whole([layer for layer in wanted if not self._is_large(layer)], pool, until):
                self._slow.add(layer)
            self._ask_parts([layer for layer in wanted if self._is_large(layer)], pool, until)
        if self._errors and not self._answers:
            # No query was too large: nothing answers.
            self._slow = slow
        return {layer: self._progress(layer) for layer in wanted}

    @property
    def stale(self) -> str:
        """Why nothing at all was answered at the last look, so that it is as before; empty if something was."""
        if not self._errors or self._answers:
            return ""
        return f"{type(self._errors[0]).__name__}: {self._errors[0]}"

    def forget(self) -> None:
        """After the records were dropped."""
        self._known, self._slow = {}, set()

    def _is_large(self, layer: int) -> bool:
        return layer in self._slow or self._known.get((layer, "done"), 0) >= LARGE

    def _ask_whole(self, layers: list[int], pool: ThreadPoolExecutor, until: float) -> set[int]:
        """Asks for each layer as a whole; those of which something took too long."""
        asked = [(layer, *query) for layer in layers for query in self._whole(layer)]
        answers = pool.map(lambda each: _number(each[2], until), asked)
        return {
            layer
            for (layer, name, _), answer in zip(asked, answers, strict=True)
            if not self._note((layer, name), answer)
        }

    def _ask_parts(self, layers: list[int], pool: ThreadPoolExecutor, until: float) -> None:
        asked = [(layer, *query) for layer in layers for query in self._parts(layer)]
        sums: dict[Key, float | Exception] = {}
        for (layer, name, factor, _), answer in zip(
            asked, pool.map(lambda each: _number(each[3], until), asked), strict=True
        ):
            so_far = sums.get((layer, name), 0.0)
            if isinstance(answer, Exception) or isinstance(so_far, Exception):
                sums[layer, name] = answer if isinstance(answer, Exception) else so_far
            else:
                sums[layer, name] = so_far + factor * answer
        for key, answer in sums.items():
            if not self._note(key, answer) and key not in self._known:
                assert isinstance(answer, Exception)
                raise answer
        list(pool.map(lambda layer: self._sample(layer, until), layers))

    def _note(self, key: Key, answer: float | Exception) -> bool:
        """Keeps an answer; False for a query that took too long. Any other error is raised if nothing is known."""
        if not isinstance(answer, Exception):
            self._known[key] = answer
            self._answers += 1
            return True
        self._errors.append(answer)
        if isinstance(answer, _too_long()):
            return False
        if key not in self._known:
            raise answer
        return True

    def _whole(self, layer: int) -> list[tuple[str, Any]]:
        from google.cloud.firestore import FieldFilter

        own, above = self._records(layer), self._records(layer + 1)
        published = own.where(filter=FieldFilter("published", "==", True))
        return [
            ("done", above.sum("children")),
            ("published", published.count()),
            ("seconds", above.sum("seconds")),
        ]

    def _parts(self, layer: int) -> list[tuple[str, int, Any]]:
        """What is asked of a large layer: its name, by how much an answer counts, the query."""
        own, above = self._records(layer), self._records(layer + 1)
        return [
            *(("done", number, _part(above, part, "children", number)) for part in PARTS for number in CHILDREN),
            *(("published", 1, _part(own, part, "published", True)) for part in PARTS),
        ]

    def _sample(self, layer: int, until: float) -> None:
        """The build time of a layer by that of some records; as names begin with a hash, any will do."""
        query = self._records(layer + 1).order_by("__name__").limit(SAMPLE).select(["children", "seconds"])
        try:
            found = [record.to_dict() for record in query.get(timeout=_left(until))]
        except transient_errors():
            return  # what was known stays; it is for people to read
        children = sum(record.get("children", 0) for record in found)
        seconds = sum(record.get("seconds", 0.0) for record in found)
        if children:
            self._known[layer, "seconds"] = seconds / children * self._known[layer, "done"]

    def _progress(self, layer: int) -> LayerProgress:
        done, published = (int(self._known[layer, name]) for name in ("done", "published"))
        return LayerProgress(done, published, float(self._known.get((layer, "seconds"), 0.0)))


def _part(collection: Any, part: str, field: str, value: object) -> Any:
    """A count of the records whose name begins with a digit, and that have a value."""
    from google.cloud.firestore import FieldFilter

    query = collection.where(filter=FieldFilter(field, "==", value))
    query = query.where(filter=FieldFilter("__name__", ">=", collection.document(part)))
    return query.where(filter=FieldFilter("__name__", "<", collection.document(chr(ord(part) + 1)))).count()


def _number(aggregation: Any, until: float) -> float | Exception:
    """The answer to a query, or why there is none: it took too long, or the service did not answer in time."""
    from google.api_core.retry import Retry

    # The library asks again by itself after a passing fault, without an end; so it is told not to.
    never = Retry(predicate=lambda error: False)
    while True:
        try:
            value: float = aggregation.get(timeout=_left(until), retry=never)[0][0].value
            return value
        except _too_long() as error:
            return error
        except transient_errors() as error:
            if time.monotonic() + PAUSE > until:
                return error
            time.sleep(PAUSE)


def _left(until: float) -> float:
    return max(0.1, min(QUERY_SECONDS, until - time.monotonic()))


def _too_long() -> type[Exception]:
    from google.api_core.exceptions import DeadlineExceeded

    return DeadlineExceeded
