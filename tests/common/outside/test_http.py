"""Calls to others over HTTP: one POST with its key, to where the setting says and nowhere else."""

import contextlib
import json
import socket
import ssl
import threading
import traceback
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from common.errors import AmbiguousRefusalError, PermanentError, UnavailableError
from common.outside import connections, http
from tests.common.web_server import Answer, Asked, serving

BODY = {"to": "ada", "n": 1}


@pytest.fixture(autouse=True)
def _connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """None that an earlier test has opened."""
    monkeypatch.setattr(connections, "_thread", threading.local())
    connections._verifying.cache_clear()


def post(answer: Answer, key: str = "k-1", headers: Mapping[str, str] | None = None) -> Asked:
    """Post to a server that answers so; what it was asked."""
    with serving(lambda asked: answer) as other:
        http.post_json(f"{other.url}/send?a=1", BODY, key=key, headers=headers)
    (asked,) = other.asked
    return asked


def test_the_body_is_posted_as_json() -> None:
    asked = post(Answer(status=202))
    assert (asked.method, asked.path, json.loads(asked.body)) == ("POST", "/send?a=1", BODY)
    assert asked.headers["content-type"] == "application/json"


def test_the_key_is_the_idempotency_key() -> None:
    assert post(Answer()).headers["idempotency-key"] == "k-1"


def test_no_header_of_the_callers_takes_the_place_of_the_key() -> None:
    asked = post(Answer(), headers={"Idempotency-Key": "other", "X-More": "1"})
    assert (asked.headers["idempotency-key"], asked.headers["x-more"]) == ("k-1", "1")


@pytest.mark.parametrize("key", ["schlüssel", "a\r\nX-Evil: 1", "k" * 201, "a b", "", "\ud800"])
def test_a_key_that_no_header_can_carry_is_hashed(key: str) -> None:
    sent = post(Answer(), key).headers["idempotency-key"]
    assert len(sent) == 64
    assert sent == http.header_key(key) != http.header_key("k-1")


@pytest.mark.parametrize("key", ["k", "k" * 200, "order:o-1/confirmation!~"])
def test_a_short_key_of_ascii_stays_readable(key: str) -> None:
    assert http.header_key(key) == key


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (413, PermanentError),
        (400, AmbiguousRefusalError),
        (401, UnavailableError),
        (503, UnavailableError),
    ],
)
def test_a_refusal_says_what_the_other_side_said(status: int, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"answered {status}: no such user$"):
        post(Answer(status=status, body=b"no such user"))


def test_of_a_long_refusal_only_the_beginning_is_kept() -> None:
    with pytest.raises(PermanentError) as refused:
        post(Answer(status=413, body=b"x" * 1_000_000))
    assert str(refused.value).endswith(": " + "x" * 300)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with serving(lambda asked: Answer()) as elsewhere:
        with pytest.raises(UnavailableError, match=str(status)):
            post(Answer(status=status, headers={"Location": elsewhere.url}))
        assert elsewhere.asked == []


def test_when_the_answer_is_lost_it_may_have_arrived() -> None:
    with pytest.raises(UnavailableError) as lost:
        post(Answer(status=0))
    assert lost.value.outcome_unknown


def test_whoever_is_down_was_told_nothing() -> None:
    with serving(lambda asked: Answer()) as gone:
        url = gone.url
    with pytest.raises(UnavailableError, match="ConnectionRefusedError") as down:
        http.post_json(url, BODY, key="k-1")
    assert not down.value.outcome_unknown


@pytest.mark.parametrize(
    "url", ["http://nowhere.invalid/", "https://127.0.0.1:{port}/", "http://a b/"]
)
def test_an_address_that_leads_nowhere_waits_for_whoever_mends_it(url: str) -> None:
    with serving(lambda asked: Answer()) as plain:
        url = url.replace("{port}", plain.url.rpartition(":")[2])
        with pytest.raises(UnavailableError) as refused:
            http.post_json(url, BODY, key="k-1")
    assert not refused.value.outcome_unknown
    assert plain.asked == []


def test_what_json_cannot_carry_is_given_up() -> None:
    with serving(lambda asked: Answer()) as other, pytest.raises(PermanentError):
        http.post_json(other.url, {"n": float("nan")}, key="k-1")
    assert other.asked == []


@pytest.mark.parametrize("value", ["\u4f60", "a\r\nX-Evil: 1"])
def test_what_a_header_cannot_carry_is_not_sent(value: str) -> None:
    with (
        serving(lambda asked: Answer()) as other,
        pytest.raises((PermanentError, UnavailableError)),
    ):
        http.post_json(other.url, BODY, key="k-1", headers={"X-More": value})
    assert other.asked == []


def test_the_token_is_a_bearer_token() -> None:
    with serving(lambda asked: Answer()) as other:
        http.post_json(other.url, BODY, key="k-1", token="rose")
    assert other.asked[0].headers["authorization"] == "Bearer rose"


def test_name_and_password_of_the_url_are_sent() -> None:
    with serving(lambda asked: Answer()) as other:
        url = other.url.replace("://", "://api:r%40se@")
        http.post_json(url, BODY, key="k-1")
    assert other.asked[0].headers["authorization"] == f"Basic {b64encode(b'api:r@se').decode()}"


def test_whom_nobody_vouches_for_is_told_nothing(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_shake_hands, args=(server, context)).start()
        with pytest.raises(UnavailableError, match="SSLCertVerificationError") as refused:
            http.post_json(f"https://127.0.0.1:{server.getsockname()[1]}", BODY, key="k-1")
    assert not refused.value.outcome_unknown


