"""Queues: what they are made of, what is refused, and in which words."""

from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.api_core import exceptions
from google.cloud.location import locations_pb2
from google.cloud.tasks_v2 import Queue, RateLimits, RetryConfig
from google.protobuf.field_mask_pb2 import FieldMask

from tests.local.services.tasks.tasks_cloud import Cloud

PARENT = "projects/shop/locations/europe-west1"
MISSING = f"{PARENT}/queues/missing"
NO_QUEUE = (
    "Queue does not exist. If you just created the queue, wait at least a minute for the queue to "
    "initialize."
)


def _refusal(call: Any, *args: Any, **kwargs: Any) -> Any:
    with pytest.raises(exceptions.GoogleAPICallError) as raised:
        call(*args, **kwargs)
    return raised.value.grpc_status_code.name, raised.value.message


def test_a_new_queue_runs_with_the_platforms_defaults(cloud: Cloud) -> None:
    queue = cloud.client.get_queue(name=cloud.queue())
    limits, retry = queue.rate_limits, queue.retry_config
    assert queue.state == Queue.State.RUNNING
    assert (limits.max_dispatches_per_second, limits.max_concurrent_dispatches) == (500, 1000)
    assert limits.max_burst_size == 100
    assert (retry.max_attempts, retry.max_doublings) == (100, 16)
    assert (retry.min_backoff, retry.max_backoff) == (
        timedelta(seconds=0.1),
        timedelta(hours=1),
    )


def test_what_a_queue_is_given_is_read_back(cloud: Cloud) -> None:
    name = cloud.queue(rate_limits=RateLimits(max_dispatches_per_second=0.5))
    queue = cloud.client.get_queue(name=name)
    assert queue.rate_limits.max_dispatches_per_second == 0.5
    assert queue.rate_limits.max_concurrent_dispatches == 1000


def test_a_given_burst_size_state_or_purge_time_is_ignored(cloud: Cloud) -> None:
    name = cloud.queue(
        rate_limits=RateLimits(max_burst_size=-3),
        state=Queue.State.PAUSED,
        purge_time=cloud.clock.now(),
    )
    queue = cloud.client.get_queue(name=name)
    assert queue.rate_limits.max_burst_size == 100
    assert queue.state == Queue.State.RUNNING
    assert "purge_time" not in queue


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (
            {"rate_limits": RateLimits(max_dispatches_per_second=501)},
            "RateLimits.maxDispatchesPerSecond must be less than or equal to 500.",
        ),
        (
            {"rate_limits": RateLimits(max_dispatches_per_second=-1)},
            "RateLimits.maxDispatchesPerSecond cannot be negative.",
        ),
        (
            {"rate_limits": RateLimits(max_concurrent_dispatches=5001)},
            "RateLimits.maxConcurrentDispatches must be less than or equal to 5000.",
        ),
        (
            {"rate_limits": RateLimits(max_concurrent_dispatches=-1)},
            "RateLimits.maxConcurrentDispatches cannot be negative.",
        ),
        (
            {"retry_config": RetryConfig(max_attempts=-2)},
            "RetryConfig.maxAttempts must be greater or equal to -1.",
        ),
        (
            {"retry_config": RetryConfig(max_doublings=-1)},
            "RetryConfig.maxDoublings cannot be negative.",
        ),
        (
            {"retry_config": RetryConfig(min_backoff=timedelta(seconds=-1))},
            "RetryConfig.minBackoff cannot be negative.",
        ),
        (
            {
                "retry_config": RetryConfig(
                    min_backoff=timedelta(seconds=2), max_backoff=timedelta(seconds=1)
                )
            },
            "RetryConfig.minBackoff must be less than or equal to RetryConfig.maxBackoff.",
        ),
    ],
)
def test_a_limit_out_of_range_is_refused_in_the_platforms_words(
    cloud: Cloud, config: dict[str, Any], text: str
) -> None:
    assert _refusal(cloud.queue, **config) == ("INVALID_ARGUMENT", text)


@pytest.mark.parametrize("id_", ["under_score", "x" * 101, "", "a/b", "line\n", "dot."])
def test_a_bad_queue_id_is_refused_with_a_link(cloud: Cloud, id_: str) -> None:
    with pytest.raises(exceptions.InvalidArgument, match="Queue name must be formatted") as raised:
        cloud.queue(id_)
    assert raised.value.details[0].links[0].description == "Definition of queue name"


def test_a_queue_id_may_have_a_hundred_characters(cloud: Cloud) -> None:
    assert cloud.queue("x" * 100)


def test_a_queue_outside_the_parent_is_refused(cloud: Cloud) -> None:
    other = "projects/shop/locations/us-central1/queues/q"
    refusal = _refusal(cloud.client.create_queue, parent=PARENT, queue=Queue(name=other))
    assert refusal == ("INVALID_ARGUMENT", f"{other} must begin with {PARENT}.")


