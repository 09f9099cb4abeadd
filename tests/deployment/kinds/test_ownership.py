"""What exists and is not ours is never changed; what is ours is known again."""

import copy
import re
from typing import Any

import pytest

from deployment.errors import DeploymentError, RefusedError
from deployment.table import ownership
from deployment.table.ownership import Mark
from tests.deployment.conftest import Refusing, Shell
from tests.deployment.project import HASH, LOCATION, PROJECT

MARK = Mark("pulsecart", "default", "europe-west1")
EMAIL = f"tasks-caller@{PROJECT}.iam.gserviceaccount.com"
THEIRS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "topic/commerce-events": ("topic", "commerce-events", {}),
    "subscription/commerce-events-slow": (
        "subscription",
        "commerce-events-slow",
        {"topic": f"projects/{PROJECT}/topics/commerce-events-dead"},
    ),
    "queue/reminders": ("queue", "reminders", {"name": f"{LOCATION}/queues/reminders"}),
    "schedule/weekly-digest": ("job", "weekly-digest", {"name": f"{LOCATION}/jobs/weekly-digest"}),
    "account/tasks-caller": ("account", EMAIL, {"email": EMAIL, "description": "theirs"}),
    "repository/pulsecart-images": (
        "repository",
        "pulsecart-images",
        {"name": f"{LOCATION}/repositories/pulsecart-images"},
    ),
    "database/(default)": (
        "database",
        "(default)",
        {"name": f"projects/{PROJECT}/databases/(default)", "type": "FIRESTORE_NATIVE"},
    ),
    "function/consumer": (
        "function",
        "consumer",
        {
            "name": f"{LOCATION}/functions/consumer",
            "labels": {},
            "serviceConfig": {"uri": f"https://consumer{HASH}"},
        },
    ),
}
"""By what `--adopt` calls them: the kind, the id and the thing as others made it."""


def test_a_mark_survives_labels_and_a_description() -> None:
    assert ownership.of_labels({**MARK.labels, "team": "shop"}) == MARK
    text = ownership.described(MARK, "calls the functions", {"queues": "a,b", "empty": ""})
    assert ownership.of_text(text) == MARK
    assert ownership.notes_of(text) == {"queues": "a,b"}


@pytest.mark.parametrize("text", ["", None, "mine", "[a/b] c", "[a/b/c/d] e", "see [a/b/c]"])
def test_other_descriptions_hold_no_mark(text: str | None) -> None:
    assert ownership.of_text(text) is None


def _seeded(shell: Shell, key: str) -> str:
    kind, name, thing = copy.deepcopy(THEIRS[key])
    thing.setdefault("name", f"projects/{PROJECT}/{kind}s/{name}")
    shell.project.services |= {"cloudtasks", "pubsub", "iam", "cloudscheduler", "run"}
    shell.project.services |= {"artifactregistry", "firestore", "cloudfunctions", "eventarc"}
    if key == "subscription/commerce-events-slow":
        mark = {"labels": MARK.labels}
        dead = f"projects/{PROJECT}/topics/commerce-events-dead"
        shell.project.of("topic")["commerce-events-dead"] = {"name": dead, **mark}
    shell.project.of(kind)[name] = thing
    return shell.project.snapshot()


@pytest.mark.parametrize("key", THEIRS)
def test_a_thing_of_somebody_elses_is_refused_by_name_before_the_first_change(
    shell: Shell, key: str
) -> None:
    before = _seeded(shell, key)
    with pytest.raises(RefusedError, match=re.escape(f"--adopt {key}")):
        shell.apply()
    assert shell.project.snapshot() == before
    assert shell.project.changes == []


def test_adopting_one_thing_adopts_no_other(shell: Shell) -> None:
    _seeded(shell, "topic/commerce-events")
    with pytest.raises(RefusedError, match="topic commerce-events exists"):
        shell.apply(adopt=frozenset({"topic/commerce-events-dead", "queue/commerce-events"}))
    assert shell.project.changes == []


@pytest.mark.parametrize("key", THEIRS)
def test_an_adopted_thing_is_ours_from_then_on(shell: Shell, key: str) -> None:
    _seeded(shell, key)
    shell.apply(adopt=frozenset({key}))
    found = shell.plan()
    assert (found.changes, found.refusals) == ([], [])


def test_a_run_service_that_is_no_function_is_refused(shell: Shell) -> None:
    shell.project.services |= {"run"}
    shell.project.of("run")["consumer"] = {}
    with pytest.raises(RefusedError, match="function consumer: a Cloud Run service of that name"):
        shell.apply()


def test_another_environments_thing_says_whose_it_is(deployed: Shell) -> None:
    labels = deployed.project.of("topic")["commerce-events"]["labels"]
    labels["bundle-environment"] = "staging"
    with pytest.raises(RefusedError, match=r"belongs to \[pulsecart/staging/europe-west1\]"):
        deployed.apply()


NAMED = """
[environments.live]
project = "my-project"
region = "europe-west1"
database = "(default)"
"""


def _named(shell: Shell, text: str = NAMED) -> Shell:
    shell.table += text
    shell.name = "live"
    return shell


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("europe-west1", "us-east1", "deployed in europe-west1"),
        ("(default)", "other", "has its records in the database"),
        ('"europe-west1"', '"europe-west1"\nprefix = "live-"', "with the prefix ''"),
    ],
)
def test_an_environment_does_not_move(shell: Shell, old: str, new: str, text: str) -> None:
    _named(shell).apply()
    before = shell.project.snapshot()
    shell.edit(NAMED, NAMED.replace(old, new))
    with pytest.raises(RefusedError, match=text):
        shell.apply()
    assert shell.project.snapshot() == before