def self_signed(folder: Path) -> Path:
    """A file with a certificate of 127.0.0.1 by itself, and its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    began = datetime.now(UTC) - timedelta(days=1)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began.replace(year=9000))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    certificate = made.add_extension(address, critical=False).sign(key, hashes.SHA256())
    kind = PrivateFormat.PKCS8
    (folder / "pem").write_bytes(
        key.private_bytes(Encoding.PEM, kind, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return folder / "pem"


def _shake_hands(server: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = server.accept()
    with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True):
        pass
    connection.close()


def test_an_agent_is_named() -> None:
    assert post(Answer()).headers["user-agent"] == http.AGENT


@pytest.mark.parametrize(
    "answer", [Answer(status=0), Answer(status=401, body=b"bad key rose, path thornbush, to ada")]
)
def test_no_error_shows_what_is_secret(answer: Answer) -> None:
    with serving(lambda asked: answer) as other:
        url = f"{other.url}/thornbush/send?key=rosehip"
        with pytest.raises(UnavailableError) as refused:
            http.post_json(url, {"to": "ada"}, key="k-1", token="rose")
    text = "".join(traceback.format_exception(refused.value, chain=True))
    shown = f"{refused.value!r} {text} {refused.value.__context__!r}"
    for secret in ("rose,", "rosehip", "to ada", "path thorn", "HTTPException"):
        assert secret not in shown.replace('key="k-1", token="rose"', "").replace(url, "")
    assert refused.value.__context__ is None


def test_a_name_that_the_other_side_has_moved_to_does_not_get_the_token() -> None:
    with serving(lambda asked: Answer()) as elsewhere:
        moved = Answer(status=308, headers={"Location": elsewhere.url})
        with serving(lambda asked: moved) as other, pytest.raises(UnavailableError, match="308"):
            http.post_json(other.url, BODY, key="k-1", token="rose")
        assert elsewhere.asked == []


def test_another_token_is_another_destination() -> None:
    http.destination.cache_clear()
    url = "https://mail.example"
    assert http.destination(url, "a") == http.destination(url, "a") != http.destination(url, "b")


def test_a_destination_shows_no_key() -> None:
    made = http.destination("https://u:p@mail.example:8443/send?key=rose", "token")
    assert made.name == "https://mail.example"


def test_whoever_is_silent_is_given_up_in_time() -> None:
    done = threading.Event()
    with serving(lambda asked: Answer(status=200 if done.wait(2) else 0)) as silent:
        with pytest.raises(UnavailableError, match="TimeoutError") as lost:
            http.post_json(silent.url, BODY, key="k-1", timeout=0.1)
        assert lost.value.outcome_unknown
        done.set()


def test_a_token_in_a_header_is_not_shown() -> None:
    with pytest.raises(UnavailableError) as refused:
        post(Answer(status=401, body=b"no: rosehip"), headers={"Authorization": "Bearer rosehip"})
    assert "rosehip" not in str(refused.value)


@pytest.mark.parametrize(("timeout", "connecting"), [(2.0, 2.0), (20.0, 5.0)])
def test_connecting_takes_no_longer_than_the_call(
    timeout: float, connecting: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def keep(address: object, timeout: object, *more: object) -> None:
        asked.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", keep)
    with pytest.raises(UnavailableError, match="TimeoutError") as refused:
        http.post_json("http://example.com", BODY, key="k-1", timeout=timeout)
    assert asked == [connecting]
    assert not refused.value.outcome_unknown


@pytest.mark.parametrize(
    "broken", [{"Content-Length": "100"}, {"Transfer-Encoding": "chunked"}], ids=str
)
def test_a_yes_whose_body_breaks_off_is_a_yes(broken: dict[str, str]) -> None:
    """Sending again because of an answer's end would be sending twice."""
    headers = {**broken, "Connection": "close"}
    assert post(Answer(status=200, body=b"{", headers=headers)).method == "POST"


def test_an_answer_that_comes_drop_by_drop_is_left() -> None:
    """Each drop comes in time, and the whole never."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_drip, args=(server, ended)).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(AmbiguousRefusalError, match="answered 400: drip"):
            http.post_json(url, BODY, key="k-1", timeout=0.2)
        assert not ended.is_set()
        ended.set()


def _drip(server: socket.socket, ended: threading.Event) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4000\r\n\r\ndrip")
        drops = 0
        while not ended.wait(0.05) and (drops := drops + 1) < 100:
            with contextlib.suppress(OSError):
                connection.sendall(b".")
        ended.set()


def test_a_thread_keeps_its_connection() -> None:
    with serving(lambda asked: Answer(body=b"ok")) as other:
        http.post_json(other.url, BODY, key="k-1")
        http.post_json(other.url, BODY, key="k-2")
    first, second = other.asked
    assert first.peer == second.peer


def test_threads_do_not_share_a_connection() -> None:
    together = threading.Barrier(2, timeout=10)
    with serving(lambda asked: Answer(status=200 + 0 * together.wait())) as other:
        call: Any = {"target": http.post_json, "args": (other.url, BODY), "kwargs": {"key": "k"}}
        threads = [threading.Thread(**call) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    first, second = other.asked
    assert first.peer != second.peer


def test_no_proxy_has_a_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert post(Answer()).path == "/send?a=1"


def test_no_password_is_taken_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert "authorization" not in post(Answer()).headers
