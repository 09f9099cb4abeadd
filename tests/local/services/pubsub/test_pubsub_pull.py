"""Pulling in virtual time, and what survives a restart."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud.pubsub_v1.subscriber.exceptions import AcknowledgeStatus

from tests.local.services.pubsub.pubsub_cloud import PROJECT, Endpoint, Local, eventually


def nack(local: Local, subscription: str, *received: Any) -> None:
    """Give messages back."""
    local.subscriber.modify_ack_deadline(
        subscription=subscription,
        ack_ids=[one.ack_id for one in received],
        ack_deadline_seconds=0,
    )


def test_lease_ends_with_the_ack_deadline(local: Local) -> None:
    """Ten seconds of the cloud's clock; then its ack id says nothing any more."""
    local.topic()
    name = local.subscription()
    local.publish(b"x")
    [first] = local.pull(name)
    local.advance(seconds=9)
    assert local.pull(name) == []
    local.advance(seconds=2)
    [second] = local.pull(name)
    local.subscriber.acknowledge(subscription=name, ack_ids=[first.ack_id])
    nack(local, name, second)
    assert len(local.pull(name)) == 1


def test_late_acknowledgement_counts_until_the_message_is_sent_again(local: Local) -> None:
    """The lease is over, but nobody else has got it yet."""
    local.topic()
    name = local.subscription()
    local.publish(b"x")
    [received] = local.pull(name)
    local.advance(seconds=11)
    local.subscriber.acknowledge(subscription=name, ack_ids=[received.ack_id])
    assert local.pull(name) == []


def test_ack_id_is_good_for_its_own_subscription_only(local: Local) -> None:
    """Another one's message is not touched."""
    local.topic()
    mine, other = local.subscription(), local.subscription("other")
    local.publish(b"x")
    [received] = local.pull(mine)
    local.subscriber.acknowledge(subscription=other, ack_ids=[received.ack_id])
    nack(local, mine, received)
    assert len(local.pull(mine)) == len(local.pull(other)) == 1


def test_exactly_once_delivery_tells_who_came_too_late(local: Local) -> None:
    """The error names the ack id, as the stock client reads it."""
    local.topic()
    name = local.subscription(enable_exactly_once_delivery=True)
    local.publish(b"x")
    [received] = local.pull(name)
    local.advance(seconds=11)
    with pytest.raises(exceptions.FailedPrecondition) as refused:
        local.subscriber.acknowledge(subscription=name, ack_ids=[received.ack_id])
    [info] = refused.value.details
    assert info.metadata == {received.ack_id: "PERMANENT_FAILURE_INVALID_ACK_ID"}


def test_stock_subscriber_learns_that_its_acknowledgement_counted(local: Local) -> None:
    """With exactly-once delivery, through `ack_with_response()`."""
    local.topic()
    name = local.subscription(enable_exactly_once_delivery=True)
    answers: list[Any] = []

    def receive(message: Any) -> None:
        answers.append(message.ack_with_response())

    future = local.subscriber.subscribe(name, receive)
    local.publish(b"x")
    eventually(lambda: answers, "a message")
    assert answers[0].result(10) == AcknowledgeStatus.SUCCESS
    future.cancel()
    future.result(10)


def test_lease_can_be_extended(local: Local) -> None:
    """To so many seconds from now."""
    local.topic()
    name = local.subscription()
    local.publish(b"x")
    [first] = local.pull(name)
    local.subscriber.modify_ack_deadline(
        subscription=name, ack_ids=[first.ack_id], ack_deadline_seconds=60
    )
    local.advance(seconds=59)
    assert local.pull(name) == []
    local.advance(seconds=2)
    assert len(local.pull(name)) == 1


