"""Secrets: made, given versions, read, and put into a function's environment by reference."""

import io
import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.testing import LocalCloud
from tests.local.gcloud.gcloud_command import Gcloud

Give = Callable[[str], None]
PLACE = "--region=europe-west1"
MAIN = """
import os
import functions_framework

@functions_framework.http
def hello(request):
    return {"KEY": os.environ.get("KEY", "")}
"""


@pytest.fixture
def value(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Gives a value on standard input."""

    def give(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    return give


def test_a_secret_is_made_with_its_first_version(gcloud: Gcloud, value: Give) -> None:
    value("one")
    gcloud.run("secrets", "create", "first", "--labels=app=shop", "--data-file=-")
    secret = gcloud.read("secrets", "describe", "first")
    assert (secret["labels"], secret["replication"]) == ({"app": "shop"}, {"automatic": {}})
    assert secret["name"].split("/")[1].isdigit()
    (version,) = gcloud.read("secrets", "versions", "list", "first")
    assert (version["name"].rpartition("/")[2], version["state"]) == ("1", "ENABLED")


def test_versions_are_added_and_read_by_number(gcloud: Gcloud, value: Give) -> None:
    gcloud.run("secrets", "create", "numbered")
    for text in ("one", "two"):
        value(text)
        gcloud.run("secrets", "versions", "add", "numbered", "--data-file=-")
    access = ("secrets", "versions", "access")
    assert gcloud.run(*access, "1", "--secret=numbered") == "one"
    assert gcloud.run(*access, "latest", "--secret=numbered") == "two"
    assert gcloud.read(*access, "2", "--secret=numbered")["payload"]["data"] == "dHdv"


def test_a_version_can_be_destroyed(gcloud: Gcloud, value: Give) -> None:
    value("one")
    gcloud.run("secrets", "create", "destroyed", "--data-file=-")
    gcloud.run("secrets", "versions", "destroy", "1", "--secret=destroyed")
    shown = gcloud.fail("secrets", "versions", "access", "1", "--secret=destroyed", code=1)
    assert "FAILED_PRECONDITION: Secret Version [" in shown


def test_an_empty_value_is_refused(gcloud: Gcloud, value: Give) -> None:
    gcloud.run("secrets", "create", "empty")
    value("")
    shown = gcloud.fail("secrets", "versions", "add", "empty", "--data-file=-", code=1)
    assert "INVALID_ARGUMENT: Secret Payload" in shown


def test_secrets_are_listed_by_label_and_without_values(gcloud: Gcloud, value: Give) -> None:
    value("hidden-value")
    gcloud.run("secrets", "create", "listed", "--labels=mark=mine", "--data-file=-")
    gcloud.run("secrets", "update", "listed", "--update-labels=more=here")
    (secret,) = gcloud.read("secrets", "list", "--filter=labels.mark=mine")
    assert secret["labels"] == {"mark": "mine", "more": "here"}
    assert "hidden-value" not in json.dumps(gcloud.read("secrets", "list"))


def test_what_exists_and_what_does_not(gcloud: Gcloud) -> None:
    gcloud.run("secrets", "create", "taken")
    shown = gcloud.fail("secrets", "create", "taken", code=1)
    assert "Resource in projects [local-project] is the subject of a conflict: Secret [" in shown
    missing = gcloud.fail("secrets", "describe", "nothing", code=1)
    assert "NOT_FOUND: Secret [projects/" in missing


def test_a_function_gets_the_pinned_version_and_shows_a_reference(
    gcloud: Gcloud, cloud: LocalCloud, value: Give, tmp_path: Path
) -> None:
    value("first-value")
    gcloud.run("secrets", "create", "of-a-function", "--data-file=-")
    (tmp_path / "main.py").write_text(MAIN)
    gcloud.run("iam", "service-accounts", "create", "reader")
    account = "reader@local-project.iam.gserviceaccount.com"
    deploy = ("functions", "deploy", "hello", PLACE, "--runtime=python313", "--trigger-http")
    words = (*deploy, f"--source={tmp_path}", f"--service-account={account}")
    unread = gcloud.fail(*words, "--set-secrets=KEY=of-a-function:1", code=1)
    assert "Permission denied on secret: projects/" in unread
    role = ("--role=roles/secretmanager.secretAccessor", f"--member=serviceAccount:{account}")
    gcloud.run("secrets", "add-iam-policy-binding", "of-a-function", *role)
    gcloud.run(*words, "--set-secrets=KEY=of-a-function:1")
    value("second-value")
    gcloud.run("secrets", "versions", "add", "of-a-function", "--data-file=-")
    assert cloud.call("hello").json() == {"KEY": "first-value"}
    shown = gcloud.run("functions", "describe", "hello", PLACE, "--format=json")
    (reference,) = json.loads(shown)["serviceConfig"]["secretEnvironmentVariables"]
    assert (reference["key"], reference["secret"], reference["version"]) == (
        *("KEY", "of-a-function"),
        "1",
    )
    assert "first-value" not in shown + json.dumps(cloud.status())
    gcloud.run(*words, "--set-secrets=KEY=of-a-function:2")
    assert cloud.call("hello").json() == {"KEY": "second-value"}
    gcloud.run(*words, "--clear-secrets")
    assert cloud.call("hello").json() == {"KEY": ""}


def test_a_value_is_in_one_table_of_the_state_and_nowhere_else(
    gcloud: Gcloud, cloud: LocalCloud, value: Give
) -> None:
    value("only-in-one-place")
    gcloud.run("secrets", "create", "kept", "--data-file=-")
    database = sqlite3.connect(cloud.path / "cloud.sqlite")
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    holding = [
        name
        for (name,) in rows
        for row in database.execute(f'SELECT * FROM "{name}"')
        if "only-in-one-place" in str(row)
    ]
    database.close()
    assert holding == ["secret_versions"]
