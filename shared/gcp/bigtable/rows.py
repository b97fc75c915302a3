"""Rows as Bigtable answers them, in pieces, and the ranges that are asked for.

Messages are plain protobuf: the library's wrappers cost many times as much for the small cells that
make up a graph. Writing has an encoder of its own (shared.gcp.bigtable.wire).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from shared.run.ports import Row


def merge_chunks(responses: Iterable[Any]) -> Iterator[Row]:
    """The rows in ReadRowsResponses: a row ends with its commit, a cell may come in several chunks."""
    key, column, family, qualifier, time_us = b"", "", "", b"", 0
    cells: dict[str, bytes] = {}
    times: dict[str, int] = {}
    parts: list[bytes] = []
    for response in responses:
        for chunk in response.chunks:
            if chunk.reset_row:
                cells, times, parts = {}, {}, []
                continue
            if not parts:
                key = chunk.row_key or key
                if chunk.HasField("family_name"):
                    family = chunk.family_name.value
                if chunk.HasField("qualifier"):
                    qualifier = chunk.qualifier.value
                    column = f"{family}:{qualifier.decode()}"
                time_us = chunk.timestamp_micros
            parts.append(chunk.value)
            if chunk.value_size:
                continue
            if column not in cells:
                cells[column], times[column] = b"".join(parts), time_us
            parts = []
            if chunk.commit_row:
                yield Row(key, cells, times)
                cells, times = {}, {}


def bigtable_message(name: str) -> Any:
    """A plain protobuf class of the data service."""
    from google.cloud.bigtable_v2.types import bigtable

    return getattr(bigtable, name).pb()


def newest(only: Sequence[str]) -> dict[str, Any]:
    """The filter for the newest cell of each column, or of `only` some: `family:qualifier`, or `family:` for all of
    a family."""
    limit: dict[str, Any] = {"cells_per_column_limit_filter": 1}
    if not only:
        return limit
    parts = []
    for column in only:
        family, _, qualifier = column.partition(":")
        part: list[dict[str, Any]] = [{"family_name_regex_filter": re.escape(family)}]
        if qualifier:
            part.append({"column_qualifier_regex_filter": re.escape(qualifier).encode()})
        parts.append({"chain": {"filters": part}} if qualifier else part[0])
    some = parts[0] if len(parts) == 1 else {"interleave": {"filters": parts}}
    return {"chain": {"filters": [some, limit]}}


def merged(ranges: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The same keys in ranges that do not overlap, by start; empty ones (an error to Bigtable) left out."""
    disjoint: list[tuple[bytes, bytes]] = []
    for low, high in sorted(ranges):
        if low >= high:
            continue
        if disjoint and low <= disjoint[-1][1]:
            disjoint[-1] = (disjoint[-1][0], max(high, disjoint[-1][1]))
        else:
            disjoint.append((low, high))
    return disjoint
