"""The proof at the end: what arrives, what is refused, and what is not seen in time."""

import itertools

import pytest

from deployment.errors import RefusedError
from deployment.gcloud.calls import Failed
from deployment.table import costs
from deployment.verbs import proof
from deployment.verbs.proof import Proof
from tests.deployment.conftest import Shell
from tests.deployment.project import Project


def prove(shell: Shell) -> Proof:
    """Look without sleeping."""
    ticks = itertools.count(step=20)
    return proof.prove(shell.work(), shell.slept.append, lambda: float(next(ticks)))


def test_a_task_a_tick_and_an_event_in_each_lane_reach_each_function(deployed: Shell) -> None:
    found = prove(deployed)
    assert set(found.seen) == {
        "a task on inventory reaches reminder",
        "a task on fanout reaches fanout",
        "a tick of reminder-sweep reaches fanout",
        "an event on commerce-events reaches consumer",
        "an event on commerce-events-dead reaches consumer",
    }
    assert found.unseen == found.refused == []


@pytest.mark.parametrize("what", ["task", "tick"])
def test_a_refusal_is_told_with_its_words(deployed: Shell, what: str) -> None:
    deployed.project.outcomes[what] = {"code": 7, "message": "PERMISSION_DENIED(7): HTTP 403"}
    refused = prove(deployed).refused
    assert refused
    assert all(line.endswith("PERMISSION_DENIED(7): HTTP 403") for line in refused)


def test_what_does_not_arrive_is_not_seen(deployed: Shell) -> None:
    deployed.project.outcomes["event"] = {}
    assert prove(deployed).unseen == [
        "an event on commerce-events reaches consumer",
        "an event on commerce-events-dead reaches consumer",
    ]


def test_nothing_is_sent_through_what_is_paused(deployed: Shell) -> None:
    deployed.pause()
    assert prove(deployed) == Proof(is_paused=True)
    assert not deployed.project.of("message")


def test_a_failure_to_send_is_gclouds_own(deployed: Shell) -> None:
    deployed.project.refuse = lambda words: (
        "ERROR: (gcloud.tasks) PERMISSION_DENIED: no" if "create-http-task" in words else None
    )
    with pytest.raises(Failed, match="PERMISSION_DENIED: no"):
        prove(deployed)


@pytest.mark.parametrize("service", ["functions", "tasks", "scheduler"])
def test_a_region_without_a_service_is_refused_before_the_first_resource(
    shell: Shell, service: str
) -> None:
    shell.project.missing.add(service)
    with pytest.raises(RefusedError, match="region europe-west1 has no Cloud"):
        shell.apply()
    assert all("services" in call[:2] for call in shell.project.changes)


ELSEWHERE = {
    "functions list": "ResponseError: status=[403], code=[Ok], message=[Location europe-west1 is "
    "not found or access is unauthorized.]",
    "scheduler jobs list": "INVALID_ARGUMENT: Location 'europe-west1' is not a valid location.",
}


@pytest.mark.parametrize("words", ELSEWHERE)
def test_a_region_without_an_enabled_service_is_refused_in_the_same_sentence(
    shell: Shell, words: str
) -> None:
    """Once the services are enabled, the lists of the region fail too."""
    shell.project = Project(fresh=False)
    shell.project.missing.add(words.partition(" ")[0])
    shell.project.refuse = lambda call: (
        f"ERROR: (gcloud) {ELSEWHERE[words]}" if " ".join(call).startswith(words) else None
    )
    with pytest.raises(RefusedError, match="region europe-west1 has no Cloud"):
        shell.apply()


def test_a_region_with_too_little_cpu_is_refused_before_the_first_resource(shell: Shell) -> None:
    shell.project.cpu_quota = 19_000
    with pytest.raises(RefusedError, match=r"gives this project 19 vCPU, and .* ask for 16, more"):
        shell.apply()
    assert all("services" in call[:2] for call in shell.project.changes)


def test_a_quota_that_is_just_enough_is_enough(shell: Shell) -> None:
    shell.project.cpu_quota = 20_000
    shell.apply()
    assert shell.lines() == []


def test_a_quota_that_gcloud_does_not_say_is_that_of_the_table(shell: Shell) -> None:
    shell.project.refuse = lambda words: (
        "ERROR: (gcloud.beta.quotas.info.describe) PERMISSION_DENIED: you may not"
        if "quotas" in words
        else None
    )
    shell.apply()
    assert shell.lines() == []


def test_an_old_gcloud_is_refused_before_the_first_change(shell: Shell) -> None:
    shell.project.version = "527.0.1"
    with pytest.raises(RefusedError, match=r"gcloud is 527.0.1, older than 528"):
        shell.apply()
    assert shell.project.changes == []


def test_a_refusal_that_passes_in_time_is_none(deployed: Shell) -> None:
    """A grant that is seconds old: the first answers are 403, then the task is gone."""
    deployed.project.outcomes["task"] = {"code": 7, "message": "HTTP 403"}
    deployed.project.outcomes["tick"] = {"code": 7, "message": "HTTP 403"}
    naps = itertools.count()

    def sleep(seconds: float) -> None:
        if next(naps) == 3:
            deployed.project.outcomes.clear()

    ticks = itertools.count(step=20)
    found = proof.prove(deployed.work(), sleep, lambda: float(next(ticks)))
    assert found.refused == found.unseen == []
    runs = [call for call in deployed.project.changes if call[:3] == ("scheduler", "jobs", "run")]
    assert len(runs) > 1


def test_what_idling_costs_follows_from_the_table(shell: Shell) -> None:
    target = shell.work().target
    assert costs.idle(target) == pytest.approx(9.85 + 0.20, abs=0.05)
    quota, idle, *_ = costs.lines(target)
    assert quota == "functions: at most 16 vCPU of the region's quota"
    assert idle.startswith("idle: about $10.0")
