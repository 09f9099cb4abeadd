"""Faults: decided by a hash, the same for the same seed, for whom and what they are meant."""

import asyncio
from typing import Any

import grpc
import pytest

from local.kernel import fault_plans
from local.kernel.faults import Fault, Faults, Plan, Rule
from local.kernel.status import Status

FIRESTORE = "google.firestore.v1.Firestore"


def outcome(faults: Any, subject: Any, *, method: str = "Commit", caller: str = "consumer") -> Any:
    """What becomes of one call: its code's name, `lost`, or `fine`."""

    async def call() -> Any:
        return await faults.call(FIRESTORE, method, lambda: subject, caller)

    try:
        fault = asyncio.run(call())
    except Status as status:
        return status.code.name
    return "lost" if fault.lose_reply else "fine"


def story(seed: Any, subjects: Any) -> Any:
    """What becomes of a first and a second call for every subject."""
    faults = Faults(plan=Plan(seed=seed, errors=0.3, lost_replies=0.3))
    return {subject: [outcome(faults, subject) for _ in range(2)] for subject in subjects}


SUBJECTS = [f"orders/{number}" for number in range(40)]


def test_the_same_seed_tells_the_same_story_in_any_order() -> None:
    assert story(1, SUBJECTS) == story(1, list(reversed(SUBJECTS)))


def test_another_seed_tells_another_story() -> None:
    assert story(1, SUBJECTS) != story(2, SUBJECTS)


def test_rates_are_kept_to() -> None:
    seen = [first for first, _ in story(5, [f"d/{n}" for n in range(1000)]).values()]
    assert 0.25 < seen.count("UNAVAILABLE") / 1000 < 0.35
    assert 0.16 < seen.count("lost") / 1000 < 0.26  # 0.3 of the others


def test_a_plan_set_again_begins_its_story_anew() -> None:
    faults = Faults()
    faults.use(Plan(seed=1, errors=0.5))
    first = [outcome(faults, "a") for _ in range(8)]
    faults.use(Plan(seed=1, errors=0.5))
    assert [outcome(faults, "a") for _ in range(8)] == first


def test_tools_and_tests_are_spared_errors() -> None:
    assert outcome(Faults(plan=Plan(errors=1)), "a", caller="") == "fine"


def test_a_rule_decides_alone_for_what_it_covers() -> None:
    rule = Rule(service="Firestore", method="Commit", errors=1, code="ABORTED")
    faults = Faults(plan=Plan(lost_replies=1, rules=(rule,)))
    assert outcome(faults, "a") == "ABORTED"
    assert outcome(faults, "a", method="RunQuery") == "lost"


@pytest.mark.parametrize(
    ("service", "method", "covered"),
    [
        ("Firestore", "*", True),
        (FIRESTORE, "Commit", True),
        ("*", "Commit", True),
        ("CloudTasks", "*", False),
        ("Firestore", "RunQuery", False),
    ],
)
def test_what_a_rule_covers(service: Any, method: str, covered: bool) -> None:
    assert Rule(service=service, method=method).covers(FIRESTORE, "Commit") is covered


def test_what_was_injected_is_counted() -> None:
    faults = Faults(plan=Plan(errors=1))
    outcome(faults, "a")
    assert faults.injected["errors"] == 1


@pytest.mark.parametrize(
    "document",
    [
        {"errors": 1.1},
        {"duplicates": -0.1},
        {"code": "OK"},
        {"latency": -1},
        {"errors": "0.1"},
        {"seed": True},
        {"surprises": 1},
        {"rules": [{"service": "Firestore", "errors": 2}]},
        {"rules": [{"service": "Firestore", "latency": -1}]},
        {"rules": [{"service": "Firestore", "duplicates": 1}]},
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        fault_plans.plan(document)


def test_a_plan_is_shown_without_what_is_at_rest() -> None:
    assert fault_plans.document(fault_plans.plan({"seed": 3, "errors": 0.5})) == {
        "seed": 3,
        "errors": 0.5,
    }
    assert fault_plans.document(Plan()) == {}


@pytest.mark.parametrize(
    ("service", "document", "named"),
    [
        ("firestore", {"errors": 0.1}, "errors"),
        ("firestore", {"crashes": 0.1}, "crashes"),
        ("firestore", {"rules": [{"service": "Firestore"}]}, "a rule for Firestore"),
        ("tasks", {"duplicates": 0.1, "lost_acks": 0.1}, "duplicates, lost-acks"),
        ("pubsub", {"rules": [{"service": "Publisher"}]}, "a rule for Publisher"),
        ("pubsub", {"rules": [{"service": "google.x.Publisher"}]}, "a rule for google.x.Publisher"),
    ],
)
def test_faults_of_a_foreign_service_are_refused_by_name(
    service: str, document: dict[str, Any], named: str
) -> None:
    with pytest.raises(ValueError, match=f"{named}: not possible while .* is served by there:1"):
        fault_plans.check(fault_plans.plan(document), {service: "there:1"})


def test_faults_of_ours_are_allowed_beside_a_foreign_service() -> None:
    rule = {"service": "CloudTasks", "errors": 0.1}
    plan = fault_plans.plan({"duplicates": 0.1, "rules": [rule]})
    fault_plans.check(plan, {"firestore": "there:1"})


def test_an_error_is_answered_before_and_a_loss_after_the_call() -> None:
    """`after` is where a reply is lost: the call has been applied by then."""
    faults = Faults(plan=Plan(lost_replies=1))
    fault = asyncio.run(faults.call(FIRESTORE, "Commit", lambda: "a", "consumer"))
    with pytest.raises(Status) as status:
        fault.after()
    assert status.value.code == grpc.StatusCode.UNAVAILABLE


def test_a_reply_that_nobody_waits_for_is_not_lost_and_what_is_to_follow_follows() -> None:
    """A caller that was killed has hung up."""
    followed: list[str] = []
    fault = Fault(lose_reply=True, hook=lambda: followed.append("it"))
    fault.after(is_answered=False)
    with pytest.raises(Status):
        fault.after()
    assert followed == ["it", "it"]