def test_a_malformed_parent_is_a_project_nobody_may_use(cloud: Cloud) -> None:
    refusal = _refusal(
        cloud.client.create_queue, parent="nonsense", queue=Queue(name=f"{PARENT}/queues/q")
    )
    assert refusal == (
        "INVALID_ARGUMENT",
        "Invalid resource field value in the request: 'nonsense'.",
    )


def test_a_queue_is_created_once(cloud: Cloud) -> None:
    cloud.queue()
    assert _refusal(cloud.queue) == ("ALREADY_EXISTS", "Queue already exists")


@pytest.mark.parametrize("method", ["get_queue", "pause_queue", "resume_queue", "purge_queue"])
def test_a_missing_queue_is_not_found(cloud: Cloud, method: str) -> None:
    assert _refusal(getattr(cloud.client, method), name=MISSING) == ("NOT_FOUND", NO_QUEUE)


def test_deleting_a_missing_queue_has_words_of_its_own(cloud: Cloud) -> None:
    refusal = _refusal(cloud.client.delete_queue, name=MISSING)
    assert refusal == ("NOT_FOUND", "Requested entity was not found.")


def test_a_missing_queue_has_no_tasks_to_create_or_list(cloud: Cloud) -> None:
    assert _refusal(cloud.task, MISSING) == ("NOT_FOUND", NO_QUEUE)
    assert _refusal(cloud.client.list_tasks, parent=MISSING) == ("NOT_FOUND", NO_QUEUE)


def test_a_deleted_queue_is_not_made_again_for_seven_days(cloud: Cloud) -> None:
    name = cloud.queue()
    cloud.client.delete_queue(name=name)
    too_recent = (
        "FAILED_PRECONDITION",
        "The queue cannot be created because a queue with this name existed too recently.",
    )
    assert _refusal(cloud.queue) == too_recent
    assert _refusal(cloud.client.update_queue, queue=Queue(name=name)) == too_recent
    cloud.advance(7 * 86400 + 1)
    assert cloud.queue() == name


def test_deleting_a_queue_deletes_its_tasks(cloud: Cloud) -> None:
    name = cloud.queue()
    cloud.task(name, later=60)
    cloud.client.delete_queue(name=name)
    cloud.advance(8 * 86400)
    cloud.queue()
    assert not list(cloud.client.list_tasks(parent=name))
    assert not cloud.target.hits


def test_queues_are_listed_a_page_at_a_time(cloud: Cloud) -> None:
    names = [cloud.queue(id_) for id_ in ("a", "b", "c")]
    pages = list(cloud.client.list_queues(request={"parent": PARENT, "page_size": 2}).pages)
    assert [[queue.name for queue in page.queues] for page in pages] == [names[:2], names[2:]]


def test_queues_are_filtered_by_state(cloud: Cloud) -> None:
    cloud.queue("a")
    name = cloud.queue("b")
    cloud.client.pause_queue(name=name)
    request = {"parent": PARENT, "filter": "state: PAUSED"}
    assert [queue.name for queue in cloud.client.list_queues(request=request)] == [name]


def test_queues_of_another_location_are_not_listed(cloud: Cloud) -> None:
    cloud.queue()
    assert not list(cloud.client.list_queues(parent="projects/shop/locations/us-central1"))


def test_pause_and_resume_switch_the_state(cloud: Cloud) -> None:
    name = cloud.queue()
    assert cloud.client.pause_queue(name=name).state == Queue.State.PAUSED
    assert cloud.client.get_queue(name=name).state == Queue.State.PAUSED
    assert cloud.client.resume_queue(name=name).state == Queue.State.RUNNING


def test_updating_creates_a_queue_that_is_not_there(cloud: Cloud) -> None:
    name = f"{PARENT}/queues/new"
    limits = RateLimits(max_dispatches_per_second=7)
    cloud.client.update_queue(queue=Queue(name=name, rate_limits=limits))
    queue = cloud.client.get_queue(name=name)
    assert queue.rate_limits.max_dispatches_per_second == 7
    assert queue.retry_config.max_attempts == 100


@pytest.mark.parametrize("path", ["retry_config.max_attempts", "retryConfig.maxAttempts"])
def test_a_nested_mask_changes_one_leaf_only(cloud: Cloud, path: str) -> None:
    name = cloud.queue(
        rate_limits=RateLimits(max_dispatches_per_second=7),
        retry_config=RetryConfig(max_attempts=3, max_doublings=2),
    )
    changed = Queue(name=name, retry_config=RetryConfig(max_attempts=9, max_doublings=5))
    cloud.client.update_queue(queue=changed, update_mask=FieldMask(paths=[path]))
    queue = cloud.client.get_queue(name=name)
    assert (queue.retry_config.max_attempts, queue.retry_config.max_doublings) == (9, 2)
    assert queue.rate_limits.max_dispatches_per_second == 7


