"""deploy.sh, run against a local cloud through the mini gcloud: plan, apply, again, destroy."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from common.process.variables import VARIABLES
from local.testing import LocalCloud, local_cloud

ROOT = Path(__file__).parents[1]
PLACE = ("--project", "local-project", "--region", "europe-west1")
LOCATION = "projects/local-project/locations/europe-west1"
TRICKY = 'https://mail.test/?a=1,2&say="hi"&path=C:\\new # é'
MAIN = """
import os
import functions_framework

@functions_framework.cloud_event
def consumer(event): pass

@functions_framework.http
def reminder(request): return dict(os.environ)

@functions_framework.http
def fanout(request): return dict(os.environ)
"""
GCLOUD = """#!/bin/sh
printf '%s\\n' "$*" >>"$CALLS"
if [ -n "${FAIL-}" ] && [ ! -e "$CALLS.failed" ]; then
  case "$*" in *"$FAIL"*)
    : >"$CALLS.failed"
    [ -z "${AFTER-}" ] || "$GCLOUD" "$@"
    printf '%s\\n' "$ERROR" >&2
    exit 1
  esac
fi
exec "$GCLOUD" "$@"
"""
LOST_ANSWER = {
    "FAIL": "queues create reminders",
    "AFTER": "it was made",
    "ERROR": "ERROR: (gcloud.tasks.queues.create) ALREADY_EXISTS: Queue already exists",
}
MUTATING = re.compile(
    r"\b(create|update|deploy|delete|enable|pause|resume|\S+-iam-policy-binding)\b"
)


Story = dict[str, Any]
"""What a command did (a `Done`), and what existed after it, by the name of the command."""


class Done(NamedTuple):
    """A finished process."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[str]
    """Those it made of gcloud."""


class Deployment:
    """A copy of deploy.sh with functions of its own, and a gcloud that counts its calls."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        for name in ("common", "functions", "bin"):
            (folder / name).mkdir()
        (folder / "main.py").write_text(MAIN)
        (folder / "requirements.txt").write_text("functions-framework\n")
        shutil.copy(ROOT / "deploy.sh", folder)
        (folder / "bin" / "gcloud").write_text(GCLOUD)
        (folder / "bin" / "gcloud").chmod(0o755)
        path = [folder / "bin", Path(sys.executable).parent, os.environ["PATH"]]
        self.environment = {
            "PATH": os.pathsep.join(map(str, path)),
            "HOME": str(folder),
            "GCLOUD": str(ROOT / "local" / "bin" / "gcloud"),
            "CALLS": str(self.calls),
            "LOCAL_URL": url,
        }

    def run(self, *words: str, **environment: str) -> "Done":
        """Run the script to its end."""
        self.calls.write_text("")
        Path(f"{self.calls}.failed").unlink(missing_ok=True)
        done = subprocess.run(
            [self.folder / "deploy.sh", *words],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        calls = self.calls.read_text().splitlines()
        return Done(done.returncode, done.stdout, done.stderr, calls)

    def edit(self, old: str, new: str) -> None:
        """Change the script's table."""
        script = self.folder / "deploy.sh"
        text = script.read_text()
        assert old in text
        script.write_text(text.replace(old, new))


def state(cloud: LocalCloud) -> dict[str, Any]:
    """What exists: by kind, by name."""
    kinds = {
        "queues": f"/v2/{LOCATION}/queues",
        "functions": f"/v2/{LOCATION}/functions",
        "jobs": f"/v1/{LOCATION}/jobs",
        "topics": "/v1/projects/local-project/topics",
        "subscriptions": "/v1/projects/local-project/subscriptions",
    }
    found = {kind: cloud.request("GET", path).get(kind, []) for kind, path in kinds.items()}
    named = {
        kind: {item["name"].rpartition("/")[2]: item for item in items}
        for kind, items in found.items()
    }
    fields = cloud.request("GET", "/local/v1/resources/fields")["resources"]
    return {**named, "fields": fields}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The life of one deployment: each command's result, and what existed after it."""
    with local_cloud() as cloud:
        deployment = Deployment(tmp_path_factory.mktemp("deployment"), cloud.url)
        told: Story = {}

        def tell(name: str, *words: str, **environment: str) -> None:
            told[name] = deployment.run(*words, **environment), state(cloud)

        tell("plan", "plan", *PLACE)
        tell("apply", "apply", *PLACE, MESSAGING_URL=TRICKY, **LOST_ANSWER)
        told["environment"] = cloud.call("reminder").json(), cloud.call("fanout").json()
        tell("again", "apply", *PLACE, MESSAGING_URL=TRICKY)
        queue = {"retryConfig": {"maxAttempts": 3}}
        path = f"/v2/{LOCATION}/queues/digests"
        cloud.request("PATCH", path, queue, updateMask="retryConfig.maxAttempts")
        cloud.request("POST", f"{path}:pause", {})
        (deployment.folder / "README.md").write_text("not uploaded")
        tell("drift", "apply", *PLACE)
        tell("refused", "destroy", *PLACE)
        tell("destroy", "destroy", *PLACE, "--yes")
        tell("gone", "destroy", *PLACE, "--yes")
        tell("queues", "destroy", *PLACE, "--yes", "--with-queues")
        yield told


