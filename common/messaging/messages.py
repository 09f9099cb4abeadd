"""Messages to users: who gets one, whether at all, and what the record of it says.

the user opted out, and it is not transactional ──▶ skipped
no usable address                               ──▶ PermanentError
not in MESSAGE_ALLOW                            ──▶ recorded, transport `withheld`
neither MESSAGING_URL nor SMTP_URL              ──▶ recorded, transport `record`
else                                            ──▶ delivered, transport `http` or `smtp`
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

from common.errors import PermanentError
from common.messaging import rendering, transports
from common.messaging.transports import Message, Transport
from common.process import logs, settings
from common.process.settings import Settings

TRANSACTIONAL = frozenset({"welcome", "order_confirmation", "payment_retry"})
"""What a user has caused and expects: sent also to those who have unsubscribed."""

TEXT_LIMIT = 20_000
"""Characters of the text kept in the record."""
ADDRESS_LIMIT = 254


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of a message."""

    state: Literal["sent", "skipped"]
    """`sent` also when it was only recorded; `transport` tells."""
    transport: str
    """`http`, `smtp`, `record` (none is set up), `withheld` (MESSAGE_ALLOW), `none` (skipped)."""
    user_id: str
    template: str
    to: str | None
    subject: str
    text: str
    key: str
    sent_at: datetime

    def document(self) -> dict[str, Any]:
        """The fields of its `messages` document, `expire_at` aside."""
        return {
            "user_id": self.user_id,
            "template": self.template,
            "to": self.to,
            "subject": self.subject,
            "text": self.text[:TEXT_LIMIT],
            "state": self.state,
            "transport": self.transport,
            "sent_at": self.sent_at,
            "key": self.key,
        }


def send(
    *,
    template: str,
    user: Mapping[str, Any],
    user_id: str,
    payload: Mapping[str, Any],
    context: Mapping[str, Any],
    key: str,
    now: datetime,
    chosen: Settings | None = None,
    transport: Transport | None = None,
) -> Sent:
    """Send one message to a user, or skip it.

    `user` is the user's document ({} if there is none), `payload` what caused the message; its
    `email` wins over the user's. The template sees the user's `name`, the payload, and `context`.
    `key` is the message's idempotency key, `now` the time it is dated with (aware).
    Raises PermanentError or TransientError; after the latter it may have arrived all the same.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    chosen = chosen or settings.current()
    if template not in TRANSACTIONAL and user.get("unsubscribed"):
        return _skipped(template=template, user_id=user_id, key=key, now=now)
    to = _recipient(user, payload)
    link = None if template in TRANSACTIONAL else unsubscribe_link(chosen, user_id)
    known = {"name": user.get("name"), **payload, **context, "unsubscribe": link}
    rendered = rendering.render(template, known)
    message = Message(
        to=to,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        template=template,
        user_id=user_id,
        key=key,
        sent_at=now,
        headers=_unsubscribe_headers(link),
    )
    return _deliver(message, chosen, transport or transports.transport(chosen))


def unsubscribe_link(chosen: Settings, user_id: str) -> str | None:
    """Where this user unsubscribes: the shop's page, or a mail; None if neither is set up.

    The page gets `user` and `token`, the hex HMAC-SHA256 of the user's id under
    UNSUBSCRIBE_SECRET, so that nobody can unsubscribe somebody else.
    """
    address = parseaddr(chosen.message_from or "")[1]
    url = chosen.unsubscribe_url or (address and f"mailto:{address}")
    if not url:
        return None
    if url.startswith("mailto:"):
        return f"{url}?subject={quote(f'unsubscribe {user_id}', safe='')}"
    secret = (chosen.unsubscribe_secret or "").encode()
    token = hmac.new(secret, user_id.encode(), hashlib.sha256).hexdigest()
    parts = urlsplit(url)
    added = urlencode({"user": user_id, "token": token})
    return parts._replace(query="&".join(filter(None, (parts.query, added)))).geturl()


def _deliver(message: Message, chosen: Settings, transport: Transport) -> Sent:
    used = "withheld"
    if _allowed(message.to, chosen.message_allow):
        transport.deliver(message)
        used = transport.name
    logs.info(
        "message",
        f"Message {message.template} {'withheld' if used == 'withheld' else 'sent'}.",
        template=message.template,
        user_id=message.user_id,
        transport=used,
    )
    return Sent(
        state="sent",
        transport=used,
        user_id=message.user_id,
        template=message.template,
        to=message.to,
        subject=message.subject,
        text=message.text,
        key=message.key,
        sent_at=message.sent_at,
    )


def _skipped(*, template: str, user_id: str, key: str, now: datetime) -> Sent:
    logs.info(
        "skipped",
        f"Message {template} not sent: the user has unsubscribed.",
        template=template,
        user_id=user_id,
    )
    return Sent(
        state="skipped",
        transport="none",
        user_id=user_id,
        template=template,
        to=None,
        subject="",
        text="",
        key=key,
        sent_at=now,
    )


def _recipient(user: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    address = payload.get("email") or user.get("email")
    if not address:
        raise PermanentError("There is no address: neither the payload nor the user has an email.")
    if not isinstance(address, str) or not _is_address(address.strip()):
        raise PermanentError("The email is not an address that can be written to.")
    return address.strip()


def _is_address(text: str) -> bool:
    """One plain address. Anything that could end a header or add a recipient is none."""
    plain = re.fullmatch(r"[^\s@<>()\[\],;:\\\"]+@[^\s@<>()\[\],;:\\\"]+", text)
    return bool(plain) and text.isprintable() and len(text) <= ADDRESS_LIMIT


def _allowed(to: str, allow: tuple[str, ...]) -> bool:
    address = to.lower()
    return not allow or address in allow or f"@{address.rpartition('@')[2]}" in allow


def _unsubscribe_headers(link: str | None) -> dict[str, str]:
    """List-Unsubscribe, and for a page also the one-click form (RFC 8058)."""
    if link is None:
        return {}
    headers = {"List-Unsubscribe": f"<{link}>"}
    if link.startswith("https:"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers
