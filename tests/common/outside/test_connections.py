"""The connections of a thread, over real sockets."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from common.outside import connections
from common.outside.connections import READ, NoAnswerError
from tests.common.web_server import Answer, serving

SHORT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that an earlier test has opened."""
    monkeypatch.setattr(connections, "_thread", threading.local())


def post(url: str, headers: dict[str, str] | None = None) -> str:
    """How the answer begins."""
    return connections.post(url, b"{}", headers or {}, timeout=5.0).start


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """A server, with a new connection for each of these, which it closes behind it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5.0)

        def serve() -> None:
            with contextlib.suppress(OSError):
                for answer in answers:
                    connection, _ = server.accept()
                    with connection:
                        connection.recv(10_000)
                        connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)
        assert not thread.is_alive()


def test_whoever_has_hung_up_is_called_again() -> None:
    with answering(SHORT, SHORT) as url:
        assert post(url) == "ok"
        first = connections._kept(connections._place(url)).sock
        assert connections._is_readable(first, 5.0)  # they have hung up, and said so
        assert post(url) == "ok"


def test_the_rest_of_a_long_answer_is_not_the_next_one() -> None:
    """Nor where it comes late, when the next one is expected."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (READ + 1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5.0)

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(head + b"x" * READ)
                    if connection.recv(10_000):
                        connection.sendall(b"x" + SHORT)
                connection, _ = server.accept()
                with connection:
                    connection.recv(10_000)
                    connection.sendall(SHORT)

        threading.Thread(target=serve).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        assert [post(url), post(url)] == ["x" * READ, "ok"]


@pytest.mark.parametrize("body", [b"", b"x" * (READ - 1), b"x" * READ])
def test_an_answer_that_is_read_whole_leaves_the_connection_open(body: bytes) -> None:
    with serving(lambda asked: Answer(body=body)) as other:
        assert [post(other.url), post(other.url)] == [body.decode()] * 2
    first, second = other.asked
    assert first.peer == second.peer


def test_an_answer_in_chunks_is_read_and_leaves_the_connection_open() -> None:
    chunks = {"Transfer-Encoding": "chunked"}
    with serving(lambda asked: Answer(body=b"2\r\nok\r\n0\r\n\r\n", headers=chunks)) as other:
        assert [post(other.url), post(other.url)] == ["ok", "ok"]
    first, second = other.asked
    assert first.peer == second.peer


@pytest.mark.parametrize("value", ["\u4f60", "a\r\nX-Evil: 1"])
def test_after_an_error_the_next_call_begins_anew(value: str) -> None:
    with serving(lambda asked: Answer(body=b"ok")) as other:
        with pytest.raises((NoAnswerError, UnicodeError)):
            post(other.url, {"X-More": value})
        assert post(other.url) == "ok"
    assert len(other.asked) == 1


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://mail.example", "mail.example", 80, "/"),
        ("https://mail.example/a?b=c#d", "mail.example", 443, "/a?b=c"),
        ("http://mail.example//a", "mail.example", 80, "//a"),
        ("https://[::1]:8443/x y/%41", "::1", 8443, "/x%20y/%41"),
        ("http://bücher.example?q=ü", "xn--bcher-kva.example", 80, "/?q=%C3%BC"),
    ],
)
def test_a_place_is_what_a_request_needs_of_a_url(
    url: str, host: str, port: int, path: str
) -> None:
    at = connections._place(url)
    assert (at.host, at.port, at.path) == (host, port, path)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://mail.example", "http://", "http://a b/", "http://h:x/", f"http://{'a' * 64}/"],
)
def test_what_is_no_url_of_the_web_is_not_asked(url: str) -> None:
    with pytest.raises(NoAnswerError) as refused:
        post(url)
    assert not refused.value.was_sent
