"""A round of dispatch: Cloud Scheduler calls this function every minute, an ingest makes a round of its own.

An answer other than 2xx shows in the scheduler and in the alerts: a Job could not be started.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import functions_framework
from flask import Request

from functions.registry import open_progress, open_registry
from shared import logs
from shared.dispatch.round import one_round, read_fleets

logs.set_up()


@functions_framework.http
def dispatch(_request: Request) -> tuple[dict[str, Any], int]:
    """Starts tasks where chunks wait; answers what became of each fleet that has work, 500 if one failed."""
    progress = open_progress()
    fleets = read_fleets(progress.storage(progress.scratch))
    turns = one_round(fleets, open_registry(), progress.jobs(), time.time())
    return {"turns": [asdict(turn) for turn in turns]}, 500 if any(turn.error for turn in turns) else 200
