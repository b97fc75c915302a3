"""The server of everything that is looked at: it answers to this machine alone, and nothing leads out of it."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.look.loopback import HEADERS, POLICY, Answer, LoopbackServer, NoAnswer, Request, files_of
from shared.classify import Classifier
from shared.errors import DataError, StateError, Unreachable

ASKED: list[Request] = []


def told(request: Request) -> Answer:
    """What was asked, as it came."""
    ASKED.append(request)
    return Answer.of_json([request.parts, dict(request.arguments)])


def fails(request: Request) -> Answer:
    """The error that is asked for."""
    raise {
        "gone": NoAnswer(404, "no node <b>7</b>"),
        "data": DataError("file", "2/0_0_0", "is damaged"),
        "out": Unreachable("the table does not answer"),
        "bug": KeyError("a secret of the code"),
    }[request.parts[0]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackServer]:
    """A server of some routes and a folder of files, beside which others lie."""
    folder = tmp_path_factory.mktemp("served") / "inside"
    (folder / "below").mkdir(parents=True)
    for path, text in (("page.js", "let a"), ("../outside.js", "no"), ("below/deep.js", "no"), (".hidden", "")):
        (folder / path).write_text(text)
    routes = {
        r"/told/(.*)": told,
        r"/fails/([a-z]+)": fails,
        r"/files/(.*)": files_of(folder, ["page.js"]),
        r"/all/(.*)": files_of(folder),
    }
    with LoopbackServer(routes, classify=Classifier()) as found:
        yield found


def ask(
    server: LoopbackServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of an answer; the path and the Host go as they are given."""
    host, _, port = server.address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": f"{host}:{port}", **headers}.items():
            if value:
                connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_an_answer(server: LoopbackServer) -> None:
    """A route is handed the groups of its path, decoded, and the arguments; the answer carries all that guards it,
    and says nothing of what serves it."""
    status, body, headers = ask(server, "/told/a%20b?layer=3&layer=4&x=%3Cb%3E")
    assert (status, json.loads(body)) == (200, [["a b"], {"layer": "4", "x": "<b>"}])
    assert HEADERS.items() <= headers.items() and "Server" not in headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert not any(name.lower().startswith("access-control") for name in headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:9", "127.0.0.1:65535"])
def test_own_names(server: LoopbackServer, host: str) -> None:
    """Names of the loopback are answered, whatever port leads here."""
    assert ask(server, "/told/", Host=host)[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "evil@127.0.0.1"),
        *("127.0.0.2", "0.0.0.0", "[::1]", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1, evil.example", "127.0.0.1/"),
        "",
    ],
)
def test_other_names(server: LoopbackServer, host: str) -> None:
    """A page of another name that leads here, by a name server, reads nothing; no route is even asked."""
    before = len(ASKED)
    status, body, headers = ask(server, "/told/secret", Host=host)
    assert status in (400, 403) and b"secret" not in body and len(ASKED) == before
    assert status == 400 or HEADERS.items() <= headers.items()  # 400: not even a host


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/told/x", "/files/page.js", "/nowhere"])
def test_only_get(server: LoopbackServer, method: str, path: str) -> None:
    """Nothing but GET is answered, wherever it goes."""
    before = len(ASKED)
    status, _, headers = ask(server, path, method)
    assert (status, headers["Allow"]) == (405, "GET") and len(ASKED) == before


def test_pages_of_other_places(server: LoopbackServer) -> None:
    """A page elsewhere may link to this one, and has nothing done by a picture, a script or a frame's request."""
    before = len(ASKED)
    assert ask(server, "/told/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert ask(server, "/told/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors")[0] == 403
    assert len(ASKED) == before
    assert ask(server, "/told/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert ask(server, "/told/", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0] == 200


@pytest.mark.parametrize(
    "name",
    [
        *("../outside.js", "..%2foutside.js", "%2e%2e/outside.js", "..\\outside.js", "below/deep.js", "below"),
        *("/etc/passwd", "%2Fetc%2Fpasswd", "page.js%00", "page.js/", "PAGE.JS", "", ".", "..", "a" * 5000),
    ],
)
def test_paths_stay_inside(server: LoopbackServer, name: str) -> None:
    """Only the names that a folder had are there, and nothing below or beside it."""
    assert ask(server, f"/files/{name}")[0] == 404
    assert ask(server, f"/all/{name}")[0] == 404


def test_files(server: LoopbackServer) -> None:
    """A file comes with the type of its name; one that was not named does not come."""
    status, body, headers = ask(server, "/files/page.js")
    assert (status, body, headers["Content-Type"]) == (200, b"let a", "text/javascript; charset=utf-8")
    assert ask(server, "/files/.hidden")[0] == 404 and ask(server, "/all/.hidden")[0] == 200


@pytest.mark.parametrize(
    ("what", "status", "text"),
    [
        ("gone", 404, b"no node <b>7</b>"),
        ("data", 500, b"file: chunk 2/0_0_0: is damaged"),
        ("out", 503, b"the table does not answer"),
        ("bug", 500, b"this cannot be answered; why is said where the command runs"),
    ],
)
def test_failures(server: LoopbackServer, what: str, status: int, text: bytes) -> None:
    """An error that is meant for people is said, as text that nothing takes for markup; of a bug nothing is."""
    found, body, headers = ask(server, f"/fails/{what}")
    assert (found, body) == (status, text)
    assert headers["Content-Type"] == "text/plain; charset=utf-8" and headers["X-Content-Type-Options"] == "nosniff"


def test_large_requests(server: LoopbackServer) -> None:
    """A request without end is cut off, and the next one is answered."""
    before = len(ASKED)
    with contextlib.suppress(ConnectionError):
        assert ask(server, "/told/", X_Long="a" * 1_000_000)[0] in (400, 431)
    assert len(ASKED) == before and ask(server, "/told/")[0] == 200


def test_many_at_once(server: LoopbackServer) -> None:
    """Answers are made beside each other: each of two here waits for the other."""
    both = threading.Barrier(2, timeout=60)

    def meets(_: Request) -> Answer:
        both.wait()
        return Answer(b"met")

    found: list[int] = []
    with LoopbackServer({"/": meets}) as other:
        threads = [threading.Thread(target=lambda: found.append(ask(other, "/")[0])) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [200, 200]


def test_ports(server: LoopbackServer) -> None:
    """A port that is taken is refused at once, with what to type; closed, also unused, it lets go of its own."""
    taken = int(server.address.rpartition(":")[2])
    with pytest.raises(StateError, match=rf"port {taken} of 127\.0\.0\.1 cannot be used .* PORT=n"):
        LoopbackServer({}, taken)
    unused = LoopbackServer({})
    unused.close()
    unused.close()
    with LoopbackServer({}, int(unused.address.rpartition(":")[2])) as again:
        assert ask(again, "/")[0] == 404


def test_policy() -> None:
    """No page here may ask anything of another place, unless it says so itself."""
    assert POLICY["default-src"] == "'self'"
    assert not any("*" in value or "http" in value for value in POLICY.values())


def test_files_that_came_later(tmp_path: Path) -> None:
    """What is put into a folder after it was listed is not served."""
    route = files_of(tmp_path)
    (tmp_path / "late").write_text("")
    with pytest.raises(NoAnswer):
        route(Request(("late",)))