def test_a_named_leaf_that_is_not_given_gets_its_default(cloud: Cloud) -> None:
    name = cloud.queue(retry_config=RetryConfig(max_attempts=3, max_doublings=2))
    mask = FieldMask(paths=["retry_config.max_attempts"])
    queue = cloud.client.update_queue(queue=Queue(name=name), update_mask=mask)
    assert (queue.retry_config.max_attempts, queue.retry_config.max_doublings) == (100, 2)


def test_no_mask_replaces_every_setting(cloud: Cloud) -> None:
    name = cloud.queue(retry_config=RetryConfig(max_attempts=3))
    limits = RateLimits(max_dispatches_per_second=7)
    queue = cloud.client.update_queue(queue=Queue(name=name, rate_limits=limits))
    assert queue.retry_config.max_attempts == 100
    assert queue.rate_limits.max_dispatches_per_second == 7


@pytest.mark.parametrize("path", ["state", "purge_time", "nonsense", "retry_config.nonsense"])
def test_a_mask_with_something_else_is_refused(cloud: Cloud, path: str) -> None:
    name = cloud.queue()
    mask = FieldMask(paths=[path])
    code, _ = _refusal(cloud.client.update_queue, queue=Queue(name=name), update_mask=mask)
    assert code == "INVALID_ARGUMENT"


def test_updating_never_changes_the_state(cloud: Cloud) -> None:
    name = cloud.queue()
    cloud.client.pause_queue(name=name)
    queue = cloud.client.update_queue(queue=Queue(name=name, state=Queue.State.RUNNING))
    assert queue.state == Queue.State.PAUSED


def test_a_refused_update_changes_nothing(cloud: Cloud) -> None:
    name = cloud.queue(rate_limits=RateLimits(max_dispatches_per_second=7))
    bad = Queue(name=name, rate_limits=RateLimits(max_dispatches_per_second=501))
    assert _refusal(cloud.client.update_queue, queue=bad)[0] == "INVALID_ARGUMENT"
    assert cloud.client.get_queue(name=name).rate_limits.max_dispatches_per_second == 7


def test_purging_sets_the_purge_time_and_empties_the_queue(cloud: Cloud) -> None:
    name = cloud.queue()
    cloud.task(name, later=60)
    purged = cloud.client.purge_queue(name=name)
    assert abs(purged.purge_time - cloud.clock.now()) < timedelta(seconds=5)
    assert not list(cloud.client.list_tasks(parent=name))
    cloud.advance(120)
    assert not cloud.target.hits


def test_an_iam_policy_is_remembered(cloud: Cloud) -> None:
    name = cloud.queue()
    policy = {"bindings": [{"role": "roles/cloudtasks.enqueuer", "members": ["user:a@b.c"]}]}
    cloud.client.set_iam_policy(request={"resource": name, "policy": policy})
    read = cloud.client.get_iam_policy(request={"resource": name})
    assert read.bindings[0].members == ["user:a@b.c"]


def test_an_unserved_method_is_unimplemented_by_name(cloud: Cloud) -> None:
    code, text = _refusal(cloud.client.get_cmek_config, name=f"{PARENT}/cmekConfig")
    assert code == grpc.StatusCode.UNIMPLEMENTED.name
    assert "GetCmekConfig" in text


def test_a_location_is_found_and_listed(cloud: Cloud) -> None:
    cloud.queue()
    found = cloud.client.list_locations(request={"name": "projects/shop"})
    assert [location.location_id for location in found.locations] == ["europe-west1"]
    assert cloud.client.get_location(request={"name": PARENT}).name == PARENT


@pytest.mark.parametrize("parent", ["", "projects", "projects/", "projects/p/locations", "p/l"])
def test_a_parent_that_is_none_is_invalid(cloud: Cloud, parent: str) -> None:
    client = cloud.client
    for call in (client.list_queues, client.create_queue):
        assert (
            _refusal(
                call,
                {"parent": parent, "queue": {}}
                if call == client.create_queue
                else {"parent": parent},
            )[0]
            == "INVALID_ARGUMENT"
        )
    request = locations_pb2.ListLocationsRequest(name=parent)
    assert _refusal(client.list_locations, request)[0] == "INVALID_ARGUMENT"


def test_the_host_of_a_routing_override_is_made_of_its_parts_and_no_callers(cloud: Cloud) -> None:
    routing = {"service": "worker", "version": "v1", "host": "elsewhere.example"}
    name = cloud.queue(app_engine_routing_override=routing)
    found = cloud.client.get_queue(name=name).app_engine_routing_override
    assert (found.service, found.host) == ("worker", "v1.worker.shop.appspot.com")
    plain = cloud.client.get_queue(name=cloud.queue("plain"))
    assert "app_engine_routing_override" not in plain
