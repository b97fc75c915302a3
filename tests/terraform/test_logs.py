"""Metrics count what the code logs: events and fields by the names that it gives them."""

from __future__ import annotations

import ast
import json
import re

from shared.run.events import Event
from tests.terraform.tool import REPOSITORY, Resource


def metrics(resources: list[Resource]) -> dict[str, Resource]:
    """Metrics of logs by name."""
    return {one.values["name"]: one for one in resources if one.type == "google_logging_metric"}


def test_events_are_logged(resources: list[Resource]) -> None:
    """Every message that a metric looks for is an event, and each of these is looked for."""
    filters = "".join(metric.values["filter"] for metric in metrics(resources).values())
    looked_for = set(re.findall(r'jsonPayload\.message="([^"]+)"', filters))
    assert looked_for <= set(Event)
    assert looked_for == {
        Event.CHUNK_DONE, Event.CHUNK_RETRIED, Event.CHUNK_MEMORY, Event.CHUNK_FAILED,
        Event.DEAD_LETTER_KEPT, Event.DEAD_LETTER_ORPHAN,
    }  # fmt: skip


def test_fields_are_logged(resources: list[Resource]) -> None:
    """Every field that a metric takes out of a line is a field of the lines of attempts."""
    source = ast.parse((REPOSITORY / "shared" / "work" / "attempt.py").read_text())
    keys = {
        key.value
        for node in ast.walk(source)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant)
    }
    taken = set()
    for metric in metrics(resources).values():
        extractors = [metric.values["value_extractor"], *(metric.values["label_extractors"] or {}).values()]
        taken |= set(re.findall(r"jsonPayload\.(\w+)", " ".join(filter(None, extractors))))
    assert taken == {"layer", "seconds", "peak_mb"}
    assert taken <= keys


def test_metrics_that_are_used_are_made(resources: list[Resource]) -> None:
    """Dashboard and alerts ask for metrics of logs that there are, and none is made for nothing."""
    text = "".join(
        json.dumps(one.values)
        for one in resources
        if one.type in ("google_monitoring_dashboard", "google_monitoring_alert_policy")
    )
    used = set(re.findall(r"logging\.googleapis\.com/user/(\w+)|logging_googleapis_com:user_(\w+)", text))
    assert {first or second for first, second in used} == set(metrics(resources))


def test_dashboard_shows_what_one_asks_first(resources: list[Resource]) -> None:
    """Backlog, oldest message, chunks done, tasks, letters, seconds, memory, Bigtable's CPU: a chart each."""
    (board,) = [one for one in resources if one.type == "google_monitoring_dashboard"]
    tiles = json.loads(board.values["dashboard_json"])["mosaicLayout"]["tiles"]
    shown = []
    for tile in tiles:
        sets = tile["widget"]["xyChart"]["dataSets"]
        filters = [one["timeSeriesQuery"]["timeSeriesFilter"]["filter"] for one in sets]
        shown.append(re.findall(r'metric\.type="[^"]*?([^"/]+)"', filters[0]))
        groups = [one["timeSeriesQuery"]["timeSeriesFilter"]["aggregation"]["groupByFields"] for one in sets]
        if "by layer" in tile["widget"]["title"]:
            assert all(groups), tile["widget"]["title"]
    assert [name for (name,) in shown] == [
        "num_undelivered_messages", "oldest_unacked_message_age", "chunkedgraph_ingest_chunks_done",
        "running_task_attempts", "num_undelivered_messages", "chunkedgraph_ingest_chunk_seconds",
        "chunkedgraph_ingest_chunk_memory", "cpu_load",
    ]  # fmt: skip
    corners = {(tile["xPos"], tile["yPos"]) for tile in tiles}
    assert len(corners) == len(tiles) and all(tile["xPos"] + tile["width"] <= 48 for tile in tiles)
