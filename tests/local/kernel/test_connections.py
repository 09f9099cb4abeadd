"""Requests over real sockets, to a server that says what it is told to."""

import asyncio
import contextlib
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from local.kernel import connections
from local.kernel.connections import Connections, Unsendable
from local.kernel.responses import Malformed, Response

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers each request with what comes next of `answers`, the last one again and again."""

    def __init__(self, *answers: bytes | None) -> None:
        """An answer of None closes the connection without a word."""
        self.answers = list(answers or [OK])
        self.requests: list[bytes] = []
        self.connections = 0

    @contextlib.asynccontextmanager
    async def running(self, certificate: Path | None = None) -> AsyncIterator[str]:
        context = None
        if certificate:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        scheme = "https" if certificate else "http"
        async with server:
            yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                if answer is None:
                    break
                writer.write(answer)
        writer.close()


Scenario = Callable[[Connections, str], Awaitable[Any]]


def played(server: Server, scenario: Scenario) -> Any:
    """What comes of a scenario with connections, and the server's address."""

    async def run() -> Any:
        made = Connections()
        async with server.running() as url:
            try:
                return await scenario(made, url)
            finally:
                await made.close()

    return asyncio.run(asyncio.wait_for(run(), 10))


def test_a_request_is_written_with_its_length_and_nobody_elses_framing() -> None:
    server = Server()
    headers = {"Host": "elsewhere", "X-Ü": "é", "Content-Length": "9"}

    async def ask(made: Connections, url: str) -> Response:
        return await made.request("POST", f"{url}/a b?q=ü#part", headers, b"hello")

    response = played(server, ask)
    assert (response.status, response.body) == (200, b"ok")
    (written,) = server.requests
    host = written.partition(b"Host: ")[2].partition(b"\r\n")[0]
    assert written.replace(host, b"HOST").decode() == (
        "POST /a%20b?q=%C3%BC HTTP/1.1\r\nHost: HOST\r\nX-Ü: é\r\n"
        "Accept-Encoding: gzip, deflate\r\nContent-Length: 5\r\n\r\nhello"
    )


def test_a_connection_is_used_again_and_two_requests_at_once_have_two() -> None:
    server = Server()

    async def ask(made: Connections, url: str) -> None:
        for _ in range(3):
            await made.request("POST", url, {})
        assert server.connections == 1
        await asyncio.gather(made.request("POST", url, {}), made.request("POST", url, {}))

    played(server, ask)
    assert (len(server.requests), server.connections) == (5, 2)


@pytest.mark.parametrize(
    "answer",
    [
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK + b"HTTP/1.1 200 OK\r\n\r\n",
        OK.replace(b"HTTP/1.1", b"HTTP/1.0"),
    ],
)
def test_one_that_is_no_good_any_more_is_not(answer: bytes) -> None:
    server = Server(answer)

    async def ask(made: Connections, url: str) -> None:
        for _ in range(2):
            assert (await made.request("POST", url, {})).body == b"ok"

    played(server, ask)
    assert server.connections == 2


def test_one_that_was_not_used_for_a_while_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEPT", 0.05)
    server = Server()

    async def ask(made: Connections, url: str) -> None:
        await made.request("POST", url, {})
        await asyncio.sleep(0.2)
        await made.request("POST", url, {})

    played(server, ask)
    assert server.connections == 2


def test_what_may_be_repeated_is_when_a_kept_connection_turns_out_to_be_closed() -> None:
    server = Server(OK, None, OK)

    async def ask(made: Connections, url: str) -> Response:
        await made.request("GET", url, {})
        return await made.request("GET", url, {})

    assert played(server, ask).body == b"ok"
    assert len(server.requests) == 3


def test_anything_else_is_written_once() -> None:
    server = Server(OK, None, OK)

    async def ask(made: Connections, url: str) -> None:
        await made.request("POST", url, {})
        with pytest.raises(ConnectionError):
            await made.request("POST", url, {})

    played(server, ask)
    assert len(server.requests) == 2


@pytest.mark.parametrize("answer", [b"what?\r\n\r\n", OK[:-1], None])
def test_what_is_no_response_is_an_error(answer: bytes | None) -> None:
    async def ask(made: Connections, url: str) -> None:
        async def hang_up(reader: StreamReader, writer: StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer or b"")
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(Malformed):
                await made.request("GET", f"http://localhost:{port}", {})

    played(Server(), ask)


