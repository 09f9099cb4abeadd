"""Messages: one declaration for each, who gets one at all, and what the record of it says.

the recipient is erased                                     ─▶ skipped
it is not transactional, and the recipient has unsubscribed ─▶ skipped
it is not transactional, and the recipient is not known     ─▶ skipped
it is not transactional, and there is no address            ─▶ skipped
no usable address                                           ─▶ PermanentError
not in MESSAGE_ALLOW                                        ─▶ recorded, transport `withheld`
neither MESSAGING_URL nor SMTP_URL                          ─▶ recorded, transport `record`
else                                                        ─▶ delivered, transport `http` or `smtp`
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from common.errors import PermanentError
from common.messaging import addresses, transports
from common.messaging.recipients import Recipient, Recipients
from common.messaging.rendering import Templates, person_name
from common.messaging.transports import Outgoing, Transport
from common.messaging.unsubscribing import headers_of, link_for
from common.outside import destinations
from common.process import logs, settings
from common.process.settings import Settings

FORMAT = 1
"""Of the record of a message; older ones have none."""
TEXT_LIMIT = 20_000
"""Characters of the text kept in the record."""
HTML_LIMIT = 60_000
"""Characters of HTML kept in the record; more is left out, as a part of a page is none."""


class Mailing(Struct, frozen=True, kw_only=True, eq=False):
    """What all messages of a bundle have in common: their templates, and who their readers are."""

    templates: Templates
    recipients: Recipients


class _Named(Struct, frozen=True):
    """What is given in order where a message is declared."""

    template: str
    """The name of its templates, literal."""
    mailing: Mailing


class Message(_Named, frozen=True, kw_only=True):
    """A message, declared once. Raises ConfigurationError if a template file of it is missing."""

    transactional: bool
    """Whether the reader has caused and expects it: sent also to those who have unsubscribed."""

    def __post_init__(self) -> None:
        self.mailing.templates.check(self.template)


class Sent(Struct, frozen=True, kw_only=True):
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
    html: str
    key: str
    sent_at: datetime

    def document(self) -> dict[str, Any]:
        """The fields of its `messages` document, `expire_at` aside."""
        return {
            "format": FORMAT,
            "user_id": self.user_id,
            "template": self.template,
            "to": self.to,
            "subject": self.subject,
            "text": self.text[:TEXT_LIMIT],
            "html": self.html if len(self.html) <= HTML_LIMIT else "",
            "state": self.state,
            "transport": self.transport,
            "sent_at": self.sent_at,
            "key": self.key,
        }


def send(
    message: Message,
    recipient: Recipient,
    context: Mapping[str, Any],
    *,
    key: str,
    now: datetime,
    to: str | None = None,
    config: Settings | None = None,
    transport: Transport | None = None,
) -> Sent:
    """Send one message to one recipient, or skip it.

    The template sees the `name` of the recipient, `context`, and the link `unsubscribe`. `to` is an
    address that wins over the recipient's own. `key` is the idempotency key of the message, `now`
    the aware time that it is dated with. Raises PermanentError, KeyKnownError or UnavailableError;
    after one of the last with `outcome_unknown` it may have arrived all the same.
    """
    if reason := reason_to_skip(message, recipient, to):
        return _skipped(message, recipient.user_id, reason, key=key, now=now)
    config = config or settings.current()
    outgoing = compose(message, recipient, context, key=key, now=now, to=to, config=config)
    return deliver(outgoing, config=config, transport=transport)


def compose(
    message: Message,
    recipient: Recipient,
    context: Mapping[str, Any],
    *,
    key: str,
    now: datetime,
    to: str | None = None,
    config: Settings | None = None,
) -> Outgoing:
    """The message as it goes out, see `send`. Raises PermanentError."""
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    address = _address(to or recipient.address)
    link = None
    if not message.transactional:
        link = link_for(config or settings.current(), recipient.user_id)
    named = {"name": recipient.name, **context}
    known = {**named, "name": person_name(named["name"]), "unsubscribe": link}
    rendered = message.mailing.templates.message(message.template, known)
    return Outgoing(
        to=address,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        template=message.template,
        user_id=recipient.user_id,
        key=key,
        sent_at=now,
        headers=headers_of(link),
    )


def deliver(
    message: Outgoing, *, config: Settings | None = None, transport: Transport | None = None
) -> Sent:
    """Hand the message over to the provider, if it may be written to at all. Raises what `send`
    raises."""
    config = config or settings.current()
    transport = transport or transports.transport(config)
    if not _allowed(message.to, config.message_allow):
        return _sent(message, "withheld")
    transport.deliver(message)
    return _sent(message, transport.name)


def ensure_open() -> None:
    """Whether sending a message makes sense now; asked before a claim.

    Raises InProgressError while the provider has just been unavailable several times in a row.
    """
    if (provider := transports.destination(settings.current())) is not None:
        destinations.ensure_open(provider)


def accepted(message: Outgoing, *, transport: Transport | None = None) -> Sent:
    """What became of a message of which the provider says that it has accepted it earlier."""
    transport = transport or transports.transport(settings.current())
    return _sent(message, transport.name)


def reason_to_skip(message: Message, recipient: Recipient, to: str | None = None) -> str | None:
    """Why this recipient does not get this message, which goes to `to` if that is given.

    None: they do, and a transactional one as soon as there is an address.
    """
    if recipient.is_erased:
        return "the user is erased"
    if message.transactional:
        return None
    if recipient.is_unsubscribed:
        return "the user has unsubscribed"
    if not recipient.is_known:
        return "there is no such user"
    return None if to or recipient.address else "there is no address"


def _sent(message: Outgoing, used: str) -> Sent:
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
        html=message.html,
        key=message.key,
        sent_at=message.sent_at,
    )


def _skipped(message: Message, user_id: str, reason: str, *, key: str, now: datetime) -> Sent:
    logs.info(
        "skipped",
        f"Message {message.template} not sent: {reason}.",
        template=message.template,
        user_id=user_id,
    )
    return Sent(
        state="skipped",
        transport="none",
        user_id=user_id,
        template=message.template,
        to=None,
        subject="",
        text="",
        html="",
        key=key,
        sent_at=now,
    )


def _address(address: object) -> str:
    if not address:
        raise PermanentError("There is no address to write to.")
    if not isinstance(address, str) or addresses.parse(address) is None:
        raise PermanentError("The email is not an address that can be written to.")
    return address.strip()


def _allowed(to: str, allow: tuple[str, ...]) -> bool:
    address = to.lower()
    return not allow or address in allow or f"@{address.rpartition('@')[2]}" in allow