def test_message_given_back_waits_for_the_backoff(local: Local) -> None:
    """Where the subscription has a retry policy."""
    local.topic()
    name = local.subscription(retry_policy={"minimum_backoff": {"seconds": 20}})
    local.publish(b"x")
    nack(local, name, *local.pull(name))
    local.advance(seconds=19)
    assert local.pull(name) == []
    local.advance(seconds=2)
    assert len(local.pull(name)) == 1


def test_pulled_messages_are_dead_lettered_too(local: Local) -> None:
    """Each failed attempt is counted, and the fifth buries it."""
    local.topic()
    dead = local.topic("dead")
    policy = {"dead_letter_topic": dead, "max_delivery_attempts": 5}
    name, grave = local.subscription(dead_letter_policy=policy), local.subscription("grave", "dead")
    local.publish(b"poison")
    attempts = []
    for _ in range(5):
        [received] = local.pull(name)
        attempts.append(received.delivery_attempt)
        nack(local, name, received)
    assert attempts == [1, 2, 3, 4, 5]
    assert local.pull(name) == []
    assert [one.message.data for one in local.pull(grave)] == [b"poison"]


def test_filter_lets_some_pass(local: Local) -> None:
    """By attributes; the others are never seen."""
    local.topic()
    name = local.subscription(filter='attributes.kind = "a" OR hasPrefix(attributes.kind, "b")')
    for kind in ("a", "bb", "c"):
        local.publish(kind.encode(), kind=kind)
    assert [one.message.data for one in local.pull(name)] == [b"a", b"bb"]


@pytest.mark.parametrize("wrong", ['data = "x"', "attributes:", "(attributes:a", "x" * 257])
def test_bad_filter_is_refused(local: Local, wrong: str) -> None:
    """INVALID_ARGUMENT at creation."""
    local.topic()
    with pytest.raises(exceptions.InvalidArgument):
        local.subscription(filter=wrong)


def test_ordered_messages_are_taken_back_with_the_one_that_failed(local: Local) -> None:
    """What followed it of its key comes again behind it; other keys are not touched."""
    topic = local.topic()
    name = local.subscription(enable_message_ordering=True)
    keys = [("a", b"0"), ("a", b"1"), ("b", b"2"), ("a", b"3")]
    local.publish_all(topic, [{"data": data, "ordering_key": key} for key, data in keys])
    received = {one.message.data: one for one in local.pull(name)}
    nack(local, name, received[b"1"])
    assert [one.message.data for one in local.pull(name)] == [b"1", b"3"]


def test_seek_into_the_past_brings_acknowledged_messages_back(local: Local) -> None:
    """Where the subscription retains them; seeking to the future drops all."""
    local.topic()
    name = local.subscription(retain_acked_messages=True)
    local.publish(b"x")
    ack_ids = [one.ack_id for one in local.pull(name)]
    local.subscriber.acknowledge(subscription=name, ack_ids=ack_ids)
    local.subscriber.seek(request={"subscription": name, "time": datetime(2020, 1, 1, tzinfo=UTC)})
    assert [one.message.data for one in local.pull(name)] == [b"x"]
    local.subscriber.seek(request={"subscription": name, "time": datetime(2090, 1, 1, tzinfo=UTC)})
    local.advance(minutes=1)
    assert local.pull(name) == []


def test_detached_subscription_gives_nothing(local: Local) -> None:
    """FAILED_PRECONDITION."""
    local.topic()
    name = local.subscription()
    local.publish(b"x")
    local.publisher.detach_subscription(request={"subscription": name})
    with pytest.raises(exceptions.FailedPrecondition):
        local.pull(name)


def test_too_large_a_request_is_refused(local: Local) -> None:
    """Ten megabytes in all."""
    local.topic()
    with pytest.raises(exceptions.InvalidArgument, match="10000000"):
        local.publish(b"x" * 10_000_000)


