"""./deploy.sh, run against a local cloud through its own gcloud: plan, apply, again, destroy."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.testing import LocalCloud, local_cloud

ROOT = Path(__file__).parents[3]
PLACE = ("local", "--adopt", "database/(default)")
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
exec "$GCLOUD" "$@"
"""
CHANGING = re.compile(r"\b(create|update|deploy|delete|enable|pause|resume|add-\S+|remove-\S+)$")

Story = dict[str, Any]
"""What a command did (a `Done`), and what existed after it, by the name of the command."""


class Done(NamedTuple):
    """A finished process."""

    returncode: int
    stdout: str
    stderr: str
    calls: list[str]
    """Those it made of gcloud."""

    @property
    def changes(self) -> list[str]:
        """Those that change something."""
        return [call for call in self.calls if any(map(CHANGING.search, call.split()[:5]))]


class Deployment:
    """A copy of the bundle with a main.py of its own, and a gcloud that writes down its calls."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("common", "deployment", "functions"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        for name in ("deploy.sh", ".gcloudignore"):
            shutil.copy(ROOT / name, folder)
        (folder / "main.py").write_text(MAIN)
        (folder / "requirements.txt").write_text("functions-framework\n")
        (folder / "bin").mkdir()
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

    def run(self, *words: str, **environment: str) -> Done:
        """Run the script to its end."""
        self.calls.write_text("")
        done = subprocess.run(
            [self.folder / "deploy.sh", *words],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=240,
        )
        calls = self.calls.read_text().splitlines()
        return Done(done.returncode, done.stdout, done.stderr, calls)


def state(cloud: LocalCloud) -> dict[str, Any]:
    """What exists: by kind, by name."""
    kinds = {
        "queues": f"/v2/{LOCATION}/queues",
        "functions": f"/v2/{LOCATION}/functions",
        "jobs": f"/v1/{LOCATION}/jobs",
        "topics": "/v1/projects/local-project/topics",
        "subscriptions": "/v1/projects/local-project/subscriptions",
    }
    found = {}
    for kind, path in kinds.items():
        items = cloud.request("GET", path).get(kind, [])
        found[kind] = {item["name"].rpartition("/")[2]: item for item in items}
    return found


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """The life of one deployment: each command's result, and what existed after it."""
    with local_cloud() as cloud:
        deployment = Deployment(tmp_path_factory.mktemp("deployment"), cloud.url)
        told: Story = {}

        def tell(name: str, *words: str, **environment: str) -> None:
            told[name] = deployment.run(*words, **environment), state(cloud)

        tell("plan", "plan", *PLACE)
        tell("apply", "apply", *PLACE, "--no-proof", MESSAGING_URL=TRICKY)
        told["environment"] = cloud.call("reminder").json(), cloud.call("fanout").json()
        (deployment.folder / "README.md").write_text("not uploaded")
        tell("again", "apply", *PLACE, "--no-proof", MESSAGING_URL=TRICKY)
        queue = {"retryConfig": {"maxAttempts": 3}}
        path = f"/v2/{LOCATION}/queues/digests"
        cloud.request("PATCH", path, queue, updateMask="retryConfig.maxAttempts")
        tell("drift", "apply", *PLACE, "--no-proof")
        tell("pause", "pause", "local")
        tell("resume", "resume", "local")
        tell("refused", "destroy", "local")
        tell("destroy", "destroy", "local", "--yes")
        yield told


@pytest.mark.slow
def test_a_plan_says_what_would_be_made_and_makes_nothing(story: Story) -> None:
    done, exists = story["plan"]
    assert done.returncode == 2, done.stderr
    for line in ("+ queue reminders", "+ function consumer", "+ schedule weekly-digest"):
        assert line in done.stdout.splitlines()
    assert not any(exists.values())
    assert not done.changes


@pytest.mark.slow
def test_apply_makes_everything(story: Story) -> None:
    done, exists = story["apply"]
    assert done.returncode == 0, done.stderr
    assert set(exists["functions"]) == {"consumer", "reminder", "fanout"}
    assert set(exists["queues"]) == {"reminders", "digests", "inventory", "fanout"}
    assert set(exists["jobs"]) == {"weekly-digest", "reminder-sweep"}
    assert set(exists["topics"]) == {"commerce-events", "commerce-events-dead"}


@pytest.mark.slow
def test_the_slow_lane_pushes_to_consumer(story: Story) -> None:
    _, exists = story["apply"]
    slow = exists["subscriptions"]["commerce-events-slow"]
    url = exists["functions"]["consumer"]["serviceConfig"]["uri"]
    assert slow["pushConfig"]["pushEndpoint"].rstrip("/") == url


