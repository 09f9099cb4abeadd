"""The bundle as deployed: three functions under the real framework, on a local cloud."""

import json
import tempfile
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1.base_query import FieldFilter

from local.demo.provider import Provider
from local.testing import LocalCloud

ROOT = Path(__file__).parents[2]
TASKS = "tasks@local-project.iam.gserviceaccount.com"
SCHEDULER = "scheduler@local-project.iam.gserviceaccount.com"
REMINDER, FANOUT = "https://reminder.example", "https://fanout.example"
RETRIES = {"maxAttempts": 300, "minBackoff": "10s", "maxBackoff": "600s", "maxDoublings": 5}


@dataclass
class Shop:
    """The shop's producer, its world, and whoever calls its functions."""

    cloud: LocalCloud
    provider: Provider
    urls: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.db = self.cloud.firestore()

    def event(self, event_type: str, user: str, **payload: Any) -> dict[str, Any]:
        """An event with an id of its own."""
        return {
            "event_id": uuid.uuid4().hex,
            "event_type": event_type,
            "user_id": user,
            "payload": payload,
        }

    def publish(self, *events: Any, **how: Any) -> None:
        """Publish, and return when all is delivered."""
        self.cloud.publish(*events, **how)
        self.cloud.idle()

    def user(self, **payload: Any) -> str:
        """A user who has signed up and been welcomed."""
        user = f"user-{uuid.uuid4().hex[:12]}"
        self.publish(self.event("user.signed_up", user, email=f"{user}@example.com", **payload))
        return user

    def messages(self, user: str) -> list[str]:
        """The templates of the messages recorded for a user."""
        return sorted(message["template"] for message in self.message_documents(user))

    def message_documents(self, user: str) -> list[dict[str, Any]]:
        """The records of the messages to a user, oldest first."""
        of_user = FieldFilter("user_id", "==", user)
        found = self.db.collection("messages").where(filter=of_user).stream()
        return sorted((m.to_dict() for m in found), key=lambda message: message["sent_at"])

    def document(self, path: str) -> dict[str, Any] | None:
        """A document's fields."""
        found: dict[str, Any] | None = self.db.document(path).get().to_dict()
        return found

    def dead_letters(self, text: str) -> list[dict[str, Any]]:
        """The dead letters whose payload has this text in it."""
        letters = [letter.to_dict() for letter in self.db.collection("dead_letters").stream()]
        return [letter for letter in letters if text in _text(letter["payload"])]

    def call(
        self, function: str, body: Any, token: str | None = "", **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        """POST to a function, by default as its rightful caller: code, answer, headers."""
        if token == "":
            email, audience = (TASKS, REMINDER) if function == "reminder" else (SCHEDULER, FANOUT)
            token = self.cloud.token(email, audience)
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.urls[function], data, names, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response), response.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error), error.headers

    def get(self, url: str) -> tuple[int, dict[str, Any]]:
        """GET, as anybody."""
        with urllib.request.urlopen(url, timeout=30) as response:
            return response.status, json.load(response)

    def rpcs(self) -> int:
        """How many calls all functions together have made to any service."""
        self.cloud.idle()
        return int(sum(self.cloud.status()["calls"].values()))

    def actions(self, function: str, **fields: Any) -> list[str]:
        """What the function logged for this event or task, as machine-readable actions."""
        records = [json.loads(line) for line in self.cloud.log(function) if line.startswith("{")]
        return [r["action"] for r in records if fields.items() <= r.items()]


@contextmanager
def deployed(cloud: LocalCloud, **settings: str) -> Iterator[Shop]:
    """The shop on this cloud, with a provider of its own."""
    with closing(Provider()) as provider:
        shop = Shop(cloud, provider)
        deploy(shop, **settings)
        yield shop


def deploy(shop: Shop, **settings: str) -> None:
    """The queues, the three functions, the digest's schedule."""
    for name in ("reminders", "digests", "inventory", "fanout"):
        shop.cloud.queue(name, retryConfig=RETRIES)
    environment = {
        "LOCATION": shop.cloud.region,
        "REMINDER_AUDIENCE": REMINDER,
        "FANOUT_AUDIENCE": FANOUT,
        "TASKS_SERVICE_ACCOUNT": TASKS,
        "SCHEDULER_SERVICE_ACCOUNT": SCHEDULER,
        "MESSAGING_URL": f"{shop.provider.url}/mail",
        "INVENTORY_URL": f"{shop.provider.url}/inventory",
        "MESSAGE_FROM": "PulseCart <shop@example.com>",
        **settings,
    }
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text("def reminder(request): ...\nfanout = reminder\n")
        for name in ("reminder", "fanout"):
            shop.urls[name] = shop.cloud.deploy(folder, name)
            environment[f"{name.upper()}_URL"] = shop.urls[name]
        for name in ("reminder", "fanout"):  # again, knowing their own addresses
            shop.cloud.deploy(ROOT, name, env=environment)
    shop.urls["consumer"] = shop.cloud.deploy(
        ROOT, "consumer", topic="commerce-events", env=environment
    )
    target: dict[str, Any] = {"headers": {"Content-Type": "application/json"}}
    target["oidcToken"] = {"serviceAccountEmail": SCHEDULER, "audience": FANOUT}
    target["body"] = "eyJjYW1wYWlnbiI6ICJ3ZWVrbHlfZGlnZXN0In0="  # {"campaign": "weekly_digest"}
    shop.cloud.job("weekly-digest", "0 8 * * 1", shop.urls["fanout"], httpTarget=target)


def _text(payload: str | bytes) -> str:
    return payload if isinstance(payload, str) else payload.decode("latin-1")
