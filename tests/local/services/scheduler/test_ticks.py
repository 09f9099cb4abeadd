"""What a job does when its time comes."""

import base64
from datetime import UTC, datetime, timedelta

import jwt
import pytest

from tests.local.services.scheduler.scheduler_cloud import Local, Start


def test_tick_sends_the_platforms_request(local: Local) -> None:
    """Method, body and the headers of the service."""
    body = base64.b64encode(b'{"campaign": "digest"}').decode()
    headers = {"Content-Type": "application/json", "X-Mine": "1", "x-cloudscheduler": "no"}
    local.create(httpTarget={"body": body, "headers": headers})
    local.advance(hours=2)
    [request] = local.target.requests
    assert request.method == "POST"
    assert local.target.bodies == [b'{"campaign": "digest"}']
    assert request.headers["User-Agent"] == "Google-Cloud-Scheduler"
    assert request.headers.getall("X-CloudScheduler") == ["true"]
    assert request.headers["X-CloudScheduler-JobName"] == "digest"
    assert request.headers["X-CloudScheduler-ScheduleTime"] == "2027-01-04T09:00:00Z"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["X-Mine"] == "1"


def test_scheduled_time_has_the_offset_of_the_jobs_zone(local: Local) -> None:
    """RFC 3339 with the offset of that moment."""
    local.create("0 9 * * *", timeZone="America/Los_Angeles")
    local.advance(hours=12)
    assert local.target.ticks() == ["2027-01-04T09:00:00-08:00"]


def test_oidc_token_names_the_account_and_the_target(local: Local) -> None:
    """The audience is the target's URI unless another is set."""
    local.create(httpTarget={"oidcToken": {"serviceAccountEmail": "cron@shop.test"}})
    local.advance(hours=2)
    token = local.target.requests[0].headers["Authorization"].removeprefix("Bearer ")
    key = local.issuer.key.public_key()
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=local.target.url)
    assert claims["email"] == "cron@shop.test"


def test_advance_fires_every_tick_on_the_way(local: Local) -> None:
    """Six weeks of Mondays."""
    local.create("0 9 * * MON")
    local.advance(days=42)
    assert local.target.ticks() == [f"{d}T09:00:00Z" for d in mondays(6)]


def mondays(count: int) -> list[str]:
    """The first dates of that year's Mondays."""
    first = datetime(2027, 1, 4, tzinfo=UTC)
    return [(first + timedelta(weeks=week)).date().isoformat() for week in range(count)]


def test_failed_tick_waits_for_the_next_one(local: Local) -> None:
    """retryCount 0 is no retry; the job says what happened."""
    name = local.create()
    local.target.answers = [503]
    local.advance(hours=2)
    assert local.get(name)["status"] == {"code": 14}
    local.advance(days=1)
    assert local.target.ticks() == ["2027-01-04T09:00:00Z", "2027-01-05T09:00:00Z"]
    assert local.get(name)["status"] == {}


def test_retries_back_off_and_keep_the_scheduled_time(local: Local) -> None:
    """10, 20, 40 s, then given up."""
    name = local.create(retryConfig={"retryCount": 3, "minBackoffDuration": "10s"})
    local.target.answers = [500] * 9
    local.advance(hours=1)
    attempts = []
    for wait in (9, 2, 20, 40, 80_000):
        attempts.append(len(local.target.requests))
        local.advance(seconds=wait)
    assert attempts == [1, 1, 2, 3, 4]
    assert local.target.ticks() == ["2027-01-04T09:00:00Z"] * 4
    assert local.get(name)["scheduleTime"] == "2027-01-05T09:00:00Z"


def test_retries_stop_at_the_next_tick(local: Local) -> None:
    """The retry that is due a second after the next tick never comes."""
    retry = {"retryCount": 5, "minBackoffDuration": "61s"}
    local.create("* * * * *", retryConfig=retry)
    local.target.answers = [500]
    local.advance(seconds=150)
    assert local.target.ticks() == ["2027-01-04T08:01:00Z", "2027-01-04T08:02:00Z"]


def test_both_retry_limits_must_be_spent(local: Local) -> None:
    """One retry is allowed, but for a minute there are more."""
    retry = {
        "retryCount": 1,
        "maxRetryDuration": "60s",
        "minBackoffDuration": "20s",
        "maxBackoffDuration": "20s",
    }
    local.create(retryConfig=retry)
    local.target.answers = [500] * 9
    local.advance(hours=3)
    assert len(local.target.requests) == 4


