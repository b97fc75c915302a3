"""Queue messages: golden bytes, round trips, and MessageError for whatever is not one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import MessageError, PermanentError
from shared.plan.grid import Chunk
from shared.plan.names import NAME
from shared.run.messages import MAX_BYTES, Message

names = st.from_regex(NAME, fullmatch=True)
numbers = st.integers(0, 2**31 - 1)
messages = st.builds(Message, names, names, st.builds(Chunk, numbers, numbers, numbers, numbers))
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)

GOLDEN = b'{"graph":"fly_v1","layer":3,"run":"r-20240101","x":10,"y":0,"z":2}'
FIELDS = {"graph": "fly_v1", "run": "r-20240101", "layer": 3, "x": 10, "y": 0, "z": 2}


def refused(raw: bytes) -> MessageError:
    """The error that decoding `raw` must raise; it holds the message as it came."""
    with pytest.raises(MessageError) as caught:
        Message.decode(raw)
    assert caught.value.raw == raw
    assert isinstance(caught.value, PermanentError)
    return caught.value


def test_golden_bytes() -> None:
    """The wire form is compact JSON with sorted keys, and stays so for messages already queued."""
    message = Message("fly_v1", "r-20240101", Chunk(3, 10, 0, 2))
    assert message.encode() == GOLDEN
    assert Message.decode(GOLDEN) == message


def test_golden_bytes_of_a_forced_message() -> None:
    """One key more says that the chunk is built even if it is done; it can say nothing else."""
    raw = GOLDEN.replace(b'"graph"', b'"force":true,"graph"')
    message = Message("fly_v1", "r-20240101", Chunk(3, 10, 0, 2), force=True)
    assert (message.encode(), Message.decode(raw)) == (raw, message)
    for wrong in (b"false", b"1", b"null", b'"true"'):
        assert "force" in str(refused(raw.replace(b"true", wrong)))


@given(messages)
def test_round_trip(message: Message) -> None:
    """Every message comes back from its bytes, and its bytes fit the limit."""
    raw = message.encode()
    assert len(raw) <= MAX_BYTES
    decoded = Message.decode(raw)
    assert decoded == message and isinstance(decoded.chunk, Chunk)


def test_order_and_spaces_do_not_matter() -> None:
    """A message typed by hand, with other spacing and order, is understood."""
    raw = json.dumps(dict(reversed(FIELDS.items())), indent=2).encode()
    assert Message.decode(raw) == Message.decode(GOLDEN)


def test_cut_off() -> None:
    """A message cut off at any byte is refused."""
    for length in range(len(GOLDEN)):
        refused(GOLDEN[:length])


@pytest.mark.parametrize("key", FIELDS)
def test_missing_key(key: str) -> None:
    """A message without one of its keys is refused."""
    refused(json.dumps({name: value for name, value in FIELDS.items() if name != key}).encode())


def test_key_too_many() -> None:
    """A message with a key that we do not know is refused, as we cannot do what it asks."""
    refused(json.dumps(FIELDS | {"priority": 1}).encode())


@pytest.mark.parametrize("key", ["layer", "x", "y", "z"])
@pytest.mark.parametrize(
    "value", [-1, 2**31, 10**30, 1.0, 0.5, 1e400, float("nan"), True, False, None, "1", [1], {"x": 1}]
)
def test_numbers(key: str, value: object) -> None:
    """Layer and coordinates are whole numbers from 0; floats, booleans and huge numbers are refused."""
    refused(json.dumps(FIELDS | {key: value}).encode())


@pytest.mark.parametrize("key", ["graph", "run"])
@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            ".",
            "..",
            "../other",
            "a/b",
            "/etc",
            "a\\b",
            "a b",
            "a\n",
            "\na",
            "a.b",
            "a\x00",
            "gs://x",
            "1a",
            "-a",
        ),
        *("_a", "ä", "a" * 64, "%2e%2e", 5, 1.5, True, None, ["a"], {"a": 1}),
    ],
)
def test_names(key: str, value: object) -> None:
    """A name that could lead out of the run's folder, or is no text, is refused."""
    refused(json.dumps(FIELDS | {key: value}).encode())
    refused(json.dumps(FIELDS | {key: value}, ensure_ascii=False).encode())


@pytest.mark.parametrize(
    "raw",
    [b"", b" ", b"null", b"[]", b"3", b'"graph"', b"{}", b"\xff\xfe", b"\x80\x04]", b"{" * 500, b"[" * 1024],
    ids=repr,
)
def test_no_object(raw: bytes) -> None:
    """JSON of another kind and bytes that are no JSON are refused, however deep they nest."""
    refused(raw)


def test_too_long() -> None:
    """What is longer than any message of ours is refused before it is parsed, and shortened in the text."""
    error = refused(GOLDEN + b" " * MAX_BYTES)
    assert f"{len(GOLDEN) + MAX_BYTES} bytes" in str(error)
    assert len(str(error)) < 400
    assert Message.decode(GOLDEN + b" " * (MAX_BYTES - len(GOLDEN))) == Message.decode(GOLDEN)


@given(st.binary(max_size=200))
def test_random_bytes(raw: bytes) -> None:
    """Random bytes are refused."""
    refused(raw)


@given(anything)
def test_random_json(value: object) -> None:
    """Random JSON is refused."""
    refused(json.dumps(value).encode()[:MAX_BYTES])


@given(st.sampled_from(sorted(FIELDS)), anything)
def test_random_field(key: str, value: object) -> None:
    """With anything in place of one field, a message is refused or is well-formed."""
    raw = json.dumps(FIELDS | {key: value}).encode()
    try:
        message = Message.decode(raw)
    except MessageError as error:
        assert error.raw == raw
        return
    assert NAME.fullmatch(message.graph) and NAME.fullmatch(message.run)
    assert all(type(number) is int and 0 <= number < 2**31 for number in message.chunk)


@given(st.lists(st.tuples(st.integers(0, len(GOLDEN) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_damaged_bytes(changes: list[tuple[int, int]]) -> None:
    """With a few bytes changed, a message is refused or is well-formed."""
    raw = bytearray(GOLDEN)
    for at, byte in changes:
        raw[at] = byte
    try:
        message = Message.decode(bytes(raw))
    except MessageError:
        return
    assert Message.decode(message.encode()) == message
