"""The table: what is read, what is refused by its path, and that code and table agree."""

import dataclasses
import json
import re
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from common.idempotency.job import RETENTION
from common.process.variables import VARIABLES
from common.scheduling import alarms
from deployment.errors import UsageError
from deployment.table import bundle, checks, costs, declarations, patience, source
from deployment.table.bundle import Bundle
from deployment.table.target import Target
from functions.shop.settings import VARIABLES as SHOP
from tests.deployment.conftest import DECLARED, ROOT, TABLE

TEXT = TABLE.read_text()


def load(tmp_path: Path, old: str = "", new: str = "") -> Bundle:
    """The table with a text that is another one."""
    assert old in TEXT
    path = tmp_path / "bundle.toml"
    path.write_text(TEXT.replace(old, new, 1) if old else TEXT)
    return bundle.load(path)


def target(table: Bundle) -> Target:
    """The environment `default` of some project."""
    environment = bundle.environment(table, project="my-project", region="europe-west1")
    return Target(bundle=table, environment=environment, declared=DECLARED, root=ROOT)


def test_the_table_and_the_code_agree() -> None:
    assert list(declarations.check(bundle.load(TABLE), declarations.read(ROOT))) == []


def test_the_numbers_of_the_table_fit() -> None:
    checks.check(target(bundle.load(TABLE)))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("a_second = 50", "a_second = 50\nrat = 3", "queues.reminders.rat: unknown key"),
        ("[topics.commerce-events]", "[topics.commerce-events]\nx = 1", "topics.commerce-events.x"),
        ("[bundle]", "[bundel]", "bundel: unknown key"),
        ("memory = ", "memroy = ", "functions.consumer.memory: missing"),
        ("cpu = 1", 'cpu = "1"', "functions.consumer.cpu: is '1', but must be a whole number"),
        ("attempts = -1", "attempts = true", "queues.reminders.attempts: is True"),
        ('calls = "consumer"', 'calls = "nobody"', "there is no function nobody"),
        ('woken_by = "commerce-events"', 'woken_by = "other"', "there is no topic other"),
        ('enqueued_by = ["consumer"', 'enqueued_by = ["costumer"', "there is no function costumer"),
        ("overrides.functions.consumer.min", "overrides.functions.consmer.min", "no such row"),
        ("consumer.min_instances = 0", "consumer.instances = 0", "consumer.instances: unknown key"),
        (
            'project = "local-project"',
            'project = "LOCAL"',
            "local.project: is 'LOCAL'",
        ),
        ("[topics.commerce-events]", "[topics.Events]", "topics.Events: a name must be"),
        ("[bundle]", "[bundle", "Expected ']'"),
    ],
)
def test_a_mistake_is_refused_by_its_path(tmp_path: Path, old: str, new: str, text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(text)):
        load(tmp_path, old, new)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"rat: unknown key\n.*rot: unknown key"):
        load(tmp_path, "a_second = 50", "rat = 1\nrot = 2\na_second = 50")


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("budget = 50", "budget = 60", "may work for 60 s, is stopped after 60 s"),
        ("lease = 90", "lease = 60", "loses its claim after 60 s"),
        ("timeout = 60\nlease = 90", "timeout = 600\nlease = 900", "must be after 540 s at most"),
        ("attempts = -1", "attempts = 100", "queues.reminders: makes 100 attempts"),
        ("at_once = 60", "at_once = 500", "queues send it 550 requests at once"),
        ("retried_for = 90000", "retried_for = 3600", "weekly-digest: is retried for 3600 s"),
        ("deliveries = 100", "deliveries = 10", "Pub/Sub makes 10 deliveries"),
        ("keeps = 2678400", "keeps = 3600", "keeps messages for 3600 s"),
        ("keeps = 2678400", "keeps = 2678401", "keeps messages for 2678401 s"),
        ("ack_deadline = 600", "ack_deadline = 30", "Pub/Sub delivers again after 30 s"),
        ("last_pause = 600 ", "last_pause = 900 ", "its pauses must grow, up to 600 s"),
        ("max_instances = 6", "max_instances = 60", "ask for 70 vCPU together"),
        ("min_instances = 1", "min_instances = 9", "has at least 9 instances, but 6 at most"),
        ("a_second = 100", "a_second = 501", "at most 500 calls a second"),
        ("[queues.digests]\n", "[queues.digests]\ncount = 0\n", "count is 0, but must be 1 to 100"),
        (
            "[environments.default]",
            '[environments.default]\nsettings = { SMTP_URL = "smtp://me:pass@mail.test" }',
            "settings.SMTP_URL: holds a password; name it in secrets instead",
        ),
        (
            "[environments.default]",
            '[environments.default]\nsettings = { LEASE_SECONDS = "1" }',
            "settings.LEASE_SECONDS: the deployment says that itself",
        ),
        (
            "[environments.default]",
            '[environments.default]\nsettings = { OUTAGE_PATIENCE = "864000" }',
            "settings.OUTAGE_PATIENCE: is 864000 s, but must be 777600 s at most",
        ),
        (
            "[environments.default]",
            '[environments.default]\nsettings = { OUTAGE_PATIENCE = "7d" }',
            "settings.OUTAGE_PATIENCE: is '7d', but must be a number of seconds",
        ),
        ("keeps = 2678400", "keeps = 604800", "keeps messages for 604800 s, but work waits for 6"),
    ],
)
def test_numbers_that_do_not_fit_are_refused(tmp_path: Path, old: str, new: str, text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(text)):
        checks.check(target(load(tmp_path, old, new)))


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ('campaign = "weekly_digest"', 'campaign = "weekly"', "there is no campaign weekly"),
        ('campaign = "weekly_digest"', 'campaign = "weekly"', "campaign weekly_digest is declared"),
        ("[queues.digests]", "[queues.digest]", "there is no queue digest"),
        (
            "[queues.digests]",
            "[queues.digest]",
            "the queue digests is named by the code",
        ),
        ("[environments.default]", '[environments.default]\nsecrets = ["X_KEY"]', "setting X_KEY"),
        ('"MESSAGING_URL", ', '"MESAGING_URL", ', "no function reads a setting MESAGING_URL"),
    ],
)
def test_what_the_code_does_not_know_is_told(tmp_path: Path, old: str, new: str, text: str) -> None:
    found = list(declarations.check(load(tmp_path, old, new), DECLARED))
    assert [line for line in found if text in line], found


