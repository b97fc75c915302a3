"""A round of dispatch: Cloud Scheduler calls this function every minute, an ingest makes a round of its own.

An answer other than 2xx shows in the scheduler and in the alerts: a Job could not be started.
"""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import functions_framework
from flask import Request

from functions.books import open_books
from shared import logs
from shared.dispatch.round import dispatch as one_round
from shared.dispatch.round import waiting_chunks

logs.set_up()


@functions_framework.http
def dispatch(_request: Request) -> tuple[dict[str, Any], int]:
    """Starts tasks where chunks wait; answers what became of each fleet that has work, 500 if one failed."""
    books = open_books()
    board = books.board()
    turns = one_round(books.fleets(), waiting_chunks(board, books), board, books.jobs(), time.time())
    return {"turns": [asdict(turn) for turn in turns]}, 500 if any(turn.error for turn in turns) else 200
