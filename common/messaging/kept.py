"""Content that is kept while nobody knows whether it arrived: `sends/{key}`.

The answer to a message was lost. It is sent again under the same key, and a provider that knows
the key drops the repeat; but only if the content is the same, and what it was made from may have
changed meanwhile. So the message is kept as it went out, until it is settled.
"""

import hashlib
import json
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from common.cloud import firestore
from common.cloud.firestore import Create, Delete
from common.errors import BundleError, RefusedError
from common.messaging.transports import Outgoing
from common.process import logs

COLLECTION = "sends"
FORMAT = 1
RETENTION = timedelta(days=30)
"""Longer than any patience."""
LARGEST = 900_000
"""Bytes of compressed content that a document takes; of more, only the hash is kept."""
LONGEST = 50_000_000
"""Bytes of content that are made of a document, at most."""


class Kept(Struct, frozen=True, kw_only=True):
    """A message whose outcome is unknown."""

    message: Outgoing | None
    """None: it was too large to be kept."""
    since: datetime
    """The time of the first such attempt, by the server's clock."""


def path_of(key: str) -> str:
    """Where the content under this key is kept."""
    return f"{COLLECTION}/{firestore.document_id(key)}"


def keep(message: Outgoing, now: datetime) -> None:
    """Keep the message, unless it is kept already. Never raises: the error that led here says
    more. `now` is the server's time."""
    try:
        firestore.commit([Create(path=path_of(message.key), fields=_fields(message, now))])
    except RefusedError:
        pass  # an earlier attempt has kept it, and its time counts
    except BundleError as error:
        logs.warning("uncertain", f"the content could not be kept: {error}")


def read(key: str) -> Kept | None:
    """The message that is kept under this key. Raises TransientError."""
    found = firestore.read(path_of(key))
    if not found.exists:
        return None
    since = found.data.get("unknown_since")
    return Kept(
        message=_message(found.data),
        since=since if isinstance(since, datetime) else found.read_time,
    )


def forget(key: str) -> Delete:
    """The write that forgets what is kept under this key."""
    return Delete(path=path_of(key))


def _fields(message: Outgoing, now: datetime) -> dict[str, Any]:
    content = _content(message)
    packed = zlib.compress(content)
    return {
        "format": FORMAT,
        "user_id": message.user_id,
        "template": message.template,
        "content": packed if len(packed) <= LARGEST else None,
        "content_sha256": hashlib.sha256(content).hexdigest(),
        "unknown_since": now,
        "expire_at": now + RETENTION,
    }


def _content(message: Outgoing) -> bytes:
    fields = {**asdict(message), "headers": dict(message.headers)}
    return json.dumps({**fields, "sent_at": message.sent_at.isoformat()}).encode()


def _message(data: Mapping[str, Any]) -> Outgoing | None:
    """The message as it went out; None where it was too large, or cannot be read."""
    packed = data.get("content")
    if not isinstance(packed, bytes):
        return None
    try:
        content = zlib.decompressobj().decompress(packed, LONGEST)
        if hashlib.sha256(content).hexdigest() != data.get("content_sha256"):
            return None
        fields = json.loads(content)
        return Outgoing(**{**fields, "sent_at": datetime.fromisoformat(fields["sent_at"])})
    except (zlib.error, ValueError, TypeError, KeyError) as error:
        logs.warning("uncertain", f"what was kept cannot be read: {type(error).__name__}")
        return None
