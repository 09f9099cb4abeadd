"""Functions: what a deploy makes, keeps and changes, and the service behind it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.testing import LocalCloud
from tests.local.gcloud.gcloud_command import Gcloud

Deploy = Callable[..., Any]
PLACE = "--region=europe-west1"
MAIN = """
import functions_framework


@functions_framework.http
def hello(request):
    return "hello"


@functions_framework.cloud_event
def listen(event):
    pass
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source")
    (folder / "main.py").write_text(MAIN)
    return folder


@pytest.fixture
def deploy(gcloud: Gcloud, source: Path) -> Deploy:
    """Deploys a function, and returns it as `describe` shows it."""

    def run(name: str, *flags: str) -> Any:
        words = ("functions", "deploy", name, PLACE, "--runtime=python313", f"--source={source}")
        gcloud.run(*words, "--entry-point=hello", *flags)
        return gcloud.read("functions", "describe", name, PLACE)

    return run


def test_a_function_shows_all_it_was_deployed_with(gcloud: Gcloud, deploy: Deploy) -> None:
    gcloud.run("iam", "service-accounts", "create", "runner")
    account = "runner@local-project.iam.gserviceaccount.com"
    images = "projects/local-project/locations/europe-west1/repositories/images"
    shown = deploy(
        *("complete", "--trigger-http", "--memory=512Mi", "--cpu=1", "--concurrency=8"),
        *("--min-instances=0", "--max-instances=6", "--timeout=60s", "--update-labels=app=shop"),
        *(f"--service-account={account}", "--ingress-settings=internal-only"),
        *(f"--build-service-account=projects/local-project/serviceAccounts/{account}",),
        *(f"--docker-repository={images}", "--no-allow-unauthenticated"),
        "--set-build-env-vars=SOURCE_DATE_EPOCH=315532801",
    )
    config, build = shown["serviceConfig"], shown["buildConfig"]
    asked = (
        *("availableMemory", "availableCpu", "maxInstanceRequestConcurrency", "minInstanceCount"),
        *("maxInstanceCount", "timeoutSeconds", "serviceAccountEmail", "ingressSettings"),
    )
    assert [config[key] for key in asked] == [
        *("512Mi", "1", 8, 0, 6, 60, account, "ALLOW_INTERNAL_ONLY")
    ]
    assert (build["runtime"], build["dockerRepository"]) == ("python313", images)
    assert build["environmentVariables"] == {"SOURCE_DATE_EPOCH": "315532801"}
    assert shown["labels"] == {"app": "shop", "deployment-tool": "cli-gcloud"}
    assert (shown["state"], shown["environment"]) == ("ACTIVE", "GEN_2")


def test_what_was_not_asked_for_is_shown_as_the_platform_has_it(deploy: Deploy) -> None:
    config = deploy("plain", "--trigger-http")["serviceConfig"]
    assert (config["maxInstanceCount"], config["ingressSettings"]) == (100, "ALLOW_ALL")
    assert "secretEnvironmentVariables" not in config


KEY = "projects/keys/locations/europe-west1/keyRings/shop/cryptoKeys/functions"
IMAGES = "--docker-repository=projects/local-project/locations/europe-west1/repositories/images"