def test_a_function_without_a_row_is_told() -> None:
    declared = dataclasses.replace(DECLARED, functions=DECLARED.functions | {"reports"})
    [line] = declarations.check(bundle.load(TABLE), declared)
    assert line == "functions: the def reports is decorated by entry.…, but no row names it"


def test_whatever_has_a_time_to_go_goes() -> None:
    """Each collection of a folder of `common/` in which `expire_at` is written is in the table.

    The mark of an erasure has no time to go; shards have their collection below that of their run.
    """
    folders = {path.parent for path in (ROOT / "common").rglob("*.py")}
    texts = ["".join(path.read_text() for path in it.glob("*.py")) for it in folders]
    named = {
        name
        for text in texts
        if '"expire_at"' in text
        for name in re.findall(r'^COLLECTION = "(\w+)"', text, re.M)
    }
    assert bundle.load(TABLE).expiring.keys() == (named - {"erased"}) | {"shards"}


def test_every_setting_that_the_functions_read_is_declared_or_computed() -> None:
    table = target(bundle.load(TABLE))
    assert {*VARIABLES, *SHOP} == DECLARED.settings
    assert "MESSAGING_URL" not in table.computed
    assert {"REMINDER_URL", "FANOUT_AUDIENCE", "LOCATION"} <= table.computed


def test_the_patience_is_measured_by_what_the_functions_do() -> None:
    assert float(VARIABLES["OUTAGE_PATIENCE"].default or 0) == patience.USUAL
    assert alarms.HOP.total_seconds() == patience.HOP
    assert (RETENTION - timedelta(days=31)).total_seconds() > 2 * patience.LONGEST


def test_a_second_environment_of_a_project_has_a_database_and_a_prefix_of_its_own(
    tmp_path: Path,
) -> None:
    row = '\n[environments.x]\nproject = "local-project"\nregion = "us-east1"\n'
    with pytest.raises(UsageError, match=r"(?s)\(default\) of local-project is that of.*prefix"):
        load(tmp_path, TEXT, f'{TEXT}{row}database = "(default)"\n')
    load(tmp_path, TEXT, f'{TEXT}{row}database = "other"\nprefix = "x-"\n')


