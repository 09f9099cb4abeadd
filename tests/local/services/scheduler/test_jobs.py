"""Jobs as the API shows and changes them."""

import base64
from typing import Any

import pytest

from local.kernel.status import Status
from tests.local.services.scheduler.scheduler_cloud import PARENT, Local


def test_new_job_shows_the_platforms_defaults(local: Local) -> None:
    """What was not said is filled in."""
    job = local.get(local.create())
    assert job["state"] == "ENABLED"
    assert job["timeZone"] == "Etc/UTC"
    assert job["attemptDeadline"] == "180s"
    assert job["scheduleTime"] == "2027-01-04T09:00:00Z"
    assert job["httpTarget"]["httpMethod"] == "POST"
    assert job["retryConfig"] == {
        "retryCount": 0,
        "maxRetryDuration": "0s",
        "minBackoffDuration": "5s",
        "maxBackoffDuration": "3600s",
        "maxDoublings": 5,
    }


def test_method_may_be_given_as_its_number(local: Local) -> None:
    """As Google's clients do over REST."""
    methods = {0: "POST", 1: "POST", 2: "GET", 7: "OPTIONS"}
    made = {
        number: local.create(job=f"method-{number}", httpTarget={"httpMethod": number})
        for number in methods
    }
    assert {n: local.get(name)["httpTarget"]["httpMethod"] for n, name in made.items()} == methods


def test_second_job_of_a_name_is_refused(local: Local) -> None:
    """ALREADY_EXISTS."""
    local.create()
    with pytest.raises(Status, match="ALREADY_EXISTS"):
        local.create()


@pytest.mark.parametrize("method", ["get_job", "delete_job", "pause_job", "resume_job", "run_job"])
def test_missing_job_is_not_found(local: Local, method: str) -> None:
    """Every method says so."""
    with pytest.raises(Status, match="NOT_FOUND"):
        local.do(getattr(local.scheduler, method), f"{PARENT}/jobs/none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"schedule": "never"},
        {"timeZone": "Nowhere"},
        {"attemptDeadline": "14s"},
        {"attemptDeadline": "1801s"},
        {"attemptDeadline": "soon"},
        {"retryConfig": {"retryCount": 6}},
        {"retryConfig": {"minBackoffDuration": "20s", "maxBackoffDuration": "10s"}},
        {"httpTarget": {"uri": "ftp://x"}},
        {"httpTarget": {"httpMethod": "GET", "body": "eA=="}},
        {"httpTarget": {"httpMethod": "CONNECT"}},
        {"httpTarget": {"httpMethod": 8}},
        {"httpTarget": {"body": "not base64"}},
        {"httpTarget": {"headers": {"X-A": "two\nlines"}}},
        {"name": "digest"},
        {"name": f"{PARENT}/jobs/no spaces"},
        {"name": "projects/shop/locations/elsewhere/jobs/digest"},
    ],
)
def test_bad_field_is_refused(local: Local, wrong: dict[str, Any]) -> None:
    """INVALID_ARGUMENT, and no job."""
    with pytest.raises(Status, match="INVALID_ARGUMENT"):
        local.create(**wrong)
    assert local.do(local.scheduler.list_jobs, PARENT) == []


def test_update_changes_what_the_mask_names_only(local: Local) -> None:
    """The target stays; the next tick moves with the schedule."""
    name = local.create(description="old")
    change = {"schedule": "30 10 * * *", "description": "new"}
    job = local.do(local.scheduler.update_job, name, change, ["schedule"])
    assert job["description"] == "old"
    assert job["httpTarget"]["uri"] == local.target.url
    assert job["scheduleTime"] == "2027-01-04T10:30:00Z"


def test_update_reaches_into_the_target(local: Local) -> None:
    """A nested path leaves its neighbours alone."""
    name = local.create(httpTarget={"headers": {"X-A": "1"}})
    change = {"httpTarget": {"uri": "http://other.test/"}}
    job = local.do(local.scheduler.update_job, name, change, ["http_target.uri"])
    assert job["httpTarget"]["uri"] == "http://other.test/"
    assert job["httpTarget"]["headers"]["X-A"] == "1"


def test_update_keeps_what_the_job_has_done(local: Local) -> None:
    """State, last attempt and status survive."""
    name = local.create()
    local.target.answers = [500]
    local.advance(hours=2)
    job = local.do(local.scheduler.update_job, name, {"schedule": "0 7 * * *"}, ["schedule"])
    assert job["lastAttemptTime"] == "2027-01-04T09:00:00Z"
    assert job["status"] == {"code": 13}


def test_paused_job_does_not_fire_and_resumes_with_a_new_time(local: Local) -> None:
    """What fell into the pause is not made up for."""
    name = local.create()
    assert local.do(local.scheduler.pause_job, name)["state"] == "PAUSED"
    local.advance(days=2)
    job = local.do(local.scheduler.resume_job, name)
    assert (job["state"], job["scheduleTime"]) == ("ENABLED", "2027-01-06T09:00:00Z")
    assert local.target.requests == []


def test_deleted_job_does_not_fire(local: Local) -> None:
    """Nor is it listed."""
    local.do(local.scheduler.delete_job, local.create())
    local.advance(days=2)
    assert local.target.requests == []
    assert local.do(local.scheduler.list_jobs, PARENT) == []


def test_body_without_content_type_is_an_octet_stream(local: Local) -> None:
    """As the platform stores it."""
    body = base64.b64encode(b"{}").decode()
    job = local.get(local.create(httpTarget={"body": body}))
    assert job["httpTarget"]["headers"]["Content-Type"] == "application/octet-stream"