def test_a_network_and_a_key_are_shown_kept_and_cleared(deploy: Deploy) -> None:
    flags = ("--vpc-connector=net", "--egress-settings=all", f"--kms-key={KEY}", IMAGES)
    deploy("inside", "--trigger-http", *flags)
    shown = deploy("inside", "--update-labels=a=b")
    config = shown["serviceConfig"]
    assert config["vpcConnector"] == "projects/local-project/locations/europe-west1/connectors/net"
    assert (config["vpcConnectorEgressSettings"], shown["kmsKeyName"]) == ("ALL_TRAFFIC", KEY)
    cleared = deploy("inside", "--clear-vpc-connector", "--clear-kms-key")
    assert not {"vpcConnector", "vpcConnectorEgressSettings"} & set(cleared["serviceConfig"])
    assert "kmsKeyName" not in cleared


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--egress-settings=all",), "Missing required argument [vpc-connector]: Flag `--vpc-"),
        (("--kms-key=k", IMAGES), "argument --kms-key: Bad value [k]: KMS key name should match"),
        ((f"--kms-key={KEY}",), "Missing required argument [--docker-repository]: A Docker"),
        ((f"--kms-key={KEY.replace('europe-west1', 'global')}", IMAGES), "Global KMS keyrings are"),
        ((f"--kms-key={KEY.replace('west1', 'west4')}", IMAGES), "KMS keyrings should be created"),
    ],
)
def test_a_network_or_key_that_gcloud_refuses_is_refused(
    gcloud: Gcloud, source: Path, flags: tuple[str, ...], said: str
) -> None:
    words = ("functions", "deploy", "outside", PLACE, "--runtime=python313", f"--source={source}")
    done = gcloud.fail(*words, "--trigger-http", *flags)
    assert said in done


def test_a_trigger_stays_when_a_deploy_does_not_name_one(deploy: Deploy) -> None:
    first = deploy("feeding", "--trigger-topic=feed", "--retry", "--entry-point=listen")
    assert first["eventTrigger"]["retryPolicy"] == "RETRY_POLICY_RETRY"
    again = deploy("feeding", "--update-labels=a=b", "--entry-point=listen")
    assert again["eventTrigger"] == first["eventTrigger"]


def test_the_retry_policy_alone_is_changed_and_a_whole_new_trigger_loses_it(deploy: Deploy) -> None:
    deploy("retried", "--trigger-topic=retries", "--entry-point=listen")
    changed = deploy("retried", "--retry", "--entry-point=listen")
    assert changed["eventTrigger"]["retryPolicy"] == "RETRY_POLICY_RETRY"
    assert changed["eventTrigger"]["pubsubTopic"].endswith("/topics/retries")
    anew = deploy("retried", "--trigger-topic=retries", "--entry-point=listen")
    assert anew["eventTrigger"]["retryPolicy"] == "RETRY_POLICY_DO_NOT_RETRY"


def test_what_feeds_a_function_is_listed_with_its_subscription(
    gcloud: Gcloud, deploy: Deploy
) -> None:
    shown = deploy("listening", "--trigger-topic=heard", "--entry-point=listen")
    triggers = gcloud.read("eventarc", "triggers", "list", "--location=europe-west1")
    (trigger,) = [t for t in triggers if t["destination"]["cloudFunction"] == shown["name"]]
    subscription = trigger["transport"]["pubsub"]["subscription"]
    assert gcloud.read("pubsub", "subscriptions", "describe", subscription)["topic"].endswith(
        "heard"
    )


def test_functions_are_listed_by_region(gcloud: Gcloud, deploy: Deploy) -> None:
    deploy("here", "--trigger-http")
    names = [f["name"].rpartition("/")[2] for f in gcloud.read("functions", "list", "--v2")]
    assert "here" in names
    assert gcloud.read("functions", "list", "--regions=us-east1") == []


def test_everybody_may_call_until_a_deploy_says_otherwise(gcloud: Gcloud, deploy: Deploy) -> None:
    policy = ("run", "services", "get-iam-policy", "open", PLACE)
    deploy("open", "--trigger-http", "--allow-unauthenticated")
    assert gcloud.read(*policy)["bindings"] == [
        {"members": ["allUsers"], "role": "roles/run.invoker"}
    ]
    deploy("open", "--update-labels=a=b")
    assert "bindings" in gcloud.read(*policy)
    deploy("open", "--no-allow-unauthenticated")
    assert "bindings" not in gcloud.read(*policy)


def test_the_service_behind_a_function_has_its_address_and_ingress(
    gcloud: Gcloud, deploy: Deploy
) -> None:
    shown = deploy("behind", "--trigger-http", "--ingress-settings=internal-only")
    services = gcloud.read("run", "services", "list", PLACE)
    (service,) = [s for s in services if s["metadata"]["name"] == "behind"]
    assert service["status"]["url"] == shown["serviceConfig"]["uri"]
    assert service["metadata"]["annotations"]["run.googleapis.com/ingress"] == "internal"
    assert service["metadata"]["labels"]["goog-managed-by"] == "cloudfunctions"


def test_the_check_of_callers_is_switched_off_and_on(gcloud: Gcloud, deploy: Deploy) -> None:
    def unchecked() -> Any:
        service = gcloud.read("run", "services", "describe", "checked", PLACE)
        return service["metadata"]["annotations"].get("run.googleapis.com/invoker-iam-disabled")

    deploy("checked", "--trigger-http")
    gcloud.run("run", "services", "update", "checked", PLACE, "--no-invoker-iam-check")
    assert unchecked() == "true"
    gcloud.run("run", "services", "update", "checked", PLACE, "--invoker-iam-check")
    assert unchecked() is None


def test_a_function_that_does_not_start_is_an_operations_error(
    gcloud: Gcloud, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text("raise SystemExit('no')")
    words = ("functions", "deploy", "broken", PLACE, "--runtime=python313", "--trigger-http")
    shown = gcloud.fail(*words, f"--source={tmp_path}", code=1)
    assert "(gcloud.functions.deploy) OperationError: code=9, message=function broken does" in shown
    assert gcloud.read("functions", "describe", "broken", PLACE)["state"] == "FAILED"


def test_a_missing_service_is_said_in_runs_words(gcloud: Gcloud) -> None:
    shown = gcloud.fail("run", "services", "describe", "nothing", PLACE, code=1)
    assert shown == "ERROR: (gcloud.run.services.describe) Cannot find service [nothing]"


def test_variables_come_from_a_file_of_json(
    gcloud: Gcloud, cloud: LocalCloud, deploy: Deploy, tmp_path: Path
) -> None:
    (tmp_path / "env.json").write_text(json.dumps({"A": 'x"y', "B": "é"}))
    shown = deploy("variables", "--trigger-http", f"--env-vars-file={tmp_path / 'env.json'}")
    assert shown["serviceConfig"]["environmentVariables"] == {"A": 'x"y', "B": "é"}
