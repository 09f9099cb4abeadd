"""A person is erased by what the bundle declares, after the longest lease of its functions."""

from typing import Any

import pytest

from common.cloud import firestore
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore
from common.process import tables
from operations import declared
from operations.errors import OperationsError
from operations.people import erasing
from operations.place.environment import Place
from tests.common.web_server import Answer, serving


def place(*leases: str) -> Place:
    functions = [{"variables": {"LEASE_SECONDS": lease} if lease else None} for lease in leases]
    return Place(
        environment="shop",
        words=["shop"],
        project="shop-project",
        region="europe-west1",
        database="(default)",
        described={"functions": functions},
    )


def write(path: str, **fields: Any) -> None:
    firestore.commit([Merge(path=path, fields=fields)])


@pytest.mark.parametrize(
    ("leases", "seconds"), [(("90", "360"), 360), (("90", ""), 90), (("",), 360), ((), 360)]
)
def test_the_longest_lease_is_waited_out(leases: tuple[str, ...], seconds: float) -> None:
    assert erasing.lease(place(*leases)) == seconds


def test_what_was_found_is_reported_and_gone(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_URL", raising=False)
    declared.events()
    write("users/ada", user_id="ada", email="ada@shop.example")
    write("carts/c-1", user_id="ada", state="abandoned")
    write("messages/m-1", user_id="ada", to="ada@shop.example", text="hello", state="sent")
    write("messages/m-2", user_id="grace", to="grace@shop.example", state="sent")
    waited: list[float] = []
    report = erasing.erase(place("90"), "ada", wait=waited.append)
    assert waited == [90]
    assert (report["deleted"]["user"], report["deleted"]["carts"]) == (1, 1)
    assert report["stripped"]["messages"] == 1
    kept = memory.documents()
    assert "users/ada" not in kept
    assert "ada@shop.example" not in str(kept)
    assert kept["messages/m-2"]["to"] == "grace@shop.example"


def test_a_second_time_is_harmless(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LOCAL_URL", raising=False)
    declared.events()
    write("users/ada", user_id="ada", email="ada@shop.example")
    erasing.erase(place(), "ada", wait=lambda seconds: None)
    report = erasing.erase(place(), "ada", wait=lambda seconds: None)
    assert set(report["deleted"].values()) == {0}


def test_nobody_is_erased_where_nothing_is_declared(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or too much: one declaration says what a bundle keeps of a person."""
    monkeypatch.setattr(tables, "listed", lambda kind: [])
    with pytest.raises(OperationsError, match="does not declare"):
        erasing.erase(place(), "ada", wait=lambda seconds: None)


def test_the_local_cloud_knows_when_nobody_is_at_work(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared.events()
    with serving(lambda asked: Answer(body=b"{}")) as cloud:
        monkeypatch.setenv("LOCAL_URL", cloud.url)
        erasing.erase(place("0.01"), "ada")
    assert [asked.path for asked in cloud.asked] == ["/local/v1/idle"]
