"""The fixture with which users test handlers of their own."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import jwt
import pytest

from local.testing import LocalCloud, Refused, cloud, local_cloud
from tests.local.counts import Counts

__all__ = ["cloud"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shared(source_of_module: Path) -> Iterator[LocalCloud]:
    """A cloud with functions that several tests use; no two use the same names."""
    with local_cloud() as made:
        made.deploy(source_of_module, "consumer", topic="events")
        made.deploy(source_of_module, "target")
        yield made


def test_a_cloud_is_up_in_under_a_second() -> None:
    """Services on free ports; functions only when asked for."""
    began = time.process_time()  # not the wall's, which a busy machine stretches
    with local_cloud() as made:
        assert time.process_time() - began < 1
        assert made.status()["functions"] == []


def test_two_clouds_run_side_by_side() -> None:
    with local_cloud() as one, local_cloud() as other:
        one.firestore().document("a/b").set({"x": 1})
        assert not other.firestore().document("a/b").get().exists


def test_published_events_reach_the_function(
    cloud: LocalCloud, source: Path, counts: Counts
) -> None:
    """With the fixture as a user has it: a cloud of the test's own."""
    cloud.deploy(source, "consumer", topic="events")
    assert len(cloud.publish({"n": 1}, b"not json")) == 2
    cloud.idle()
    assert sorted(counts(cloud).values()) == [1, 1]


def test_the_stock_publisher_reaches_the_function(shared: LocalCloud, counts: Counts) -> None:
    message = shared.publisher().publish(shared.topic("events"), b"{}").result(10)
    shared.idle()
    assert counts(shared)[message] == 1


def test_a_task_is_delivered_when_the_clock_reaches_it(shared: LocalCloud, counts: Counts) -> None:
    url, queue = shared.env["TARGET_URL"], shared.queue("later")
    due = shared.now() + timedelta(hours=2)
    task = {"name": f"{queue}/tasks/t", "http_request": {"url": url}, "schedule_time": due}
    shared.tasks().create_task(parent=queue, task=task)
    shared.advance("1h59m")
    assert "t" not in counts(shared)
    shared.advance("1m")
    assert counts(shared)["t"] == 1


def test_a_job_ticks_when_the_clock_reaches_it(shared: LocalCloud, counts: Counts) -> None:
    shared.job("hourly", "0 * * * *", shared.env["TARGET_URL"])
    shared.advance("3h")
    assert counts(shared)["plain"] == 3
    shared.request("DELETE", f"/v1/projects/{shared.project}/locations/local/jobs/hourly")


def test_a_tick_can_be_fired_for_a_given_time(shared: LocalCloud, counts: Counts) -> None:
    shared.job("yearly", "0 0 1 1 *", shared.env["TARGET_URL"])
    before = counts(shared).get("plain", 0)
    shared.tick("yearly", at=datetime(2030, 1, 1, tzinfo=UTC))
    shared.idle()
    assert counts(shared)["plain"] == before + 1


def test_a_function_sees_what_it_was_deployed_with(cloud: LocalCloud, source: Path) -> None:
    cloud.deploy(source, "environment", env={"CART_REMINDER_DELAY": "60"})
    seen = cloud.call("environment").json()
    assert seen["CART_REMINDER_DELAY"] == "60"
    cloud.deploy(source, "environment")
    assert "CART_REMINDER_DELAY" not in cloud.call("environment").json()


def test_a_bundle_that_cannot_be_deployed_says_why(shared: LocalCloud) -> None:
    with pytest.raises(Refused, match="nowhere"):
        shared.deploy_bundle(ROOT, environment="nowhere")


def test_what_is_refused_says_why(cloud: LocalCloud, source: Path) -> None:
    with pytest.raises(Refused, match="missing main"):
        cloud.deploy(source / "nowhere", "target")
    with pytest.raises(Refused, match="no job is named nightly"):
        cloud.tick("nightly")
    with pytest.raises(Refused, match="the topic must be named; no topic feeds a function"):
        cloud.publish({})


def test_a_cloud_started_again_in_its_folder_goes_on(
    tmp_path: Path, source: Path, counts: Counts
) -> None:
    """Functions at their addresses, documents, pending tasks and the clock."""
    with local_cloud(tmp_path / "cloud") as before:
        url, queue = before.deploy(source, "target"), before.queue("later")
        due = before.now() + timedelta(hours=2)
        task = {"name": f"{queue}/tasks/t", "http_request": {"url": url}, "schedule_time": due}
        before.tasks().create_task(parent=queue, task=task)
        before.advance("1h")
    with local_cloud(tmp_path / "cloud") as after:
        assert after.env["TARGET_URL"] == url
        after.advance("1h")
        assert counts(after) == {"t": 1}


def test_tokens_can_be_made_as_they_must_not_be(shared: LocalCloud) -> None:
    good = shared.token("a@example.com", "https://x")
    key = jwt.PyJWKClient(f"{shared.url}/jwks").get_signing_key_from_jwt(good)
    assert jwt.decode(good, key, ["RS256"], audience="https://x")["email"] == "a@example.com"
    old = shared.token("a@example.com", "https://x", exp=1)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(old, key, ["RS256"], audience="https://x")


@pytest.mark.parametrize("kind", ["unary_unary", "unary_stream", "stream_unary", "stream_stream"])
def test_a_method_nobody_serves_is_unimplemented_by_name(shared: LocalCloud, kind: str) -> None:
    method = "google.pubsub.v1.SchemaService/ListSchemas"
    with grpc.insecure_channel(shared.env["PUBSUB_EMULATOR_HOST"]) as channel:
        request = iter([b""]) if kind.startswith("stream") else b""
        with pytest.raises(grpc.RpcError, match=method) as refused:
            list(getattr(channel, kind)(f"/{method}")(request, timeout=10))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
