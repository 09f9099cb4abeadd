"""`doctor` as a cron job sees it: well is only what was asked and answered."""

import argparse
import json
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.memory import MemoryFirestore
from operations.doctor import commands
from operations.errors import OperationsError
from operations.flow import queues
from operations.place.environment import Place
from tests.operations.doctor.test_examining import PLACE, Unreachable

DRIFT = {
    "id": "queue/digests",
    "state": "rate: is 500, will be 50",
    "mend": "./deploy.sh apply shop",
}


class Deployed(Place):
    """An environment whose deployed side says what a test has it say."""

    def examined(self) -> list[dict[str, Any]]:
        told = self.described.get("told", [])
        if isinstance(told, Exception):
            raise told
        return list(told)


@pytest.fixture(autouse=True)
def flow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues, schedules and subscriptions are well."""
    state: dict[str, list[Any]] = {"queues": [], "schedules": [], "subscriptions": []}
    monkeypatch.setattr(queues, "state", lambda place: state)


def doctor(told: object = (), *, as_json: bool = False) -> int:
    place = Deployed(**{**vars(PLACE), "described": {"told": told}})
    return commands._doctor(place, argparse.Namespace(json=as_json))


def test_where_all_was_asked_and_nothing_found_it_is_well(
    memory: MemoryFirestore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor() == 0
    assert capsys.readouterr() == ("0 findings\n", "")


def test_what_could_not_be_asked_does_not_look_well(capsys: pytest.CaptureFixture[str]) -> None:
    with firestore.using(Unreachable()):
        assert doctor() == 1
    printed = capsys.readouterr()
    assert printed.out == "0 findings, 3 not asked\n"
    assert printed.err.startswith("! not asked: claims: no route to the service\n")


def test_what_was_found_counts_more_than_what_was_not_asked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with firestore.using(Unreachable()):
        assert doctor([DRIFT], as_json=True) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out) == [DRIFT]
    assert printed.err.count("! not asked: ") == 3


def test_a_deployed_side_that_cannot_be_read_hides_nothing(
    memory: MemoryFirestore, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = OperationsError("gcloud functions list: PERMISSION_DENIED")
    assert doctor(refused) == 1
    assert capsys.readouterr().err == (
        "! not asked: what is deployed: gcloud functions list: PERMISSION_DENIED\n"
    )
