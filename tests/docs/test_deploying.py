"""The page about deploying names what the table has, and no option that there is not."""

import re

import pytest

from deployment import __main__ as program
from deployment.table import bundle
from deployment.table.target import PURPOSES
from tests.docs.scratch import ROOT

PAGE = (ROOT / "docs" / "deploying.md").read_text()
CREATED = PAGE.partition("## What is created\n")[2].partition("\n## ")[0]
TABLE = bundle.load(ROOT / "functions" / "bundle.toml")
VERBS = ("plan", "apply", "destroy", "doctor", "pause", "resume", "secret")


@pytest.mark.parametrize("kind", ["functions", "topics", "queues", "schedules", "alerts"])
def test_everything_in_the_table_is_on_the_page(kind: str) -> None:
    named = set(re.findall(r"`([^`]+)`", CREATED))
    assert set(getattr(TABLE, kind)) <= named


def test_every_account_is_on_the_page() -> None:
    named = set(re.findall(r"`([^`]+)`", CREATED))
    assert {*PURPOSES, *(f"run-{name}" for name in TABLE.functions)} <= named


def test_every_option_on_the_page_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    for verb in VERBS:
        with pytest.raises(SystemExit):
            program.main([verb, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= known


def test_every_verb_is_on_the_page_and_in_the_help() -> None:
    door = (ROOT / "deploy.sh").read_text()
    for verb in VERBS:
        assert f"`{verb} ENV`" in PAGE or f"./deploy.sh {verb} ENV" in PAGE
        assert f"./deploy.sh {verb} " in door


def test_every_kind_that_is_created_has_its_terraform_resource() -> None:
    mapped = PAGE.partition("| here | resource |\n")[2].partition("\n\n")[0]
    resources = dict(re.findall(r"^\| (\w+) \| .*`(google_\w+)`", mapped, re.MULTILINE))
    created = set(re.findall(r"^\| (\w+) \|", CREATED, re.MULTILINE))
    assert {"functions", "queues"} < created <= set(resources)
