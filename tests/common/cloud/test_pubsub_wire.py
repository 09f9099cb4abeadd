"""Events over the wire: to the local Pub/Sub, and as Google's is called, with a token."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.oauth2.credentials import Credentials

from common import idempotency
from common.cloud import identity, pubsub
from common.errors import UnavailableError
from common.idempotency import Job, Outcome, Work
from common.process import settings
from local.testing import LocalCloud, local_cloud
from tests.common.web_server import Answer, Asked, WebServer, serving

EVENT = {"event_type": "shipment.sent", "user_id": "ada", "payload": {"n": 1}}


def forget() -> None:
    """What this process has learned of the services."""
    settings.current.cache_clear()
    pubsub._made.cache_clear()


class Events:
    """A topic of the local cloud and who reads it."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self._reader = cloud.subscriber()
        self._name = "projects/local-project/subscriptions/reader"
        topic = cloud.topic("shipments")
        self._reader.create_subscription(name=self._name, topic=topic)

    def read(self, count: int) -> list[dict[str, Any]]:
        """So many events, and the others that are there."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            pulled = self._reader.pull(subscription=self._name, max_messages=10, timeout=10)
            found += [json.loads(it.message.data) for it in pulled.received_messages]
        return found


@pytest.fixture
def events(environment: pytest.MonkeyPatch) -> Iterator[Events]:
    with local_cloud() as cloud:
        for name in ("GOOGLE_CLOUD_PROJECT", "PUBSUB_EMULATOR_HOST"):
            environment.setenv(name, cloud.env[name])
        forget()
        yield Events(cloud)
    forget()


def handled(key: str = "e") -> Any:
    """An event comes, whose handler publishes another one; the id of that one."""

    def handle(work: Work) -> Outcome:
        return Outcome(result=work.publish("shipments", EVENT))

    return idempotency.run(Job(scope="consumer", key=key, identity=key, payload=b""), handle).result


@pytest.mark.usefixtures("documents")
def test_what_is_delivered_twice_publishes_one_event(events: Events) -> None:
    event_id = handled()
    assert handled() == event_id
    other = handled("another")
    found = {it["event_id"]: it for it in events.read(2)}
    assert list(found) == [event_id, other]
    assert found[event_id] == {**EVENT, "event_id": event_id}


@pytest.mark.usefixtures("documents")
def test_an_event_whose_answer_was_lost_comes_again_under_its_id(
    events: Events, environment: pytest.MonkeyPatch
) -> None:
    there = f"http://{events.cloud.env['PUBSUB_EMULATOR_HOST']}"

    def losing(asked: Asked) -> Answer:
        assert requests.post(there + asked.path, data=asked.body, timeout=10).status_code == 200
        return Answer(status=0)

    with serving(losing) as between:
        environment.setenv("PUBSUB_EMULATOR_HOST", between.url.removeprefix("http://"))
        forget()
        with pytest.raises(UnavailableError):
            handled()
    environment.setenv("PUBSUB_EMULATOR_HOST", events.cloud.env["PUBSUB_EMULATOR_HOST"])
    forget()
    event_id = handled()
    assert [it["event_id"] for it in events.read(2)] == [event_id, event_id]


def test_a_topic_that_is_not_there_yet_is_waited_for(events: Events) -> None:
    with pytest.raises(UnavailableError, match="cannot publish on returns: 404"):
        pubsub.publish("returns", EVENT)


@pytest.fixture
def google(environment: pytest.MonkeyPatch) -> Iterator[WebServer]:
    """Google's Pub/Sub and who gives tokens, as one server."""
    tokens = iter(["one", "two", "three"])

    def answer(asked: Asked) -> Answer:
        if asked.path == "/token":
            given = {"access_token": next(tokens), "expires_in": 3600, "token_type": "Bearer"}
            return Answer(body=json.dumps(given).encode(), headers={"Content-Type": "text/json"})
        is_old = asked.headers["authorization"] == "Bearer one" and len(server.asked) > 2
        return Answer(status=401 if is_old else 200, body=b"{}")

    with serving(answer) as server:
        environment.delenv("PUBSUB_EMULATOR_HOST", raising=False)
        environment.setattr(pubsub, "SERVICE", server.url)
        forget()
        yield server
    identity.use(None)
    forget()


def account(folder: Path, token_uri: str) -> Path:
    """The file of a service account whose tokens come from there."""
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    kept = {"type": "service_account", "client_email": "a@p.iam.gserviceaccount.com"}
    path = folder / "account.json"
    path.write_text(json.dumps({**kept, "private_key": key.decode(), "token_uri": token_uri}))
    return path


def test_google_is_called_as_this_process_s_account_and_with_a_new_token_when_one_ends(
    google: WebServer, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = account(tmp_path, f"{google.url}/token")
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    pubsub.publish("shipments", EVENT)
    pubsub.publish("shipments", EVENT)
    published = [it for it in google.asked if it.path != "/token"]
    shown = [it.headers["authorization"] for it in published]
    assert shown == ["Bearer one", "Bearer one", "Bearer two"]
    assert {it.path for it in published} == {"/v1/projects/shop/topics/shipments:publish"}


def test_a_program_may_have_a_token_of_its_own(google: WebServer) -> None:
    identity.use(lambda: Credentials("mine"))
    pubsub.publish("shipments", EVENT)
    assert google.asked[0].headers["authorization"] == "Bearer mine"


@pytest.mark.parametrize("has_file", [True, False])
def test_without_a_token_it_waits(
    google: WebServer, environment: pytest.MonkeyPatch, tmp_path: Path, has_file: bool
) -> None:
    """Nobody gives one, or there is no account at all."""
    path = account(tmp_path, "http://127.0.0.1:1/token") if has_file else tmp_path / "none"
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    with pytest.raises(UnavailableError, match=r"cannot publish on shipments: \w+Error"):
        pubsub.publish("shipments", EVENT)
