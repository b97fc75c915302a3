"""Each situation of the table ends as it says, with its sentence, in time, and without a traceback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from shared.exit_codes import Exit
from tests.surroundings.conftest import StandIn, Zygote
from tests.surroundings.situations import Situation, situations

TABLE = situations()
MOST_SECONDS = 120.0
"""What a row may take on a busy machine; most take a tenth of a second."""


@pytest.fixture(scope="session")
def words(dataset: Path, stand_in: StandIn) -> Iterator[dict[str, str]]:
    """What the braces of the table stand for, but {place}."""
    other = grpc.server(ThreadPoolExecutor(1))
    port = other.add_insecure_port("127.0.0.1:0")
    other.start()
    with socket.socket() as dead, socket.socket() as deaf:
        dead.bind(("127.0.0.1", 0))
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        yield {
            "dataset": str(dataset),
            "host": stand_in.host,
            "other": f"127.0.0.1:{port}",
            "dead": f"127.0.0.1:{dead.getsockname()[1]}",
            "deaf": f"127.0.0.1:{deaf.getsockname()[1]}",
        }
    other.stop(None).wait()


def test_the_table_is_a_table() -> None:
    """Each row has a name of its own, and there are as many as promised."""
    assert len({row.name for row in TABLE}) == len(TABLE) >= 150


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_situation(row: Situation, start: Zygote, place: Path, words: dict[str, str]) -> None:
    """The code, the sentence, the time, and no traceback; 1 is a violation's code, and there is none here."""

    def filled(text: str) -> str:
        for word, value in {"place": str(place), **words}.items():
            text = text.replace(f"{{{word}}}", value)
        return text

    row.prepare(place)
    done = start(
        place,
        *map(filled, row.arguments),
        program=row.program,
        environ={name: filled(value) for name, value in row.environ.items()},
        streams=row.streams,
        limits=row.limits,
        nobody=row.nobody,
        local=Path(filled(row.local)),
        seconds=MOST_SECONDS,
    )
    assert done.code == row.code, done
    assert row.says in done.text, done
    assert row.never not in done.text and "Traceback" not in done.text, done
    assert done.code != Exit.FAULTY
