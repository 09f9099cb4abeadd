"""What a login costs that is not the first: one commit, where Pub/Sub says that it is new."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from cloudevents.http import CloudEvent

from common.cloud import firestore
from common.triggers import pubsub
from functions.consumer import user_logged_in
from tests.common.wire import Wire, running


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with running() as made:
        firestore.commit([firestore.Merge(path="users/u", fields={"first_login_at": "long ago"})])
        yield made


def deliver(wire: Wire, event_id: str, **envelope: Any) -> tuple[int, int]:
    """One delivery; the commits and reads it took."""
    event = f'{{"event_id": "{event_id}", "event_type": "user.logged_in", "user_id": "u"}}'
    message = {"data": base64.b64encode(event.encode()).decode(), "messageId": "m"}
    before = wire.counts()
    attributes = {"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "//s"}
    cloud_event = CloudEvent(attributes, {"message": message, **envelope})
    pubsub.receive(cloud_event, "consumer", {"user.logged_in": user_logged_in})
    after = wire.counts()
    commits, reads = (after[it] - before.get(it, 0) for it in ("Commit", "BatchGetDocuments"))
    return commits, reads


def test_a_first_delivery_is_one_commit(wire: Wire) -> None:
    assert deliver(wire, "new", deliveryAttempt=1) == (1, 1)


@pytest.mark.parametrize("envelope", [{}, {"deliveryAttempt": 0}, {"deliveryAttempt": 2}])
def test_any_other_takes_a_claim(wire: Wire, envelope: dict[str, int]) -> None:
    assert deliver(wire, f"again {envelope}", **envelope) == (2, 1)


def test_a_duplicate_is_stopped(wire: Wire) -> None:
    deliver(wire, "twice", deliveryAttempt=1)
    assert deliver(wire, "twice") == (1, 1)