def test_a_server_that_cannot_be_reached_is_no_deadline_that_has_passed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def unreachable(*_: Any, **__: Any) -> None:
        raise TimeoutError("[Errno 110] Connection timed out")

    async def ask(made: Connections, url: str) -> None:
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", unreachable)
        with pytest.raises(ConnectionError, match="does not answer"):
            await made.request("POST", url, {})

    played(Server(), ask)


def test_one_that_is_given_up_leaves_no_connection_behind() -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", OK)

    async def ask(made: Connections, url: str) -> Response:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.request("POST", url, {}), 0.05)
        return await made.request("POST", url, {})

    assert played(server, ask).body == b"ok"
    assert server.connections == 2


def redirected(status: int, method: str, there: str = "/there?a=b") -> list[str]:
    """The first lines of the requests that are made, and whether each has a token."""
    location = f"HTTP/1.1 {status} Moved\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n"
    server = Server(location.encode(), OK)

    async def ask(made: Connections, url: str) -> None:
        headers = {"authorization": "Bearer t"}
        assert (await made.follow(method, f"{url}/here", headers, b"body")).status == 200

    played(server, ask)
    lines = [request.partition(b" HTTP")[0].decode() for request in server.requests]
    return [f"{it} {b'Bearer' in r}" for it, r in zip(lines, server.requests, strict=True)]


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        (302, "POST", "GET"),
        (303, "PUT", "GET"),
        (302, "PUT", "PUT"),
        (307, "POST", "POST"),
        (308, "POST", "POST"),
    ],
)
def test_a_redirect_is_followed(status: int, method: str, after: str) -> None:
    found = redirected(status, method)
    assert found == [f"{method} /here True", f"{after} /there?a=b True"]


def test_a_token_is_for_the_place_that_it_was_given_for() -> None:
    async def run() -> list[str]:
        elsewhere = Server()
        async with elsewhere.running() as url:
            there = url.replace("127.0.0.1", "localhost")
            await asyncio.to_thread(redirected_to, there)
            return [str(b"Bearer" in request) for request in elsewhere.requests]

    assert asyncio.run(run()) == ["False"]


def redirected_to(there: str) -> None:
    """One request that is redirected to another server."""
    answer = f"HTTP/1.1 307 Moved\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n".encode()

    async def ask(made: Connections, url: str) -> None:
        await made.follow("POST", url, {"Authorization": "Bearer t"}, b"body")

    played(Server(answer), ask)


def test_a_circle_of_redirects_ends() -> None:
    server = Server(b"HTTP/1.1 302 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    async def ask(made: Connections, url: str) -> None:
        with pytest.raises(Unsendable, match="too many"):
            await made.follow("GET", url, {})

    played(server, ask)
    assert len(server.requests) == 11


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:99999/", {}),
        ("http:///path", {}),
        ("ftp://127.0.0.1/", {}),
        (f"http://{'x' * 64}.example/", {}),
        ("http://127.0.0.1:1/", {"a": "b\r\nc: d"}),
        ("http://127.0.0.1:1/", {"a\n": "b"}),
        ("http://127.0.0.1:1/", {"a": "\0"}),
        ("http://127.0.0.1:1/", {"a": "\ud800"}),
    ],
)
def test_what_cannot_be_put_on_the_wire_is_not_sent(url: str, headers: dict[str, str]) -> None:
    async def ask(made: Connections, _: str) -> None:
        with pytest.raises(Unsendable):
            await made.request("POST", url, headers)

    played(Server(), ask)


def test_the_user_of_a_url_is_named_in_a_header() -> None:
    server = Server()

    async def ask(made: Connections, url: str) -> None:
        await made.request("POST", url.replace("//", "//ada:p%40ss@"), {})

    played(server, ask)
    assert b"Authorization: Basic YWRhOnBAc3M=\r\n" in server.requests[0]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a key and its certificate for `localhost`, which nobody trusts."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


def encrypted(certificate: Path) -> Response:
    """The response of a server that has this certificate."""

    async def run() -> Response:
        made = Connections()
        async with Server().running(certificate) as url:
            try:
                return await made.request("POST", url.replace("127.0.0.1", "localhost"), {})
            finally:
                await made.close()

    return asyncio.run(run())


@pytest.mark.parametrize("is_trusted", [True, False])
def test_a_certificate_is_verified(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, is_trusted: bool
) -> None:
    connections._encryption.cache_clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate if is_trusted else certificate.parent))
    if is_trusted:
        assert encrypted(certificate).body == b"ok"
    else:
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            encrypted(certificate)
    connections._encryption.cache_clear()