def test_next_tick_waits_for_a_run_under_way(local: Local) -> None:
    """Two executions of one job are never outstanding at once."""
    name = local.create("* * * * *")
    local.target.gate.clear()
    moving = local.begin_to_advance(minutes=1)
    local.wait_for(1)
    assert local.get(name)["scheduleTime"] == "2027-01-04T08:02:00Z"
    assert local.do(local.scheduler.next_due) is None
    local.do(local.target.gate.set)
    moving.result(10)
    assert local.do(local.scheduler.next_due) == datetime(2027, 1, 4, 8, 2, tzinfo=UTC)


def test_redirect_is_followed(local: Local) -> None:
    """The redirected response counts."""
    name = local.create(httpTarget={"httpMethod": "GET"})
    local.target.answers = [302]
    local.advance(hours=2)
    assert [request.path for request in local.target.requests] == ["/run", "/moved"]
    assert local.get(name)["status"] == {}


def test_forced_run_fires_now_and_is_recorded(local: Local) -> None:
    """Also when the job is paused; its ticks are not moved."""
    name = local.create()
    local.do(local.scheduler.pause_job, name)
    local.do(local.scheduler.run_job, name)
    local.idle()
    job = local.get(name)
    assert len(local.target.requests) == 1
    assert job["lastAttemptTime"].startswith("2027-01-04T08:00:")
    assert job["status"] == {}


def test_forced_run_can_be_the_tick_of_a_given_time(local: Local) -> None:
    """Twice the same time is the platform's double fire."""
    name = local.create()
    tick = datetime(2027, 1, 4, 9, tzinfo=UTC)
    for _ in range(2):
        local.do(local.scheduler.run_job, name, tick)
    local.idle()
    assert local.target.ticks() == ["2027-01-04T09:00:00Z"] * 2


@pytest.mark.parametrize(
    ("down", "fired"),
    [(timedelta(minutes=10), ["2027-01-04T09:00:00Z"]), (timedelta(hours=3), [])],
)
def test_tick_missed_while_down_fires_if_it_is_recent(
    start: Start, capfd: pytest.CaptureFixture[str], down: timedelta, fired: list[str]
) -> None:
    """Ten minutes late it fires; hours late it is skipped, and that is said."""
    before = datetime(2027, 1, 4, 8, 59, tzinfo=UTC)
    local = start(before)
    name = local.create()
    local.stop()
    local = start(before + down)
    local.idle()
    assert local.target.ticks() == fired
    assert local.get(name)["scheduleTime"] == "2027-01-05T09:00:00Z"
    assert ("skipped" in capfd.readouterr().err) == (not fired)


def test_every_recent_missed_tick_fires(start: Start) -> None:
    """Three minutes down: three ticks of a job that fires each minute, in order."""
    before = datetime(2027, 1, 4, 8, 0, 30, tzinfo=UTC)
    local = start(before)
    local.create("* * * * *")
    local.stop()
    local = start(before + timedelta(minutes=3))
    local.idle()
    assert local.target.ticks() == [f"2027-01-04T08:0{minute}:00Z" for minute in (1, 2, 3)]


def test_run_under_way_when_the_process_ends_is_made_again(local: Local, start: Start) -> None:
    """The tick is attempted again, with the same scheduled time."""
    local.create()
    local.target.gate.clear()
    moving = local.begin_to_advance(hours=2)
    local.wait_for(1)
    moving.cancel()
    local.stop()
    again = start()
    again.idle()
    assert again.target.ticks() == ["2027-01-04T09:00:00Z"]


def test_idle_days_take_no_stops_but_their_ticks(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a year in which a job fires once, the clock stops for that tick and at the end."""
    local.create("0 9 31 12 *")
    stops: list[datetime] = []
    jump = local.clock._jump

    def stop(when: datetime) -> None:
        stops.append(when)
        jump(when)

    monkeypatch.setattr(local.clock, "_jump", stop)
    local.advance(days=365)
    assert local.target.ticks() == ["2027-12-31T09:00:00Z"]
    assert len(stops) == 2