LIVE = """
[environments.live]
project = "my-project"
region = "europe-west1"
database = "live"
"""
OTHER = """
[environments.x]
project = "my-project"
region = "{}"
database = "other"
prefix = "x-"
"""
SHARED = (
    "functions: live, x ask for 32 vCPU together, but must for 16 at most, 80 % of cpu_quota, 20"
)


@pytest.mark.parametrize(("region", "said"), [("europe-west1", [SHARED]), ("us-east1", [])])
def test_the_environments_of_one_region_share_its_quota(
    tmp_path: Path, region: str, said: list[str]
) -> None:
    table = load(tmp_path, TEXT, TEXT + LIVE + OTHER.format(region))
    environment = bundle.environment(table, name="live")
    found = Target(bundle=table, environment=environment, declared=DECLARED, root=ROOT)
    assert [line for line in checks.problems(found) if "vCPU" in line] == said


def test_an_environment_has_its_overrides(tmp_path: Path) -> None:
    table = load(tmp_path)
    local = bundle.environment(table, name="local")
    assert table.functions["consumer"].min_instances == 1
    assert table.with_overrides(local).functions["consumer"].min_instances == 0


def test_a_row_of_several_queues_is_as_many_that_the_code_knows_by_its_name(tmp_path: Path) -> None:
    table = load(tmp_path, "[queues.digests]\n", "[queues.digests]\ncount = 3\n")
    several = [queue for queue in table.queues.values() if queue.group == "digests"]
    assert [queue.name for queue in several] == ["digests-1", "digests-2", "digests-3"]
    assert list(declarations.check(table, DECLARED)) == []
    told = [line for line in costs.lines(target(table)) if "digests" in line]
    assert told == [
        "3 queues digests-…, each at most 100 a second, 60 at once; a million tasks take 56 minutes"
    ]


def test_whoever_publishes_on_a_topic_is_a_function(tmp_path: Path) -> None:
    topic = "[topics.commerce-events]\n"
    table = load(tmp_path, topic, f'{topic}published_by = ["reminder"]\n')
    assert table.topics["commerce-events"].published_by == ("reminder",)
    with pytest.raises(UsageError, match="published_by: there is no function x"):
        load(tmp_path, topic, f'{topic}published_by = ["x"]\n')


def test_the_table_is_not_uploaded_and_not_in_the_digest(tmp_path: Path) -> None:
    names = {path.relative_to(ROOT).as_posix() for path in source.files(ROOT)}
    assert "functions/bundle.toml" not in names
    assert {"main.py", "requirements.txt", "functions/consumer.py", "common/errors.py"} <= names
    assert {name.partition("/")[0] for name in names} == {
        *("main.py", "requirements.txt", "functions", "common")
    }


def _root(folder: Path, *names: str) -> Path:
    """A bundle with such files."""
    (folder / ".gcloudignore").write_text((ROOT / ".gcloudignore").read_text())
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    return folder


@pytest.mark.parametrize("name", ["functions/.env", "common/key.pem", "functions/shop.py~"])
def test_what_is_no_source_is_told_before_it_is_uploaded(tmp_path: Path, name: str) -> None:
    root = _root(tmp_path, "main.py", "requirements.txt", "functions/.DS_Store", name)
    [line] = source.problems(root)
    assert line.startswith(f"{name}: would be uploaded, and is no source")


def test_what_nothing_is_built_without_is_told(tmp_path: Path) -> None:
    [line] = source.problems(_root(tmp_path, "main.py"))
    assert line.startswith("requirements.txt: would not be uploaded")


def test_what_is_uploaded_here_is_source() -> None:
    assert list(source.problems(ROOT)) == []


def test_describe_needs_no_login(tmp_path: Path) -> None:
    """Where gcloud says nothing, the addresses are missing, and nothing else."""
    error = "ERROR: (gcloud.x) UNAUTHENTICATED: x"
    (tmp_path / "gcloud").write_text(f"#!/bin/sh\necho '{error}' >&2\nexit 1\n")
    (tmp_path / "gcloud").chmod(0o755)
    command = ["python3", "-P", "-m", "deployment", "describe", "local", "--json"]
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert [it["url"] for it in found["functions"]] == [None, None, None]
    assert found["subscriptions"][1]["id"] == "commerce-events-slow"
