"""Dead letters become failure records: the push subscription of the dead letters calls this function.

An answer other than 2xx has Pub/Sub push the letter again: so a failure to note it loses nothing.
"""

from __future__ import annotations

import functions_framework
from flask import Request

from functions.registry import open_registry
from shared import logs
from shared.operate.dead_letters import DeadLetter, note

logs.set_up()


@functions_framework.http
def dead_letter(request: Request) -> tuple[str, int]:
    """Notes the letter in a request of Pub/Sub; 400 for any other request."""
    try:
        letter = DeadLetter.pushed(request.get_json(silent=True))
    except ValueError as error:
        return str(error), 400
    note(open_registry(), letter)
    return "", 204