def test_a_database_of_another_environment_is_refused_also_with_adopt(deployed: Shell) -> None:
    text = NAMED.replace("europe-west1", "us-east1") + 'prefix = "live-"\n'
    _named(deployed, text)
    with pytest.raises(RefusedError, match=r"database \(default\) is that of \[pulsecart/default"):
        deployed.apply(adopt=frozenset({"database/(default)"}))


@pytest.mark.parametrize("adopt", [frozenset(), frozenset({"database/(default)"})])
def test_a_database_of_another_mode_is_refused_also_with_adopt(
    shell: Shell, adopt: frozenset[str]
) -> None:
    _seeded(shell, "database/(default)")
    shell.project.of("database")["(default)"]["type"] = "DATASTORE_MODE"
    with pytest.raises(RefusedError, match=r"is DATASTORE_MODE, .* another `database`"):
        shell.apply(adopt=adopt)
    assert shell.project.changes == []


def test_destroy_removes_what_is_ours_and_no_more(deployed: Shell) -> None:
    project = deployed.project
    project.of("topic")["theirs"] = {"name": f"projects/{PROJECT}/topics/theirs"}
    project.of("queue")["theirs"] = {"name": f"{LOCATION}/queues/theirs", "state": "RUNNING"}
    project.grant(f"project {PROJECT}", "roles/viewer", "user:somebody@example.com")
    deployed.destroy()
    left = {kind: set(found) for kind, found in project.things.items() if found}
    assert left.pop("agent")  # Google's own
    assert left == {
        "database": {"(default)"},
        "ttl": set(left["ttl"]),
        "exemption": set(left["exemption"]),
        "topic": {"theirs"},
        "queue": {"theirs", *deployed.work().target.bundle.queues},
        "account": {EMAIL},
    }
    states = {name: it["state"] for name, it in project.of("queue").items()}
    assert states.pop("theirs") == "RUNNING"
    assert set(states.values()) == {"PAUSED"}
    assert project.has(f"project {PROJECT}", "roles/viewer", "user:somebody@example.com")


def test_what_our_accounts_might_do_on_the_project_goes_with_them(deployed: Shell) -> None:
    deployed.destroy()
    members = {
        member for it in deployed.project.policies[f"project {PROJECT}"] for member in it["members"]
    }
    assert members == {"user:owner@example.com"}


def test_destroying_twice_changes_nothing(deployed: Shell) -> None:
    deployed.destroy()
    deployed.project.changes.clear()
    deployed.destroy()
    assert deployed.project.changes == []


def test_a_queue_that_others_made_anew_under_a_noted_name_is_not_removed(deployed: Shell) -> None:
    deployed.project.policies["queue digests"] = []
    deployed.destroy()
    states = {name: it["state"] for name, it in deployed.project.of("queue").items()}
    assert states.pop("digests") == "RUNNING"
    assert set(states.values()) == {"PAUSED"}


def test_after_a_destroy_everything_is_made_again_the_same_day(deployed: Shell) -> None:
    deployed.project.of("queue")["reminders"]["waiting"] = 3
    deployed.destroy()
    assert deployed.project.of("queue")["reminders"]["waiting"] == 0
    deployed.apply()
    assert deployed.plan().refusals == deployed.lines() == []
    assert {it["state"] for it in deployed.project.of("queue").values()} == {"RUNNING"}


def test_what_a_destroy_left_is_purged_by_a_later_one(deployed: Shell) -> None:
    """Also the database, which we made before."""
    deployed.destroy()
    deployed.destroy(purge=True)
    things = {kind: found for kind, found in deployed.project.things.items() if found}
    assert not {"database", "queue", "account"} & set(things)


def test_after_a_destroy_another_database_may_be_used(shell: Shell) -> None:
    _named(shell).apply()
    shell.destroy()
    shell.edit(NAMED, NAMED.replace("(default)", "other")).apply()
    assert set(shell.project.of("database")) == {"(default)", "other"}
    assert shell.lines() == []


def test_a_database_that_was_adopted_is_so_after_a_destroy_too(shell: Shell) -> None:
    _seeded(shell, "database/(default)")
    shell.apply(adopt=frozenset({"database/(default)"}))
    shell.destroy()
    shell.apply()
    shell.destroy(purge=True)
    assert set(shell.project.of("database")) == {"(default)"}


def test_purge_removes_the_queues_too(deployed: Shell) -> None:
    deployed.destroy(purge=True)
    assert deployed.project.of("queue") == deployed.project.of("account") == {}


def test_the_name_of_a_deleted_queue_is_told_before_anything_else_is_made(
    shell: Shell, refusing: Refusing
) -> None:
    error = "ERROR: (gcloud.tasks.queues.create) FAILED_PRECONDITION: … existed too recently."
    refusing("tasks queues create reminders", error, 99)
    with pytest.raises(DeploymentError, match=r"queue reminders: .* wait, or give the environment"):
        shell.apply()
    assert not shell.project.of("database")
    assert not shell.project.of("topic")


def test_purge_removes_the_database_if_we_made_it(deployed: Shell) -> None:
    deployed.destroy(purge=True)
    assert deployed.project.of("database") == {}


def test_purge_of_an_adopted_database_removes_our_collections_alone(shell: Shell) -> None:
    _seeded(shell, "database/(default)")
    shell.apply(adopt=frozenset({"database/(default)"}))
    shell.destroy(purge=True)
    assert set(shell.project.of("database")) == {"(default)"}
    assert "idempotency" in next(iter(shell.project.of("deleted")))
