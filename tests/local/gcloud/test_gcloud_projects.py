"""Projects, the services enabled in them, and what a command says whose service is not."""

import json

import pytest

from local.gcloud.main import main
from local.testing import local_cloud
from tests.local.gcloud.gcloud_command import Gcloud

NUMBER = "projectNumber"


def test_a_project_has_a_number_of_its_own(gcloud: Gcloud) -> None:
    first, second = (gcloud.read("projects", "describe", id_) for id_ in ("one-project", "another"))
    assert (first["projectId"], first["lifecycleState"]) == ("one-project", "ACTIVE")
    assert first[NUMBER].isdigit()
    assert first[NUMBER] != second[NUMBER]


def test_a_service_is_listed_once_it_is_enabled(gcloud: Gcloud) -> None:
    def listed() -> list[str]:
        found = gcloud.read("services", "list", "--enabled")
        return [service["config"]["name"] for service in found]

    assert "cloudbuild.googleapis.com" not in listed()
    gcloud.run("services", "enable", "cloudbuild.googleapis.com", "--project=local-project")
    assert "cloudbuild.googleapis.com" in listed()
    gcloud.run("services", "disable", "cloudbuild.googleapis.com")
    assert "cloudbuild.googleapis.com" not in listed()


@pytest.mark.parametrize(
    ("words", "begins"),
    [
        (("tasks", "queues", "list", "--location=europe-west1"), "PERMISSION_DENIED: Cloud Tasks"),
        (("functions", "list", "--v2"), "PERMISSION_DENIED: Cloud Functions API has not been used"),
        (("secrets", "list"), "to access projects instance [a-new-project] (or it may not exist)"),
        (("run", "services", "list"), "to access namespaces instance [a-new-project] (or it may"),
        (("pubsub", "topics", "create", "t"), "PERMISSION_DENIED: Cloud Pub/Sub API has not been"),
    ],
)
def test_a_service_that_is_not_enabled_is_told_from_what_is_missing(
    gcloud: Gcloud, words: tuple[str, ...], begins: str
) -> None:
    shown = gcloud.fail(*words, "--project=a-new-project", code=1)
    assert begins in shown
    assert "has not been used in project a-new-project before or it is disabled" in shown
    assert shown.endswith("  reason: SERVICE_DISABLED")
    assert "NOT_FOUND" not in shown


def test_the_versions_and_the_account_are_told(gcloud: Gcloud) -> None:
    assert gcloud.read("version")["Google Cloud SDK"] == "578.0.0"
    assert gcloud.read("config", "get", "core/account") == "developer@example.com"
    assert gcloud.read("config", "get", "project") == "local-project"
    assert gcloud.read("auth", "list")[0]["status"] == "ACTIVE"


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (("tasks", "locations", "list"), None),
        (("functions", "regions", "list", "--gen2"), None),
        (("scheduler", "locations", "list"), "europe-west9"),
    ],
)
def test_the_regions_of_a_service_are_listed(
    gcloud: Gcloud, words: tuple[str, ...], absent: str | None
) -> None:
    regions = [region["locationId"] for region in gcloud.read(*words)]
    assert "europe-west1" in regions
    assert absent not in regions


def test_what_exists_only_behind_a_track_is_found_there(gcloud: Gcloud) -> None:
    shown = gcloud.fail("services", "identity", "create", "--service=pubsub.googleapis.com", code=2)
    assert "Invalid choice: 'identity'." in shown
    assert "gcloud beta services identity" in shown
    made = gcloud.read("beta", "services", "identity", "create", "--service=pubsub.googleapis.com")
    assert made["email"].endswith("@gcp-sa-pubsub.iam.gserviceaccount.com")


def test_an_error_behind_a_track_names_it(gcloud: Gcloud) -> None:
    shown = gcloud.fail("alpha", "monitoring", "policies", "describe", "1")
    assert shown.startswith("ERROR: (gcloud.alpha.monitoring.policies.describe) NOT_FOUND: ")


def test_json_is_sorted_and_everything_is_in_the_project_that_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with local_cloud() as fresh:
        monkeypatch.setenv("LOCAL_URL", fresh.url)
        main(["services", "enable", "iam.googleapis.com", "--project=named-project"])
        create = ["iam", "service-accounts", "create", "worker", "--project=named-project"]
        assert main([*create, "--format=json"]) == 0
        shown = json.loads(capsys.readouterr().out)
    assert shown["email"] == "worker@named-project.iam.gserviceaccount.com"
    assert list(shown) == sorted(shown)
