"""What reaches a target, and when."""

from datetime import timedelta

from google.protobuf.duration_pb2 import Duration


def _retry(**config):
    return {k: Duration(seconds=v) if k.endswith("backoff") else v for k, v in config.items()}


def test_a_task_reaches_its_target_once(cloud):
    task = cloud.task(cloud.queue(), "/work", body=b"hello", headers={"X-Agent": "me"})
    cloud.idle()
    (hit,) = cloud.target.hits
    assert (hit.method, hit.path, hit.body, hit.headers["X-Agent"]) == (
        "POST",
        "/work",
        b"hello",
        "me",
    )
    assert hit.headers["X-CloudTasks-TaskName"] == task.name.rpartition("/")[2]


def test_the_platforms_worked_example_of_backoff(cloud):
    queue = cloud.queue(retry_config=_retry(min_backoff=10, max_backoff=300, max_doublings=3))
    cloud.target.script["/"].extend([500] * 8)
    cloud.task(queue, later=60)
    cloud.advance(3600)
    assert cloud.gaps() == [10, 20, 40, 80, 160, 240, 300, 300]


def test_default_backoff_doubles_from_a_tenth_of_a_second(cloud):
    queue = cloud.queue()
    cloud.target.script["/"].extend([404] * 3)
    cloud.task(queue, later=60)
    cloud.advance(120)
    assert cloud.gaps() == [0.1, 0.2, 0.4]


def test_dispatch_order_and_times_are_exact(cloud):
    queue = cloud.queue()
    start = cloud.clock.now()
    cloud.task(queue, "/b", later=7200)
    cloud.task(queue, "/a", later=3600)
    cloud.advance(3600 * 3)
    assert [hit.path for hit in cloud.target.hits] == ["/a", "/b"]
    assert cloud.target.hits[0].at - start < timedelta(seconds=3605)
