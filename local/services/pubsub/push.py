"""A push delivery as an HTTP request: wrapped JSON, unwrapped, or a CloudEvent as Eventarc's."""

import base64
import json
import re
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Any

from google.pubsub_v1 import types

from local.kernel.delivery import Reply, Request
from local.kernel.identity import Issuer
from local.services.pubsub.backlog import Entry
from local.services.pubsub.subscription import EVENTARC_MODE, Subscription

ACKNOWLEDGING = frozenset((102, 200, 201, 202, 204))
TOKEN_SECONDS = 300
"""The platform too sends a token more than once while it is fresh."""

USER_AGENT = "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")

_Message = types.PubsubMessage.pb()


def acknowledges(reply: Reply) -> bool:
    """Whether an answer acknowledges the message."""
    return reply.status in ACKNOWLEDGING


def eventarc_endpoint(url: str, topic: str) -> str:
    """The push endpoint with which Pub/Sub delivers a topic's messages as CloudEvents."""
    return f"{url}?{EVENTARC_MODE}{urllib.parse.quote(topic, safe='')}"


@dataclass
class Pusher:
    """Builds the requests, and signs their tokens."""

    issuer: Issuer
    _tokens: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)

    def request(self, subscription: Subscription, entry: Entry) -> Request:
        """The request of the next attempt at a message."""
        message = _Message.FromString(entry.message)
        headers = {"User-Agent": USER_AGENT, **self._authorization(subscription)}
        topic = _event_topic(subscription.endpoint)
        if topic:
            headers |= _event_headers(topic, message)
        if subscription.proto.push_config.HasField("no_wrapper") and not topic:
            body = message.data
            headers |= _metadata_headers(subscription, message)
        else:
            body = _wrapped(subscription, entry, message)
            headers["Content-Type"] = "application/json"
        return Request(
            service="pubsub",
            subject=message.message_id,
            attempt=entry.attempt,
            url=subscription.endpoint,
            headers=headers,
            body=body,
            timeout=subscription.proto.ack_deadline_seconds,
        )

    def _authorization(self, subscription: Subscription) -> dict[str, str]:
        push = subscription.proto.push_config
        email = push.oidc_token.service_account_email
        if not email:
            return {}
        audience = push.oidc_token.audience or subscription.endpoint
        return {"Authorization": f"Bearer {self._token(email, audience)}"}

    def _token(self, email: str, audience: str) -> str:
        fresh_until, token = self._tokens.get((email, audience), (0.0, ""))
        if time.monotonic() >= fresh_until:
            token = self.issuer.token(email=email, audience=audience)
            self._tokens[email, audience] = (time.monotonic() + TOKEN_SECONDS, token)
        return token


def _event_topic(endpoint: str) -> str:
    query = urllib.parse.urlsplit(endpoint).query
    for part in query.split("&"):
        if part.startswith(EVENTARC_MODE):
            return urllib.parse.unquote(part.removeprefix(EVENTARC_MODE))
    return ""


def _event_headers(topic: str, message: Any) -> dict[str, str]:
    return {
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.pubsub.topic.v1.messagePublished",
        "ce-source": f"//pubsub.googleapis.com/{topic}",
        "ce-id": message.message_id,
        "ce-time": message.publish_time.ToJsonString(),
    }


def _metadata_headers(subscription: Subscription, message: Any) -> dict[str, str]:
    if not subscription.proto.push_config.no_wrapper.write_metadata:
        return {}
    own = {
        "x-goog-pubsub-subscription-name": subscription.name,
        "x-goog-pubsub-message-id": message.message_id,
        "x-goog-pubsub-publish-time": message.publish_time.ToJsonString(),
    }
    if message.ordering_key:
        own["x-goog-pubsub-ordering-key"] = message.ordering_key
    fitting = {k: v for k, v in message.attributes.items() if _fits(k, v)}
    return {**fitting, **own}


def _fits(key: str, value: str) -> bool:
    """Whether an attribute can be a header."""
    return bool(_HEADER_NAME.fullmatch(key)) and value.isprintable()


def _wrapped(subscription: Subscription, entry: Entry, message: Any) -> bytes:
    body: dict[str, Any] = {"message": _message(message), "subscription": subscription.name}
    if subscription.max_attempts is not None:
        body["deliveryAttempt"] = entry.attempt
    return json.dumps(body, separators=(",", ":")).encode()


def _message(message: Any) -> dict[str, Any]:
    """Both spellings of id and time, as real pushes carry them."""
    time_ = message.publish_time.ToJsonString()
    found: dict[str, Any] = {"messageId": message.message_id, "message_id": message.message_id}
    if message.attributes:
        found["attributes"] = dict(message.attributes)
    if message.data:
        found["data"] = base64.b64encode(message.data).decode()
    if message.ordering_key:
        found["orderingKey"] = message.ordering_key
    return {**found, "publishTime": time_, "publish_time": time_}
