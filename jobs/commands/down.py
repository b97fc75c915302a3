"""`down`: the local emulators end, and what they held goes with them."""

from __future__ import annotations

from jobs.console import command
from jobs.local import emulators
from jobs.output import say
from jobs.paths import LOCAL
from shared.files import CloudFilesStorage
from shared.operate.clearing import delete_graphs


@command("down")
def down() -> None:
    """End the local emulators; their tables, queues and progress go with them."""
    emulators.stop(LOCAL)
    delete_graphs(CloudFilesStorage(f"file://{LOCAL / 'scratch'}"))
    say("the local emulators are down, and what they held is gone")
