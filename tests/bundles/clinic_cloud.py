"""The clinic as deployed: its three functions under the real framework, on a local cloud."""

import json
import os
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from local.testing import LocalCloud, local_cloud
from tests.common.web_server import Answer, Asked, WebServer, serving

ROOT = Path(__file__).parents[2]
CLINIC = Path(__file__).with_name("clinic")
NOWHERE = "http://127.0.0.1:1"
"""A function's own address, which it uses only for what takes longer than these tests."""
TASKS = "tasks@local-project.iam.gserviceaccount.com"
SCHEDULER = "scheduler@local-project.iam.gserviceaccount.com"
SHOW = """
import sys
from operations.terminal import output
from operations.things import timeline
output.document(timeline.document(timeline.of(sys.argv[1])))
"""
REMINDER, FANOUT = "https://reminder.example", "https://fanout.example"


@dataclass
class Provider:
    """Who takes the clinic's text messages."""

    failures: Counter[str] = field(default_factory=Counter)
    """How often it still fails, by telephone number."""

    def answer(self, asked: Asked) -> Answer:
        """503 while it fails for this number, else its yes."""
        phone = json.loads(asked.body)["to"]
        if not self.failures[phone]:
            return Answer()
        self.failures[phone] -= 1
        return Answer(status=503)


@dataclass(kw_only=True)
class Clinic:
    """The clinic's desk, its world, and what its patients get."""

    source: Path
    """All that is deployed."""
    cloud: LocalCloud
    provider: Provider
    web: WebServer

    def __post_init__(self) -> None:
        self.db = self.cloud.firestore()

    def booked(self, *, ahead: timedelta = timedelta(days=3)) -> dict[str, Any]:
        """The event of an appointment, with a telephone number of its own."""
        payload = {
            "appointment_id": uuid.uuid4().hex,
            "starts_at": (self.cloud.now() + ahead).isoformat(),
            "phone": uuid.uuid4().hex,
        }
        return _event("appointment.booked", payload)

    def praised(self) -> dict[str, Any]:
        """An event that the clinic does nothing about."""
        return _event("appointment.praised", {"stars": 5})

    def patient(self, *, checkup_due: bool) -> str:
        """A patient, in a document that is not named by the patient's id; the telephone number."""
        phone = uuid.uuid4().hex
        fields = {"patient_id": uuid.uuid4().hex, "phone": phone, "checkup_due": checkup_due}
        self.db.collection("patients").add(fields)
        return phone

    def publish(self, *events: dict[str, Any]) -> None:
        """Publish, and return when all is delivered."""
        self.cloud.publish(*events)
        self.cloud.idle()

    def tick(self, at: datetime) -> None:
        """Fire the campaign's job as the tick of that time, and return when all is delivered."""
        self.cloud.tick("checkup-due", at=at)
        self.cloud.idle()

    def requests(self, phone: str) -> list[Asked]:
        """What the provider was asked to send to this number."""
        return [asked for asked in self.web.asked if json.loads(asked.body)["to"] == phone]

    def texts(self, phone: str) -> list[str]:
        """The texts for this number, repeats included."""
        return [json.loads(asked.body)["text"] for asked in self.requests(phone)]

    def shown(self, asked: str) -> dict[str, Any]:
        """What the operations of this repository know of an id, with the clinic's declarations."""
        path = os.pathsep.join(map(str, (self.source, ROOT)))
        environ = {**os.environ, **self.cloud.env, **environment(self), "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-P", "-c", SHOW, asked], env=environ, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def actions(self, event_id: str) -> list[str]:
        """What the consumer logged for an event, as machine-readable actions."""
        lines = [line for line in self.cloud.log("consumer") if line.startswith("{")]
        records = [json.loads(line) for line in lines]
        return [record["action"] for record in records if record.get("event_id") == event_id]


def _event(event_type: str, payload: dict[str, Any]) -> dict[str, Any]:
    """An event about Ada, with an id of its own."""
    event_id = uuid.uuid4().hex
    return {
        "event_id": event_id,
        "event_type": event_type,
        "user_id": "ada",
        "payload": payload,
    }


def bundle(folder: Path) -> Path:
    """The source of the clinic's functions: `common` and the clinic, and nothing else."""
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    source = shutil.copytree(CLINIC, folder, ignore=ignored)
    shutil.copytree(ROOT / "common", source / "common", ignore=ignored)
    shutil.copy(ROOT / "requirements.txt", source)
    return source


@contextmanager
def running(folder: Path) -> Iterator[Clinic]:
    """The clinic, deployed from a copy in `folder`, until the end of the block."""
    provider, source = Provider(), bundle(folder / "bundle")
    with serving(provider.answer) as web, local_cloud(folder / "cloud") as cloud:
        clinic = Clinic(source=source, cloud=cloud, provider=provider, web=web)
        _deploy(clinic)
        yield clinic


def environment(clinic: Clinic, **changes: str) -> dict[str, str]:
    """What the clinic's functions are told, with these changes."""
    return {
        "LOCATION": clinic.cloud.region,
        "REMINDER_URL": NOWHERE,
        "REMINDER_AUDIENCE": REMINDER,
        "FANOUT_URL": NOWHERE,
        "FANOUT_AUDIENCE": FANOUT,
        "TASKS_SERVICE_ACCOUNT": TASKS,
        "SCHEDULER_SERVICE_ACCOUNT": SCHEDULER,
        "TEXT_URL": clinic.web.url,
        "CLINIC_NAME": "Hilltop Clinic",
        **changes,
    }


def _deploy(clinic: Clinic) -> None:
    """The queues, the three functions, the campaign's schedule."""
    cloud = clinic.cloud
    for name in ("reminders", "checkups", "fanout"):
        cloud.queue(name)
    reminder = cloud.deploy(clinic.source, "reminder", env=environment(clinic))
    told = environment(clinic, REMINDER_URL=reminder)
    cloud.deploy(clinic.source, "reminder", env=told)  # again: it sets alarms for itself
    fanout = cloud.deploy(clinic.source, "fanout", env=told)
    told = environment(clinic, REMINDER_URL=reminder, FANOUT_URL=fanout)
    cloud.deploy(clinic.source, "fanout", env=told)  # again, knowing its own address
    cloud.deploy(clinic.source, "consumer", topic="clinic-events", env=told)
    target = {
        "headers": {"Content-Type": "application/json"},
        "body": "eyJjYW1wYWlnbiI6ICJjaGVja3VwX2R1ZSJ9",  # {"campaign": "checkup_due"}
        "oidcToken": {"serviceAccountEmail": SCHEDULER, "audience": FANOUT},
    }
    cloud.job("checkup-due", "0 9 1 * *", fanout, httpTarget=target)