def test_open_pull_gets_what_comes(local: Local) -> None:
    """It waits a while for a first message."""
    local.topic()
    name = local.subscription()
    waiting = threading.Timer(0.1, local.publish, args=(b"x",))
    waiting.start()
    received = local.subscriber.pull(subscription=name, max_messages=5, timeout=10)
    waiting.join()
    assert [one.message.data for one in received.received_messages] == [b"x"]


@pytest.mark.parametrize(
    "limit", [{"max_outstanding_messages": 2}, {"max_outstanding_bytes": 1500}]
)
def test_stream_is_given_no_more_than_it_can_hold(local: Local, limit: dict[str, int]) -> None:
    """The next comes when something was acknowledged."""
    local.topic()
    name = local.subscription()
    request = {"subscription": name, "stream_ack_deadline_seconds": 10, **limit}
    data = [b"0" * 1000, b"1" * 1000, b"2" * 1000]
    local.publish(*data)
    stream = local.subscriber.streaming_pull(requests=iter_then_wait(request))
    first = next(stream).received_messages
    assert [one.message.data for one in first] == data[:2]
    local.subscriber.acknowledge(subscription=name, ack_ids=[one.ack_id for one in first])
    assert [one.message.data for one in next(stream).received_messages] == data[2:]
    stream.cancel()


def test_client_that_does_not_read_holds_nobody_up(local: Local) -> None:
    """What is stuck on its way to it is not waited for."""
    local.topic()
    request = {"subscription": local.subscription(), "stream_ack_deadline_seconds": 600}
    stream = local.subscriber.streaming_pull(requests=iter_then_wait(request))
    for _ in range(4):
        local.publish(*[b"x" * 500_000] * 19)
    local.idle()
    stream.cancel()


def iter_then_wait(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One request, and then a stream that stays open."""
    yield request
    threading.Event().wait(5)


def test_message_older_than_the_retention_is_not_delivered(local: Local) -> None:
    """Ten minutes here, the least there is; to the second, whenever the file is swept."""
    local.topic()
    name = local.subscription(message_retention_duration={"seconds": 600})
    local.publish(b"old")
    local.advance(seconds=300)
    local.publish(b"young")
    local.advance(seconds=301)
    assert [one.message.data for one in local.pull(name)] == [b"young"]


def test_accepted_messages_survive(tmp_path: Path, endpoint: Endpoint) -> None:
    """Pending, leased and in flight: all are there again after the process was stopped."""
    local = Local(tmp_path / "state.db")
    local.topic()
    name = local.subscription()
    local.subscription("pushed", push_config={"push_endpoint": endpoint.url})
    endpoint.gate.clear()
    local.publish(b"leased")
    local.pull(name)
    local.publish(b"pending")
    endpoint.wait_for(2)
    local.stop()
    endpoint.gate.set()
    again = Local(tmp_path / "state.db")
    endpoint.wait_for(4)
    again.advance(seconds=11)
    assert {one.message.data for one in again.pull(name)} == {b"leased", b"pending"}
    again.stop()


def test_kill_loses_no_accepted_message(tmp_path: Path) -> None:
    """SIGKILL right after the answer; the next process has them all."""
    state = tmp_path / "state.db"
    command = [sys.executable, str(Path(__file__).with_name("pubsub_process.py")), str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        accepted = process.stdout.readline()
        process.kill()
    assert accepted == "accepted\n"
    again = Local(state)
    again.advance(seconds=11)
    data = {one.message.data for one in again.pull(f"{PROJECT}/subscriptions/reader", 100)}
    again.stop()
    assert data == {b"%d" % number for number in range(100)}


def test_idle_days_take_no_stops(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with messages nobody fetches: the clock stops where they expire, and at the end."""
    local.topic()
    local.subscription()
    local.publish(*[b"x"] * 100)
    stops: list[datetime] = []
    jump = local.clock._jump

    def stop(when: datetime) -> None:
        stops.append(when)
        jump(when)

    monkeypatch.setattr(local.clock, "_jump", stop)
    local.advance(days=45)
    assert len(stops) == 2
