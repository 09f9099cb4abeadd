"""The command line: what is printed where, and the exit statuses."""

import io
import json
import signal
import sys
from pathlib import Path

import pytest

import deployment.__main__ as program
from deployment.verbs import applying, proof, trying
from tests.deployment.conftest import ROOT, Shell, deployed_once
from tests.deployment.project import PROJECT, REGION, Project

PLACE = ("--project", PROJECT, "--region", REGION)
SHOP = "my-shop-123"
"""The project of the page about deploying."""
SECRET = 'secrets = ["UNSUBSCRIBE_SECRET"]\n'


@pytest.fixture
def run(shell: Shell, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> "Run":
    """Runs a command line on the project in memory."""
    monkeypatch.setattr(program, "Gcloud", lambda project: shell.project)
    monkeypatch.setattr(signal, "signal", lambda number, handler: None)
    monkeypatch.setattr(program, "TABLE", shell.file)
    monkeypatch.setattr(proof, "PAUSE", 0)
    monkeypatch.setattr(proof, "PATIENCE", 0.1)
    return Run(shell, capsys)


class Run:
    """A command line at a time."""

    def __init__(self, shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
        self.shell = shell
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        self.shell.file.write_text(self.shell.table)
        status = program.main(words)
        self.out, self.err = self._capsys.readouterr()
        return status

    @property
    def project(self) -> Project:
        """What there is."""
        return self.shell.project


def test_a_plan_with_differences_ends_with_2_and_one_without_with_0(run: Run) -> None:
    assert run("plan", *PLACE) == 2
    assert run.out.splitlines()[-1].endswith(" to change")
    assert run("apply", *PLACE) == 0
    assert run("plan", *PLACE) == 0
    assert run.out.splitlines()[-1] == "0 to change"


def test_the_page_shows_what_a_plan_says(run: Run) -> None:
    """After a rate, a function and a role were changed by hand, and a row of the table too."""
    run.shell.project = deployed_once().copy()
    run.project.of("queue")["digests"]["rateLimits"]["maxDispatchesPerSecond"] = 500
    run.project.grant("service fanout", "roles/run.invoker", "allUsers")
    member = f"serviceAccount:run-consumer@{PROJECT}.iam.gserviceaccount.com"
    run.project.grant(f"project {PROJECT}", "roles/editor", member)
    run.shell.edit("max_instances = 6", "max_instances = 5")
    assert run("plan", *PLACE) == 2
    page = (ROOT / "docs" / "deploying.md").read_text()
    shown = page.partition(f"$ ./deploy.sh plan --project {SHOP} --region {REGION}\n~")[2]
    assert run.out.replace(PROJECT, SHOP) == f"~{shown.partition('```')[0]}"


def test_an_apply_ends_with_what_was_proved(run: Run) -> None:
    assert run("apply", *PLACE) == 0
    assert "proved: an event on commerce-events reaches consumer" in run.out.splitlines()
    assert "… proof: " in run.err
    assert run("apply", *PLACE) == 0
    assert run.out == "0 changed\n"


def test_a_check_that_fails_changes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_environment", lambda root, folder: sys.executable)
    default = "[environments.default]\n"
    run.shell.edit(default, f'{default}settings = {{ SMTP_URL = "nonsense" }}\n')
    assert run("apply", *PLACE, "--check") == 1
    assert "deploy.sh: function consumer does not start: " in run.err
    assert run.project.changes == []


def test_no_proof_sends_nothing(run: Run) -> None:
    assert run("apply", *PLACE, "--no-proof") == 0
    assert not run.project.of("message")


def test_a_refused_proof_ends_with_1(run: Run) -> None:
    run.project.outcomes["tick"] = {"code": 7, "message": "HTTP 403"}
    assert run("apply", *PLACE) == 1
    assert "refused: a tick of reminder-sweep reaches fanout: HTTP 403" in run.err


def test_what_has_not_arrived_is_named_and_ends_with_1(run: Run) -> None:
    run.project.outcomes["event"] = {}
    assert run("apply", *PLACE) == 1
    assert "not seen within" in run.err
    assert "an event on commerce-events reaches consumer" in run.err


def test_a_plan_as_json_is_one_document(run: Run) -> None:
    run("apply", *PLACE)
    run.project.of("queue")["digests"]["state"] = "PAUSED"
    assert run("plan", *PLACE, "--json") == 2
    [change] = json.loads(run.out)["changes"]
    assert change == {
        "id": "queue/digests",
        "state": "changed",
        "differences": [{"name": "state", "found": "PAUSED", "wanted": "RUNNING"}],
    }


def test_a_refusal_is_told_on_standard_error_and_ends_with_1(run: Run) -> None:
    run.project.services.add("pubsub")
    topic = {"name": f"projects/{PROJECT}/topics/commerce-events"}
    run.project.of("topic")["commerce-events"] = topic
    assert run("apply", *PLACE) == 1
    assert run.err.startswith("deploy.sh: topic commerce-events exists, and is not of this bundle")


@pytest.mark.parametrize(
    "words", [("plan",), ("plan", "nowhere"), ("secret", *PLACE, "OTHER"), ("destroy", *PLACE)]
)
def test_wrong_usage_ends_with_64(run: Run, words: tuple[str, ...]) -> None:
    if words[0] == "destroy":
        run("apply", *PLACE, "--no-proof")
    assert run(*words) == 64
    assert run.err.startswith("deploy.sh: ")


@pytest.mark.parametrize("words", [("frob",), ("plan", "--frob"), ()])
def test_a_word_that_nobody_knows_ends_with_64(run: Run, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*words)
    assert ended.value.code == 64


def test_a_secret_is_kept_and_read_in_its_version(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.shell.edit("[environments.default]\n", f"[environments.default]\n{SECRET}")
    assert run("apply", *PLACE) == 1
    assert "UNSUBSCRIBE_SECRET has no value: ./deploy.sh secret default UNSUBSCRIBE" in run.err
    for version, value in enumerate(("one", "two"), start=1):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{value}\n"))
        assert run("secret", *PLACE, "UNSUBSCRIBE_SECRET") == 0
        assert value not in run.out + run.err
        assert run("apply", *PLACE, "--no-proof") == 0
        service = run.project.of("function")["consumer"]["serviceConfig"]
        [held] = service["secretEnvironmentVariables"]
        assert (held["key"], held["version"]) == ("UNSUBSCRIBE_SECRET", str(version))
    assert run.project.of("secret")["UNSUBSCRIBE_SECRET"]["values"] == ["one", "two"]


def test_a_new_value_is_a_difference_that_shows_no_value(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.shell.edit("[environments.default]\n", f"[environments.default]\n{SECRET}")
    monkeypatch.setattr(sys, "stdin", io.StringIO("one"))
    run("secret", *PLACE, "UNSUBSCRIBE_SECRET")
    run("apply", *PLACE, "--no-proof")
    monkeypatch.setattr(sys, "stdin", io.StringIO("two"))
    run("secret", *PLACE, "UNSUBSCRIBE_SECRET")
    assert run("plan", *PLACE) == 2
    assert "secrets.UNSUBSCRIBE_SECRET: is UNSUBSCRIBE_SECRET:1, will be" in run.out


def test_the_doctor_finds_nothing_in_what_was_just_deployed(run: Run) -> None:
    run("apply", *PLACE, "--no-proof")
    assert run("doctor", *PLACE) == 0
    assert run.out == "0 findings\n"


def test_each_finding_of_the_doctor_has_what_mends_it(run: Run) -> None:
    assert run("doctor", *PLACE) == 2
    assert "./deploy.sh apply default" in run.out
    run("apply", *PLACE, "--no-proof")
    run.project.of("queue")["digests"]["waiting"] = 1000
    run("pause", *PLACE)
    assert run("doctor", *PLACE, "--json") == 2
    found = {it["id"]: it for it in json.loads(run.out)}
    assert found["environment/default"]["mend"] == "./deploy.sh resume default"
    assert found["queue/digests"]["state"] == "1000 or more tasks wait in it"


@pytest.mark.parametrize("asked", [("functions", "list"), ("tasks", "list")])
def test_a_doctor_that_cannot_ask_does_not_look_well(run: Run, asked: tuple[str, ...]) -> None:
    run.shell.project = deployed_once().copy()
    refused = "ERROR: (gcloud.x) PERMISSION_DENIED: The caller does not have it"
    run.project.refuse = lambda words: refused if words[: len(asked)] == asked else None
    assert run("doctor", *PLACE) == 1
    assert "PERMISSION_DENIED: The caller does not have it" in run.err


def test_destroy_says_what_stays(run: Run) -> None:
    run("apply", *PLACE, "--no-proof")
    assert run("destroy", *PLACE, "--yes") == 0
    lines = run.out.splitlines()
    assert "queue reminders: 0 tasks wait in it" in lines
    assert "database (default) stays; is known to a later apply" in lines


def test_describe_says_what_is_deployed_and_no_secret(run: Run) -> None:
    run("apply", *PLACE, "--no-proof")
    assert run("describe", *PLACE, "--json") == 0
    found = json.loads(run.out)
    assert (found["project"], found["environment"]) == (PROJECT, "default")
    consumer, reminder, _ = found["functions"]
    assert consumer["url"] == "https://consumer-k3jx7ab2wq-ew.a.run.app"
    assert (
        reminder["variables"]["REMINDER_URL"]
        == "https://reminder-123456789012.europe-west1.run.app"
    )
    assert "eventarc" in found["subscriptions"][0]["id"]


def test_an_interrupted_command_says_how_it_goes_on(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(work: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(applying, "apply", interrupt)
    assert run("apply", *PLACE) == 130
    assert run.err == "deploy.sh: interrupted; the same command goes on from here\n"


def test_a_function_that_somebody_is_deploying_is_waited_for(shell: Shell) -> None:
    shell.apply()
    consumer = shell.project.of("function")["consumer"]
    consumer["state"] = "DEPLOYING"
    shell.edit("max_instances = 6", "max_instances = 5")
    work = shell.work()
    work.patience._sleep = lambda seconds: consumer.update(state="ACTIVE")
    applying.apply(work)
    assert "… consumer: being deployed already" in shell.said
    assert shell.lines() == []


def test_a_function_that_is_removed_takes_its_account_and_roles_with_it(
    deployed: Shell, tmp_path: Path
) -> None:
    """The row of fanout goes with all that names it; the code is not what is tested here."""
    before, _, after = deployed.table.partition("[functions.fanout]")
    table = before + after[after.index("# --- The account that builds") :]
    before, _, after = table.partition("[queues.fanout]")
    table = before + after[after.index("# --- Schedules") :]
    before, _, after = table.partition("[schedules.weekly-digest]")
    table = before + after[after.index("# --- Firestore") :]
    deployed.table = table.replace(', "fanout"', "").replace('"fanout"', "")
    deployed.apply()
    member = f"serviceAccount:run-fanout@{PROJECT}.iam.gserviceaccount.com"
    assert set(deployed.project.of("function")) == {"consumer", "reminder"}
    assert not deployed.project.has(f"project {PROJECT}", "roles/datastore.user", member)
    assert not [it for it in deployed.project.of("account") if "fanout" in it]
    assert deployed.lines() == []
