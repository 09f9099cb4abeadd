"""Only the page itself, in a browser of this machine, is answered; only it can change something."""

import pytest
from werkzeug.test import Client, TestResponse

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from operations.console.guard import TOKEN, Guard
from operations.console.server import Console
from operations.place.environment import Place

HERE = "127.0.0.1:8800"
PLACE = Place(
    environment="shop",
    words=["shop"],
    project="shop-project",
    region="europe-west1",
    database="(default)",
    described={"queues": [], "schedules": []},
)


@pytest.fixture
def rules(monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.delenv("LOCAL_URL", raising=False)
    return Guard(port=8800, may_write=True)


@pytest.fixture
def client(rules: Guard, memory: MemoryFirestore) -> Client:
    letter = {"state": "open", "reason": "permanent", "payload": "<script>alert(1)</script>"}
    firestore.commit([Merge(path="dead_letters/one", fields=letter)])
    message = {"html": "<script>alert(1)</script>", "text": "hello", "subject": "hello"}
    firestore.commit([Merge(path="messages/one", fields=message)])
    return Client(Console(PLACE, rules))


def discard(client: Client, **headers: str) -> TestResponse:
    body = {"id": "one", "reason": "a test"}
    given = {"Host": HERE, **headers}
    return client.post("/api/discard", json=body, headers=given)


def test_the_page_is_given_with_its_token(client: Client, rules: Guard) -> None:
    answer = client.get("/", headers={"Host": HERE})
    assert answer.status_code == 200
    assert f'content="{rules.token}"' in answer.text


@pytest.mark.parametrize("host", ["shop.example", "127.0.0.1:1", "", "127.0.0.1:8800.evil.example"])
def test_another_hosts_name_is_refused(client: Client, host: str) -> None:
    for path in ("/", "/api/letters", "/console.js"):
        assert client.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_another_pages_request_is_refused(client: Client, origin: str) -> None:
    headers = {"Host": HERE, "Origin": origin}
    assert client.get("/api/letters", headers=headers).status_code == 403


def test_a_change_needs_the_token_of_the_page(client: Client, rules: Guard) -> None:
    assert discard(client).status_code == 403
    assert discard(client, **{TOKEN: "wrong"}).status_code == 403
    assert firestore.read("dead_letters/one").data["state"] == "open"
    assert discard(client, **{TOKEN: rules.token}).json == {"state": "discarded"}
    assert firestore.read("dead_letters/one").data["state"] == "discarded"


def test_a_console_that_only_shows_changes_nothing(client: Client, rules: Guard) -> None:
    rules.may_write = False
    answer = discard(client, **{TOKEN: rules.token})
    assert (answer.status_code, "--write" in answer.text) == (403, True)
    assert firestore.read("dead_letters/one").data["state"] == "open"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_no_other_method_is_answered(client: Client, method: str) -> None:
    answer = client.open("/api/discard", method=method, headers={"Host": HERE})
    assert answer.status_code == 405


@pytest.mark.parametrize("path", ["/", "/api/letters", "/nothing", "/api/frames/one"])
def test_nothing_that_is_answered_may_load_or_run_anything_of_others(
    client: Client, path: str
) -> None:
    answer = client.get(path, headers={"Host": HERE})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_message_is_shown_where_it_can_do_nothing(client: Client) -> None:
    answer = client.get("/api/frames/one", headers={"Host": HERE})
    assert "<script>" in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox;")
    assert "script-src" not in policy


def test_what_is_stored_is_told_as_json_and_nothing_else(client: Client) -> None:
    answer = client.get("/api/letter?id=one", headers={"Host": HERE})
    assert answer.mimetype == "application/json"


@pytest.mark.parametrize(
    "path", ["/../guard.py", "/page/index.html", "/.env", "/console.py", "/etc/passwd"]
)
def test_only_the_files_of_the_page_are_given(client: Client, path: str) -> None:
    assert client.get(path, headers={"Host": HERE}).status_code == 404


def test_what_is_not_there_is_said(client: Client) -> None:
    answer = client.get("/api/letter?id=none", headers={"Host": HERE})
    assert (answer.status_code, answer.text) == (404, "there is no dead letter none\n")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"id": 1, "reason": "x"}', b'{"id": "one"}'])
def test_a_body_that_is_not_as_it_should_be_is_refused(
    client: Client, rules: Guard, body: bytes
) -> None:
    headers = {"Host": HERE, TOKEN: rules.token, "Content-Type": "application/json"}
    assert client.post("/api/discard", data=body, headers=headers).status_code == 400


def test_what_is_shown_is_kept_nowhere(client: Client) -> None:
    answer = client.get("/api/letter?id=one", headers={"Host": HERE})
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_refusal_is_plain_text(client: Client) -> None:
    answer = client.get("/api/letter?id=<b>none</b>", headers={"Host": HERE})
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")