def test_a_plan_says_what_would_be_made(story: Story) -> None:
    done, _ = story["plan"]
    assert done.returncode == 0, done.stderr
    for line in ("+ queue reminders", "+ function consumer", "+ schedule weekly-digest"):
        assert line in done.stdout.splitlines()


def test_a_plan_changes_nothing(story: Story) -> None:
    done, exists = story["plan"]
    assert not any(exists.values())
    assert not [call for call in done.calls if MUTATING.search(call)]


def test_a_plan_and_the_apply_after_it_agree(story: Story) -> None:
    planned, applied = (
        {line for line in story[name][0].stdout.splitlines() if line.startswith("+ ")}
        for name in ("plan", "apply")
    )
    assert planned <= applied
    unforeseen = applied - planned
    of_what_is_made = (" may run.invoker on service ", " on subscription eventarc-")
    assert all(any(text in line for text in of_what_is_made) for line in unforeseen), unforeseen


def test_apply_makes_everything(story: Story) -> None:
    done, exists = story["apply"]
    assert done.returncode == 0, done.stderr
    assert set(exists["functions"]) == {"consumer", "reminder", "fanout"}
    assert set(exists["queues"]) == {"reminders", "digests", "inventory", "fanout"}
    assert set(exists["jobs"]) == {"weekly-digest", "reminder-sweep"}
    assert set(exists["topics"]) == {"commerce-events", "commerce-events-dead"}


def test_a_create_whose_answer_was_lost_counts_as_done(story: Story) -> None:
    done, exists = story["apply"]
    assert len([call for call in done.calls if "queues create reminders" in call]) == 1
    assert exists["queues"]["reminders"]["state"] == "RUNNING"


def test_the_schedules_call_fanout_as_the_schedulers_account(story: Story) -> None:
    _, exists = story["apply"]
    job = exists["jobs"]["weekly-digest"]
    url = exists["functions"]["fanout"]["serviceConfig"]["uri"]
    assert (job["schedule"], job["timeZone"], job["httpTarget"]["uri"]) == (
        "0 8 * * 1",
        "Etc/UTC",
        url,
    )
    assert job["httpTarget"]["oidcToken"] == {
        "serviceAccountEmail": "scheduler-caller@local-project.iam.gserviceaccount.com",
        "audience": url,
    }


def test_no_event_is_lost_or_delivered_while_it_is_worked_on(story: Story) -> None:
    _, exists = story["apply"]
    [fed] = [s for name, s in exists["subscriptions"].items() if name != "commerce-events-dead"]
    assert fed["ackDeadlineSeconds"] == 600
    assert fed["messageRetentionDuration"] == "604800s"
    assert fed["deadLetterPolicy"] == {
        "deadLetterTopic": "projects/local-project/topics/commerce-events-dead",
        "maxDeliveryAttempts": 100,
    }
    assert exists["functions"]["consumer"]["eventTrigger"]["retryPolicy"] == "RETRY_POLICY_RETRY"
    kept = exists["subscriptions"]["commerce-events-dead"]["messageRetentionDuration"]
    assert kept == "2678400s"


def test_collections_that_only_grow_expire_and_are_not_indexed_by_it(story: Story) -> None:
    _, exists = story["apply"]
    found = {name.split("/")[5] for name, f in exists["fields"].items() if "ttlConfig" in f}
    assert found == {"idempotency", "reminders", "messages", "fanouts", "dead_letters"}
    assert all(field["indexConfig"] == {"indexes": []} for field in exists["fields"].values())


def test_functions_know_their_own_addresses(story: Story) -> None:
    (reminder, fanout), (_, exists) = story["environment"], story["apply"]
    urls = {name: f["serviceConfig"]["uri"] for name, f in exists["functions"].items()}
    assert reminder["REMINDER_URL"] == fanout["REMINDER_URL"] == urls["reminder"]
    assert fanout["FANOUT_URL"] == fanout["FANOUT_AUDIENCE"] == urls["fanout"]


def test_every_setting_the_functions_read_can_reach_them() -> None:
    elsewhere = {"FUNCTION_TARGET", "K_SERVICE"}  # set by the platform
    named = set(re.findall(r"\b[A-Z][A-Z_]+\b", (ROOT / "deploy.sh").read_text()))
    read = {name for name in VARIABLES if not name.endswith("_EMULATOR_HOST")}
    assert read - elsewhere - {"CONSUMER_URL"} <= named


def test_the_platform_is_said_to_check_callers_unless_it_does_not(story: Story) -> None:
    reminder, _ = story["environment"]
    assert reminder["PLATFORM_CHECKS_CALLERS"] == "yes"


def test_a_setting_survives_whatever_is_in_it(story: Story) -> None:
    reminder, _ = story["environment"]
    assert reminder["MESSAGING_URL"] == TRICKY


def test_a_second_apply_changes_nothing(story: Story) -> None:
    done, _ = story["again"]
    assert done.stdout == "0 changed\n"
    assert not [call for call in done.calls if MUTATING.search(call)]


