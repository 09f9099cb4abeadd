"""A real project, as an operator has it: `--project`, `--region`, a token, and nothing of the local
cloud at hand but the addresses that stand for Google's."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local.testing import LocalCloud

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
MANY = 1000
WHERE = ("--project", "shop-project", "--region", "europe-west1")
SHORT = {"budget": 6, "timeout": 8, "lease": 10}
"""Seconds, of each function."""
LEFT_OUT = shutil.ignore_patterns(".*_cache", ".venv", ".local", ".git", "__pycache__")
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
    checkout: Path = ROOT

    def run(self, *words: str, status: int = 0) -> str:
        """What a command prints; its exit status is as expected."""
        done = subprocess.run(
            self._command(*words),
            env=self.environ(),
            cwd=self.folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, done.stderr
        return done.stdout

    def apply(self, *options: str) -> None:
        """Deploy what the checkout says."""
        command = [str(self.checkout / "deploy.sh"), "apply", *WHERE, *options, "--no-proof"]
        done = subprocess.run(command, env=self.environ(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def started(self, *words: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            self._command(*words),
            env=self.environ(),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def _command(self, *words: str) -> list[str]:
        token = ("--access-token-file", str(self.folder / "token"))
        return [sys.executable, "-P", "-m", "operations", *words, *WHERE, *token]

    def json(self, *words: str, status: int = 0) -> Any:
        """The document that a command prints."""
        return json.loads(self.run(*words, "--json", status=status))

    def environ(self) -> dict[str, str]:
        """What stands for Google's addresses, and no other word of the local cloud."""
        kept = {name: it for name, it in os.environ.items() if not name.startswith(MINE)}
        ends = {name: it for name, it in self.cloud.env.items() if name.endswith("_EMULATOR_HOST")}
        monitoring = {"CLOUDSDK_API_ENDPOINT_OVERRIDES_MONITORING": f"{self.cloud.url}/"}
        path = os.pathsep.join((str(self.folder), str(Path(sys.executable).parent), kept["PATH"]))
        return {**kept, **ends, **monitoring, "PATH": path, "PYTHONPATH": str(self.checkout)}


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
        operator.apply("--adopt", "database/(default)")
        yield operator


def publish(
    operator: Operator, event_type: str, event_id: str, user_id: str = "ada", **payload: Any
) -> None:
    operator.cloud.publish(
        {"event_id": event_id, "event_type": event_type, "user_id": user_id, "payload": payload}
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


def test_a_thousand_letters_are_done_once_each_by_two_operators_one_of_whom_is_interrupted(
    operator: Operator,
) -> None:
    orders = [f"many-{number}" for number in range(MANY)]
    events = [placed(order, total="much", email="eve@shop.example") for order in orders]
    operator.cloud.publish(*events)
    operator.cloud.idle()
    words = ("dead-letters", "replay", "--all", "--user", "eve", "--set", "payload.total=7")
    again = (*words, "--wait", "300s", "--json", "--rate")
    # Both are so slow that neither is done when one is interrupted.
    with operator.started(*again, "20") as first:
        until_sent(operator, 1)
        second = operator.started(*again, "40")
        until_sent(operator, MANY // 10)
        first.send_signal(signal.SIGINT)
        so_far, said = first.communicate()
    with second:
        told, _ = second.communicate()
    assert first.returncode == 130
    assert {row["state"] for row in json.loads(so_far)} <= {"replayed", "waiting", "not sent"}
    assert said.endswith("interrupted: the same command goes on with what is left\n")
    became = Counter(row["state"] for row in json.loads(told))
    assert set(became) <= {"replayed", "not sent"}  # not sent: the first had it replayed already
    operator.run(*words)
    operator.cloud.idle()
    assert operator.json("dead-letters", "list", "--state", "open", "--user", "eve") == []
    causes = Counter(found.get("cause") for found in messages_to(operator, "eve").stream())
    assert causes == dict.fromkeys(orders, 1)


def test_a_person_is_forgotten_after_the_longest_lease(operator: Operator, tmp_path: Path) -> None:
    """Of a table whose leases are short, because they are waited out."""
    operator = with_short_leases(operator, tmp_path)
    operator.apply()
    publish(operator, "user.signed_up", "up-grace", "grace", email="grace@shop.example")
    publish(operator, "cart.abandoned", "e-grace", "grace", cart_id="c-grace", total=5)
    erased = operator.json("erase", "grace", "--yes")
    assert (erased["state"], erased["deleted"]["user"]) == ("erased", 1)
    assert erased["stripped"]["messages"] == 1
    operator.cloud.advance("3h")  # the reminder of the cart would have been sent
    operator.cloud.idle()
    (welcome,) = messages_to(operator, "grace").stream()
    assert "grace@shop.example" not in str(welcome.to_dict())
    again = operator.json("erase", "grace", "--yes")
    assert set(again["deleted"].values()) == {0}


def with_short_leases(operator: Operator, folder: Path) -> Operator:
    """The operator with a checkout of that table."""
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=LEFT_OUT)
    table = checkout / "functions" / "bundle.toml"
    text = table.read_text()
    for name, seconds in SHORT.items():
        text = re.sub(rf"(?m)^{name} = \d+$", f"{name} = {seconds}", text)
    table.write_text(text)
    return replace(operator, checkout=checkout)


def placed(order: str, **payload: Any) -> dict[str, Any]:
    """The event of an order of eve's, whose id is that of the order."""
    event = {"event_id": order, "event_type": "order.placed", "user_id": "eve"}
    return {**event, "payload": {"order_id": order, **payload}}


def messages_to(operator: Operator, user_id: str) -> Any:
    """The query for the messages to somebody."""
    from google.cloud.firestore_v1.base_query import FieldFilter

    wanted = FieldFilter("user_id", "==", user_id)
    return operator.cloud.firestore().collection("messages").where(filter=wanted)


def until_sent(operator: Operator, number: int) -> None:
    """Wait until so many orders of eve's are confirmed."""
    messages = messages_to(operator, "eve").limit(number)
    deadline = time.monotonic() + 120
    while len(list(messages.stream())) < number:
        assert time.monotonic() < deadline, f"no {number} letters were replayed"
        time.sleep(0.1)
