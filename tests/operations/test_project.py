"""A real project, as an operator has it: `--project`, `--region`, a token, and nothing of the local
cloud at hand but the addresses that stand for Google's."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local.testing import LocalCloud

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
WHERE = ("--project", "shop-project", "--region", "europe-west1")
MINE = ("LOCAL_", "GOOGLE_", "REMINDER_", "FANOUT_", "TASKS_", "SCHEDULER_")
"""What a variable begins with that says where a cloud is."""
GCLOUD = """#!/bin/sh
case "$*" in
  *"quotas info"*) echo '{{}}' ;;  # a project in which nobody may ask for its quotas
  *) LOCAL_URL={url} exec {root}/local/bin/gcloud "$@" ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Somebody with a checkout, a gcloud, and a token in a file."""

    cloud: "LocalCloud"
    folder: Path

    def run(self, *words: str, status: int = 0) -> str:
        """What a command prints; its exit status is as expected."""
        token = ("--access-token-file", str(self.folder / "token"))
        command = [sys.executable, "-P", "-m", "operations", *words, *WHERE, *token]
        done = subprocess.run(
            command, env=self.environ(), cwd=self.folder, capture_output=True, text=True
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    def json(self, *words: str, status: int = 0) -> Any:
        """The document that a command prints."""
        return json.loads(self.run(*words, "--json", status=status))

    def environ(self) -> dict[str, str]:
        """What stands for Google's addresses, and no other word of the local cloud."""
        kept = {name: it for name, it in os.environ.items() if not name.startswith(MINE)}
        ends = {name: it for name, it in self.cloud.env.items() if name.endswith("_EMULATOR_HOST")}
        monitoring = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": f"{self.cloud.url}/"}
        path = os.pathsep.join((str(self.folder), str(Path(sys.executable).parent), kept["PATH"]))
        return {**kept, **ends, **monitoring, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The shop, deployed to a project that no row of the table names."""
    from local.testing import local_cloud  # its clients take a second

    folder = tmp_path_factory.mktemp("operator")
    with local_cloud(tmp_path_factory.mktemp("cloud"), project="shop-project") as cloud:
        gcloud = folder / "gcloud"
        gcloud.write_text(GCLOUD.format(url=cloud.url, root=ROOT))
        gcloud.chmod(0o755)
        (folder / "token").write_text("ya29.a-token\n")
        operator = Operator(cloud=cloud, folder=folder)
        command = [str(ROOT / "deploy.sh"), "apply", *WHERE, "--adopt", "database/(default)"]
        done = subprocess.run(
            [*command, "--no-proof"], env=operator.environ(), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        yield operator


def publish(operator: Operator, event_type: str, event_id: str, **payload: Any) -> None:
    operator.cloud.publish(
        {"event_id": event_id, "event_type": event_type, "user_id": "ada", "payload": payload}
    )
    operator.cloud.idle()


def test_an_event_is_shown_with_what_was_logged(operator: Operator) -> None:
    publish(operator, "user.signed_up", "up-ada", email="ada@shop.example")
    found = operator.json("show", "up-ada", "--logs")
    told = {entry["what"] for entry in found["timeline"]}
    assert {"came to consumer", "message welcome", "log of consumer"} <= told
    assert found["state"] == "done"


def test_a_letter_is_corrected_and_replayed_through_the_topic(operator: Operator) -> None:
    publish(operator, "order.placed", "e-wrong", order_id="o-wrong", total="much")
    rows = operator.json("dead-letters")
    assert [(row["state"], row.get("reason")) for row in rows] == [
        ("open", "malformed"),
        ("slow_lane", None),
    ]
    assert rows[-1]["backlog"] == 0
    letter = rows[0]["id"]
    done = operator.json("dead-letters", "replay", letter, "--set", "payload.total=7")
    assert done == [{"id": letter, "state": "replayed"}]
    assert operator.json("show", "o-wrong")["state"] == "done"


def test_a_reminder_is_moved_and_cancelled(operator: Operator) -> None:
    publish(operator, "cart.abandoned", "e-cart", cart_id="c-1", total=5)
    moved = operator.run("reminders", "reschedule", "cart_abandonment:c-1", "--after", "1d")
    assert moved == "cart_abandonment:c-1: rescheduled\n"
    operator.run("reminders", "cancel", "cart_abandonment:c-1")
    (row,) = operator.json("reminders", "list", "--kind", "cart_abandonment", "--state", "any")
    assert row["state"] == "cancelled"


def test_the_doctor_looks_at_what_is_deployed_and_at_what_it_does(operator: Operator) -> None:
    publish(operator, "order.placed", "e-open", order_id="o-open", total="much")
    found = {row["id"]: row["mend"] for row in operator.json("doctor", status=2)}
    assert found["dead_letters/malformed"] == (
        "./deploy.sh dead-letters list --reason malformed "
        "--project shop-project --region europe-west1"
    )