def test_a_setting_that_is_gone_from_the_environment_is_unset(story: Story) -> None:
    _, exists = story["drift"]
    variables = exists["functions"]["reminder"]["serviceConfig"]["environmentVariables"]
    assert "MESSAGING_URL" not in variables


def test_what_was_changed_by_hand_is_set_right(story: Story) -> None:
    done, exists = story["drift"]
    assert "~ queue digests" in done.stdout.splitlines()
    assert exists["queues"]["digests"]["retryConfig"]["maxAttempts"] == 300


def test_a_queue_somebody_paused_stays_paused_and_is_told_of(story: Story) -> None:
    done, exists = story["drift"]
    assert exists["queues"]["digests"]["state"] == "PAUSED"
    assert "! queue digests is PAUSED: gcloud tasks queues resume digests" in done.stdout


def test_destroy_needs_a_yes(story: Story) -> None:
    done, exists = story["refused"]
    assert done.returncode == 1
    assert "add --yes" in done.stderr
    assert exists == story["drift"][1]


def test_destroy_removes_the_functions_and_what_feeds_them(story: Story) -> None:
    done, exists = story["destroy"]
    assert done.returncode == 0, done.stderr
    for kind in ("functions", "jobs", "topics", "subscriptions"):
        assert exists[kind] == {}


def test_destroy_pauses_the_queues_and_leaves_the_database(story: Story) -> None:
    _, exists = story["destroy"]
    assert {queue["state"] for queue in exists["queues"].values()} == {"PAUSED"}
    assert len(exists["queues"]) == 4
    assert exists["fields"] == story["apply"][1]["fields"]


def test_destroying_again_changes_nothing(story: Story) -> None:
    done, _ = story["gone"]
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 changed"


def test_queues_go_only_when_that_is_said(story: Story) -> None:
    assert story["queues"][1]["queues"] == {}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment to a cloud in which nothing is deployed."""
    with local_cloud() as cloud:
        yield Deployment(tmp_path_factory.mktemp("empty"), cloud.url)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("frob",), "there is no command frob"),
        (("apply",), "--project is ''"),
        (("apply", "--project", "UPPER", "--region", "europe-west1"), "--project is 'UPPER'"),
        (("apply", "--project=my-project", "--region=europe"), "--region is 'europe'"),
        (("apply", "--project"), "--project needs a value"),
        (("apply", *PLACE, "--force"), "apply does not take --force"),
        (("apply", *PLACE, "--yes"), "--yes and --with-queues are for destroy"),
    ],
)
def test_wrong_arguments_are_refused_before_the_first_call(
    empty: Deployment, words: tuple[str, ...], text: str
) -> None:
    done = empty.run(*words)
    assert done.returncode == 1
    assert done.stderr.startswith(f"deploy.sh: {text}")
    assert done.calls == []


def test_a_setting_of_two_lines_is_refused(empty: Deployment) -> None:
    done = empty.run("plan", *PLACE, MESSAGE_FROM="a\nb")
    assert done.stderr == "deploy.sh: MESSAGE_FROM contains a line break or control character\n"


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("50      60       90", "60      60       90", "may work for 60 s, is stopped after 60 s"),
        ("50      60       90", "50      60       60", "loses its claim after 60 s"),
        ("50      60       90", "50      600      900", "must be after 540 s at most"),
        ("50        50       300", "50        50       100", "queue reminders makes 100 attempts"),
        ("100       100      ", "100       500      ", "queues send reminder 550 requests at once"),
        ("5        90000", "5        3600", "schedule weekly-digest is retried for 3600 s"),
        ("DELIVERIES=100", "DELIVERIES=10", "Pub/Sub makes 10 deliveries"),
        ("RETENTION=604800", "RETENTION=3600", "Pub/Sub keeps events for 3600 s"),
    ],
)
def test_numbers_that_do_not_fit_are_refused_before_the_first_call(
    tmp_path: Path, old: str, new: str, text: str
) -> None:
    deployment = Deployment(tmp_path, "http://127.0.0.1:9")
    deployment.edit(old, new)
    done = deployment.run("apply", *PLACE)
    assert done.returncode == 1
    assert text in done.stderr
    assert done.calls == []


def test_a_conflict_of_two_policy_changes_is_tried_again(empty: Deployment) -> None:
    done = empty.run(
        "plan", *PLACE, FAIL="projects get-iam-policy", ERROR="ERROR: concurrent policy changes"
    )
    assert done.returncode == 0, done.stderr
    assert len([call for call in done.calls if "projects get-iam-policy" in call]) == 2


def test_an_error_that_does_not_pass_ends_it_with_gclouds_words(empty: Deployment) -> None:
    error = "ERROR: (gcloud.tasks.queues.list) PERMISSION_DENIED: not you"
    done = empty.run("plan", *PLACE, FAIL="tasks queues list", ERROR=error)
    assert done.returncode != 0
    assert done.stderr == f"deploy.sh: gcloud tasks queues list: {error}\n"
