"""The doctor names what hangs, what is late and what is open, each with what mends it."""

from datetime import timedelta
from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.errors import TransientError
from operations.doctor import examining
from operations.doctor.examining import Finding
from operations.errors import OperationsError
from operations.flow import queues
from operations.letters import dead_letters
from operations.place.environment import Place

PLACE = Place(
    environment="shop",
    words=["shop"],
    project="shop-project",
    region="europe-west1",
    database="(default)",
    described={},
)
QUEUE = {"id": "reminders", "state": "RUNNING", "tasks": 3}
SCHEDULE = {"id": "reminder-sweep", "state": "ENABLED", "status": None}
SUBSCRIPTION = {"id": "commerce-events-slow", "state": None, "backlog": 0}


@pytest.fixture(autouse=True)
def flow(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[dict[str, Any]]]:
    """What gcloud says of queues, schedules and subscriptions: all is well."""
    state: dict[str, list[dict[str, Any]]] = {
        "queues": [dict(QUEUE)],
        "schedules": [dict(SCHEDULE)],
        "subscriptions": [dict(SUBSCRIPTION)],
    }
    monkeypatch.delenv("LOCAL_URL", raising=False)
    monkeypatch.setattr(queues, "state", lambda place: state)
    return state


def found() -> list[Finding]:
    examined = examining.examine(PLACE)
    assert examined.not_asked == []
    return examined.findings


def write(path: str, **fields: Any) -> None:
    firestore.commit([Merge(path=path, fields=fields)])


def test_where_all_is_well_nothing_is_found(memory: MemoryFirestore) -> None:
    write("idempotency/a", state="done", lease_seconds=90)
    write("idempotency/b", state="claimed", lease_seconds=90, scope="consumer", key="e-1")
    write("reminders/a:1", reminder_id="a:1", overdue_at=memory.now)
    write("dead_letters/a", state="replayed", reason="permanent")
    assert found() == []


def test_a_claim_that_nobody_holds_any_more_is_found(memory: MemoryFirestore) -> None:
    write("idempotency/b", state="claimed", lease_seconds=90, scope="consumer", key="e-1")
    memory.advance(timedelta(minutes=15, seconds=80).total_seconds())
    assert found() == []
    memory.advance(20)
    (finding,) = found()
    assert finding.id == "work/consumer/e-1"
    assert finding.mend == "./deploy.sh show shop e-1"


def test_work_that_stops_its_process_again_is_found_at_once(memory: MemoryFirestore) -> None:
    claim = {"state": "claimed", "lease_seconds": 90, "scope": "consumer"}
    write("idempotency/a", **claim, key="e-1", vanished=1)
    write("idempotency/b", **claim, key="e-2", vanished=2)
    (finding,) = found()
    assert finding.id == "work/consumer/e-2"
    assert finding.state == "2 attempts in a row vanished: it kills its process, or hangs"


def test_many_stuck_claims_are_one_line_after_the_first(memory: MemoryFirestore) -> None:
    for number in range(9):
        path, key = f"idempotency/{number}", f"e-{number}"
        write(path, state="claimed", lease_seconds=90, scope="consumer", key=key)
    memory.advance(3600)
    states = [finding.state for finding in found()]
    assert (len(states), states[-1]) == (6, "4 more claims whose lease is over")


def test_a_reminder_that_two_sweeps_have_missed_is_found(memory: MemoryFirestore) -> None:
    write("reminders/a:1", reminder_id="a:1", overdue_at=memory.now)
    memory.advance(1860)
    (finding,) = found()
    assert finding.state.startswith("1 are overdue, a:1 since")


def test_open_letters_are_counted_by_reason(memory: MemoryFirestore) -> None:
    for number in range(3):
        write(f"dead_letters/{number}", state="open", reason="outage")
    write("dead_letters/x", state="open", reason="malformed")
    assert [(each.id, each.state) for each in found()] == [
        ("dead_letters/malformed", "1 open"),
        ("dead_letters/outage", "3 open"),
    ]


@pytest.mark.parametrize(
    ("kind", "change", "state"),
    [
        ("queues", {"state": "PAUSED"}, "is PAUSED"),
        ("queues", {"tasks": 1000}, "1000 tasks wait"),
        ("schedules", {"state": "PAUSED"}, "is PAUSED"),
        ("schedules", {"status": 13}, "its last tick failed with code 13"),
        (
            "subscriptions",
            {"backlog": 1},
            "1 messages in the slow lane: consumer could not do it for hours",
        ),
    ],
)
def test_what_does_not_go_is_found(
    memory: MemoryFirestore,
    flow: dict[str, list[dict[str, Any]]],
    kind: str,
    change: dict[str, Any],
    state: str,
) -> None:
    flow[kind][0].update(change)
    (finding,) = found()
    assert finding.state == state
    assert finding.mend


class Unreachable(MemoryFirestore):
    """A service that is down."""

    asked = 0

    def query(self, *asked: Any) -> Any:
        self.asked += 1
        raise TransientError("no route to the service")


def test_what_cannot_be_asked_is_told_and_the_other_services_are_asked(
    flow: dict[str, list[dict[str, Any]]],
) -> None:
    flow["queues"][0]["state"] = "PAUSED"
    with firestore.using(Unreachable()):
        examined = examining.examine(PLACE)
    assert [it.state for it in examined.findings] == ["is PAUSED"]
    assert examined.not_asked == [
        "claims: no route to the service",
        "reminders: no route to the service",
        "dead letters: no route to the service",
    ]


def test_an_outage_is_waited_for_once() -> None:
    with firestore.using(Unreachable()) as service:
        examining.examine(PLACE)
    assert service.asked == 1


def test_a_claim_that_is_not_as_it_should_be_stops_nothing(memory: MemoryFirestore) -> None:
    write("idempotency/a", state="claimed", lease_seconds="long")
    write("idempotency/b", state="claimed", scope="consumer", key="e-1")
    memory.advance(3600)
    assert found() == []


def test_work_that_is_done_is_not_stuck(memory: MemoryFirestore) -> None:
    write("idempotency/a", state="done", lease_seconds=90, scope="consumer", key="e-1")
    memory.advance(3600)
    assert found() == []


def test_a_reminder_that_one_sweep_may_still_find_is_none(memory: MemoryFirestore) -> None:
    write("reminders/a:1", reminder_id="a:1", overdue_at=memory.now)
    memory.advance(1740)
    assert found() == []


def test_what_gcloud_does_not_count_is_no_finding(
    memory: MemoryFirestore, flow: dict[str, list[dict[str, Any]]]
) -> None:
    flow["queues"][0]["tasks"] = None
    flow["subscriptions"][0]["backlog"] = None
    assert found() == []


def test_a_message_that_waits_in_the_fast_lane_is_none(
    memory: MemoryFirestore, flow: dict[str, list[dict[str, Any]]]
) -> None:
    flow["subscriptions"][0].update(id="commerce-events", backlog=999)
    assert found() == []
    flow["subscriptions"][0].update(backlog=1000)
    (finding,) = found()
    assert finding.state == "1000 messages wait"


def test_one_question_that_is_refused_leaves_the_others(
    memory: MemoryFirestore,
    flow: dict[str, list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(wanted: object) -> Any:
        raise OperationsError("no right to read the letters")

    monkeypatch.setattr(dead_letters, "find", refuse)
    flow["queues"][0]["state"] = "PAUSED"
    examined = examining.examine(PLACE)
    assert [it.state for it in examined.findings] == ["is PAUSED"]
    assert examined.not_asked == ["dead letters: no right to read the letters"]
