"""The topic of the events: what is replayed is published there, as any producer does it."""

import os
from collections.abc import Callable, Mapping

from google.api_core import exceptions as google
from google.cloud import pubsub_v1

from operations.errors import OperationsError
from operations.place import identity
from operations.place.environment import Place

TIMEOUT = 30.0
"""Seconds."""


def publisher(place: Place) -> Callable[[bytes, Mapping[str, str]], None]:
    """Publishes data and attributes to the topic that feeds `consumer`, and waits until that is
    kept. What it returns raises OperationsError."""
    # With an emulator the client takes no credentials.
    given = None if os.environ.get("PUBSUB_EMULATOR_HOST") else identity.credentials()
    client = pubsub_v1.PublisherClient(credentials=given)
    topic = client.topic_path(place.project, place.topic)

    def publish(data: bytes, attributes: Mapping[str, str]) -> None:
        try:
            client.publish(topic, data, **attributes).result(timeout=TIMEOUT)
        except (google.GoogleAPIError, TimeoutError) as error:
            raise OperationsError(f"nothing can be published to {topic}: {error}") from error

    return publish
