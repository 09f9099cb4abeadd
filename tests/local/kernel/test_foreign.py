"""A server of somebody else's instead of one of ours; here it is another local cloud's."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.exceptions import MethodNotImplemented
from google.cloud import firestore

from local.__main__ import parser
from local.testing import LocalCloud, Refused, local_cloud
from tests.local.counts import Counts


@pytest.fixture(scope="module")
def there() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture(scope="module")
def address(there: LocalCloud) -> Any:
    return there.env["FIRESTORE_EMULATOR_HOST"]


@pytest.fixture(scope="module")
def documents_there(address: str) -> Iterator[LocalCloud]:
    """A cloud whose Firestore is over there."""
    with local_cloud(foreign={"firestore": address}) as made:
        yield made


@pytest.fixture(scope="module")
def messages_there(address: str) -> Iterator[LocalCloud]:
    """A cloud whose Pub/Sub is over there."""
    with local_cloud(foreign={"pubsub": address}) as made:
        yield made


def test_other_programs_are_sent_there(documents_there: LocalCloud, address: str) -> None:
    assert documents_there.env["FIRESTORE_EMULATOR_HOST"] == address
    assert documents_there.env["PUBSUB_EMULATOR_HOST"] != address


def test_functions_are_sent_there(
    documents_there: LocalCloud,
    there: LocalCloud,
    source: Path,
    counts: Counts,
) -> None:
    documents_there.deploy(source, "target")
    documents_there.call("target")
    assert counts(there)["plain"] == 1


def test_status_reads_what_is_there(documents_there: LocalCloud, there: LocalCloud) -> None:
    there.firestore().document("messages/m").set({"template": "welcome"})
    assert documents_there.status()["messages"] == {"welcome": 1}


def test_our_port_does_not_serve_it(
    documents_there: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = documents_there.env["PUBSUB_EMULATOR_HOST"]
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", ours)
    client = firestore.Client(project=documents_there.project)
    with pytest.raises(MethodNotImplemented):
        client.document("a/b").get(timeout=5)
    client.close()


@pytest.mark.parametrize("service", ["firestore", "pubsub"])
def test_advance_is_refused_by_name(
    documents_there: LocalCloud, messages_there: LocalCloud, address: str, service: str
) -> None:
    cloud, name = {
        "firestore": (documents_there, "Firestore"),
        "pubsub": (messages_there, "Pub/Sub"),
    }[service]
    with pytest.raises(
        Refused, match=f"the clock cannot be moved while {name} is served by {address}"
    ):
        cloud.advance("1h")


def test_faults_of_it_are_refused_by_name(documents_there: LocalCloud) -> None:
    with pytest.raises(Refused, match="errors: not possible while Firestore is served by"):
        documents_there.faults(errors=0.1)
    documents_there.faults(duplicates=0.1)
    documents_there.faults()


def test_its_topics_feed_functions(
    messages_there: LocalCloud,
    source: Path,
    counts: Counts,
    until: Callable[..., None],
) -> None:
    """Its pushes are plain ones, which the functions framework turns into events."""
    messages_there.deploy(source, "consumer", topic="events")
    (message,) = messages_there.publish({"n": 1})
    until(lambda: counts(messages_there) == {message: 1})


@pytest.mark.parametrize("address", ["here", "host:", ":1", "http://h:1"])
def test_an_address_that_is_none_is_refused(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["up", "--tasks", address])
    assert f"--tasks: {address!r} is not HOST:PORT" in capsys.readouterr().err
