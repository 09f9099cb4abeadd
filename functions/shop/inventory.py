"""The inventory service: told of every order by deferred work, at the rate of its queue.

    order.placed ──with the order──▶ reminder `inventory`, due now ──alarm──▶ POST ──▶ sent

Where it is down or refuses us, the reminder waits; what it refuses for good is a dead letter of the
reminder. The order and its mail wait for neither.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from common.cloud.firestore import Write
from common.errors import KeyKnownError
from common.idempotency import Outcome, Work
from common.outside import destinations, http, identity_token
from common.people import marks
from common.scheduling import reminders
from common.scheduling.content import MAX_PAYLOAD
from common.scheduling.reminders import Reminder, ReminderKind
from common.triggers.events import Event
from functions.shop import orders, settings

LARGEST = MAX_PAYLOAD - 50_000
"""Bytes of a packed payload that a reminder carries, beside the ids."""


def schedule(event: Event, work: Work) -> list[Write]:
    """Tell it of this order now; nothing where there is no such service."""
    if not settings.current().inventory_url:
        return []
    packed = _packed(event.payload)
    carried = {"packed": packed} if len(packed) <= LARGEST else {}
    return reminders.within(work).schedule(
        INVENTORY,
        event.event_id,
        user_id=event.user_id,
        payload={"order_id": event.payload["order_id"], **carried},
        after=timedelta(),
    )


def ensure_open() -> None:
    """Before a claim: raises InProgressError while it is known to be unavailable."""
    if url := settings.current().inventory_url:
        destinations.ensure_open(http.destination(url))


def tell(due: Reminder, work: Work) -> str:
    """Tell it of the order; the key and the content are the same in every attempt.

    Raises what `http.post_json` raises, and UnavailableError where no token can be had.
    """
    url = settings.current().inventory_url or ""
    body = {**_told(due), "event_id": due.subject, "user_id": due.user_id}
    token = identity_token.fetch(urlsplit(url)._replace(query="", fragment="").geturl())
    headers = {"Authorization": f"Bearer {token}"}
    try:
        http.post_json(url, body, key=f"inventory:{due.subject}", headers=headers)
    except KeyKnownError:
        if work.attempt == 1:
            raise  # not ours: nothing of this was told before
    return "told"


def _told(due: Reminder) -> Mapping[str, Any]:
    """The payload as the event had it; of one that no reminder can carry, what the order has."""
    if packed := due.payload.get("packed"):
        unpacked: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
        return unpacked
    return orders.payload_of(due.user_id, due.payload["order_id"])


def _packed(payload: Mapping[str, Any]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(payload).encode())).decode()


def _is_wanted(due: Reminder) -> bool:
    return bool(settings.current().inventory_url) and not marks.is_erased(due.user_id)


def _act(due: Reminder, work: Work) -> Outcome:
    return Outcome(result=work.effect("inventory", lambda key: tell(due, work)))


INVENTORY = ReminderKind(
    name="inventory", queue="inventory", check=_is_wanted, act=_act, needs=ensure_open
)