@pytest.mark.slow
def test_functions_know_their_own_addresses(story: Story) -> None:
    (reminder, fanout), (_, exists) = story["environment"], story["apply"]
    urls = {name: f["serviceConfig"]["uri"] for name, f in exists["functions"].items()}
    assert reminder["REMINDER_URL"] == fanout["REMINDER_URL"] == urls["reminder"]
    assert fanout["FANOUT_URL"] == fanout["FANOUT_AUDIENCE"] == urls["fanout"]


@pytest.mark.slow
def test_a_setting_survives_whatever_is_in_it(story: Story) -> None:
    reminder, _ = story["environment"]
    assert reminder["MESSAGING_URL"] == TRICKY


@pytest.mark.slow
def test_nobody_stands_before_the_functions_of_the_local_cloud(story: Story) -> None:
    reminder, _ = story["environment"]
    assert reminder["PLATFORM_CHECKS_CALLERS"] == "no"


@pytest.mark.slow
def test_a_second_apply_changes_nothing(story: Story) -> None:
    done, _ = story["again"]
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "0 changed"
    assert not done.changes


@pytest.mark.slow
def test_a_setting_that_is_gone_from_the_callers_environment_is_unset(story: Story) -> None:
    _, exists = story["drift"]
    variables = exists["functions"]["reminder"]["serviceConfig"]["environmentVariables"]
    assert "MESSAGING_URL" not in variables


@pytest.mark.slow
def test_what_was_changed_by_hand_is_set_right(story: Story) -> None:
    done, exists = story["drift"]
    assert "    max-attempts: is 3, will be -1" in done.stdout.splitlines()
    assert exists["queues"]["digests"]["retryConfig"]["maxAttempts"] == -1


@pytest.mark.slow
def test_a_pause_stops_the_queues_until_they_are_resumed(story: Story) -> None:
    (paused, still), (_, going) = story["pause"], story["resume"]
    assert paused.returncode == 0, paused.stderr
    assert {queue["state"] for queue in still["queues"].values()} == {"PAUSED"}
    assert {queue["state"] for queue in going["queues"].values()} == {"RUNNING"}


@pytest.mark.slow
def test_destroy_needs_a_yes(story: Story) -> None:
    done, exists = story["refused"]
    assert done.returncode == 64
    assert "add --yes" in done.stderr
    assert set(exists["functions"]) == {"consumer", "reminder", "fanout"}


@pytest.mark.slow
def test_destroy_says_what_waits_and_removes_what_is_ours(story: Story) -> None:
    done, exists = story["destroy"]
    assert done.returncode == 0, done.stderr
    assert "queue reminders: 0 tasks wait in it" in done.stdout.splitlines()
    assert {queue["state"] for queue in exists.pop("queues").values()} == {"PAUSED"}
    assert not any(exists.values())


@pytest.mark.slow
def test_an_apply_proves_that_the_functions_are_reached(tmp_path: Path) -> None:
    """The bundle itself, with the proof that a real project gets, and nothing to do after it."""
    with local_cloud() as cloud:
        deployment = Deployment(tmp_path, cloud.url)
        environment = {**deployment.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        run = functools.partial(
            subprocess.run,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
        )
        done = run([ROOT / "deploy.sh", "apply", *PLACE])
        assert done.returncode == 0, done.stderr
        proved = [line for line in done.stdout.splitlines() if line.startswith("proved: ")]
        assert len(proved) == 5
        assert run([ROOT / "deploy.sh", "plan", "local"]).returncode == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("frob",), "there is no command frob"),
        (("apply",), "name an environment of functions/bundle.toml, or --project and --region"),
        (("apply", "nowhere"), "there is no environment nowhere in functions/bundle.toml"),
        (("apply", "--project", "UPPER", "--region", "europe-west1"), "--project and --region.pro"),
        (("apply", "--project=my-project", "--region=europe"), "--project and --region.region:"),
        (("apply", "--project"), "argument --project: expected one argument"),
        (("apply", "local", "--force"), "unrecognized arguments: --force"),
        (("apply", "local", "--yes"), "unrecognized arguments: --yes"),
        (
            ("apply", "--project=local-project", "--region=europe-west1"),
            "project local-project and region europe-west1 are those of the environment local",
        ),
    ],
)
def test_wrong_words_are_refused_before_the_first_call(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    done = Deployment(tmp_path, "http://127.0.0.1:9").run(*words)
    assert done.returncode == 64
    assert done.stderr.startswith(f"deploy.sh: {text}")
    assert done.calls == []


def test_an_old_python_is_refused_in_a_sentence(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, "http://127.0.0.1:9")
    for name in ("python", "python3", *(f"python3.{minor}" for minor in range(11, 15))):
        (tmp_path / "bin" / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = deployment.run("plan", "local")
    assert done.returncode == 64
    assert done.stderr.startswith("deploy.sh: Python 3.11 or newer is needed")
