"""A full disk refuses what cannot be kept, and holds up nothing once there is room again."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import requests
from google.api_core import exceptions

from local import cloud as clouds
from local.cloud import Cloud
from local.kernel.database import Database, Full
from local.testing import LocalCloud, local_cloud

LARGE = {"x": "x" * 50_000}


def limit(database: Database, pages: int) -> None:
    """As if the disk had so many pages more than there are in the file."""
    (used,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {used + pages}")


def put(database: Database, **values: str) -> None:
    with database.transaction():
        for key, value in values.items():
            database.put(key, value)


def write_much(cloud: LocalCloud) -> None:
    for number in range(100):
        cloud.firestore().document(f"c/{number}").set(LARGE, retry=None)


def enqueue_much(cloud: LocalCloud, queue: str) -> None:
    request = {"url": f"{cloud.url}/nothing", "body": b"x" * 50_000}
    for _ in range(100):
        cloud.tasks().create_task(parent=queue, task={"http_request": request}, retry=None)


def test_what_there_is_no_room_for_is_refused_whole(tmp_path: Path) -> None:
    database = Database(tmp_path / "state")
    database.put("a", "1")
    limit(database, 2)
    said: list[str] = []
    database.on_full = lambda: said.append("full")
    with pytest.raises(Full):
        put(database, a="2", b="x" * 100_000)
    assert (database.get("a"), database.get("b"), database.has_room()) == ("1", None, False)
    assert said
    limit(database, 1000)
    put(database, a="3")
    assert (database.get("a"), database.has_room()) == ("3", True)
    database.close()


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[LocalCloud, Any]]:
    """A running cloud, and what calls a function with its inside, in its thread."""
    made: list[tuple[Cloud, asyncio.AbstractEventLoop]] = []
    begin = Cloud._begin

    async def kept(self: Cloud) -> None:
        made.append((self, asyncio.get_running_loop()))
        await begin(self)

    monkeypatch.setattr(Cloud, "_begin", kept)
    monkeypatch.setattr(clouds, "LOOK_FOR_ROOM", 0.02)

    def call(function: Any) -> Any:
        cloud, loop = made[0]
        done: Future[Any] = Future()
        loop.call_soon_threadsafe(lambda: done.set_result(function(cloud)))
        return done.result(10)

    with local_cloud() as cloud:
        yield cloud, call


def test_a_cloud_goes_on_when_there_is_room_again(
    inside: tuple[LocalCloud, Any], until: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud, call = inside
    queue = cloud.queue("q")
    task = {"http_request": {"url": cloud.url + "/nothing"}}
    cloud.firestore().document("c/before").set({})
    call(lambda it: limit(it._database, 20))
    with pytest.raises(exceptions.ResourceExhausted, match="disk"):
        write_much(cloud)
    with pytest.raises(exceptions.ResourceExhausted, match="disk"):
        enqueue_much(cloud, queue)
    assert cloud.firestore().document("c/before").get().exists
    before = call(lambda it: it.clock)
    call(lambda it: limit(it._database, 100_000))
    until(lambda: call(lambda it: it.clock) is not before)
    until(lambda: "there is room again" in capsys.readouterr().out)
    cloud.firestore().document("c/after").set(LARGE)
    cloud.tasks().create_task(parent=queue, task=task)
    cloud.advance("1s")


def test_an_advance_stops_when_its_caller_goes_away(
    inside: tuple[LocalCloud, Any], source: Path, tmp_path: Path, until: Any
) -> None:
    cloud, call = inside
    gate = tmp_path / "gate"
    url, queue = cloud.deploy(source, "gated"), cloud.queue("q")
    request = {"url": url, "body": bytes(gate)}
    cloud.tasks().create_task(parent=queue, task={"http_request": request})
    with pytest.raises(requests.Timeout):
        requests.post(f"{cloud.url}/local/v1/advance", json={"seconds": 1e6}, timeout=0.5)
    until(lambda: call(lambda it: it.clock._frozen is None))
    gate.touch()
    cloud.idle()
    assert cloud.status()["clock"]["ahead_seconds"] < 60


def test_what_is_refused_over_grpc_is_not_printed(
    inside: tuple[LocalCloud, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    cloud, call = inside
    call(lambda it: limit(it._database, 0))
    with pytest.raises(exceptions.ResourceExhausted):
        write_much(cloud)
    call(lambda it: limit(it._database, 100_000))
    assert "Traceback" not in capfd.readouterr().err
