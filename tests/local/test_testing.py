"""The fixture with which users test handlers of their own."""

import time

import pytest

from local.testing import cloud, local_cloud

__all__ = ["cloud"]

MAIN = """
import functions_framework
from google.cloud import firestore

database = None

def counted(name):
    global database
    database = database or firestore.Client()
    document = database.collection("counts").document(name)
    document.set({"n": firestore.Increment(1)}, merge=True)
    document.get()

@functions_framework.cloud_event
def consumer(event):
    print("consumed", event.data["message"]["messageId"])
    counted("consumer")

@functions_framework.http
def ticked(request):
    counted(request.headers["X-CloudScheduler-ScheduleTime"])
    return "ok"
"""


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "main.py").write_text(MAIN)
    return folder


def until(true, seconds=10):
    """Wait for something another process does by itself."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def count(cloud, name="consumer"):
    return (cloud.firestore().document("counts", name).get().to_dict() or {}).get("n", 0)


def test_a_cloud_is_up_in_under_a_second():
    """Services on free ports; functions only when asked for."""
    with local_cloud():
        pass
    began = time.monotonic()
    with local_cloud() as made:
        assert time.monotonic() - began < 1
        assert made.status()["functions"] == []


def test_published_events_reach_the_function(cloud, source):
    cloud.deploy(source, "consumer", topic="events")
    assert len(cloud.publish({"n": 1}, {"n": 2})) == 2
    cloud.idle()
    assert count(cloud) == 2
    until(lambda: sum("consumed" in line for line in cloud.log("consumer")) == 2)
