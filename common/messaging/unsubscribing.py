"""The way out of what is not transactional: a link in the text and in the headers of a message."""

import hashlib
import hmac
from email.utils import parseaddr
from urllib.parse import quote, urlencode, urlsplit

from common.messaging import addresses
from common.process.settings import Settings

ATOM = "!$'*+-._~"
"""What stands in an address as it is, beside letters and digits."""
URL = ":/?#[]@!$&'()*+,;=%-._~"
"""What stands in a URL as it is, beside letters and digits."""


def link_for(config: Settings, user_id: str) -> str | None:
    """Where this user unsubscribes: the bundle's page, or a mail; None if neither is set up.

    The page gets `user` and `token`, the hex HMAC-SHA256 of the user's id under UNSUBSCRIBE_SECRET,
    so that nobody can unsubscribe somebody else.
    """
    address = parseaddr(config.message_from or "")[1]
    url = config.unsubscribe_url or (address and f"mailto:{address}")
    if not url:
        return None
    user = user_id.encode("utf-8", "replace")
    if url.startswith("mailto:"):
        return f"{_mailbox(url)}?subject={quote(b'unsubscribe ' + user, safe='')}"
    secret = (config.unsubscribe_secret or "").encode()
    token = hmac.new(secret, user, hashlib.sha256).hexdigest()
    parts = urlsplit(url)
    added = urlencode({"user": user, "token": token})
    asked = parts._replace(query="&".join(filter(None, (parts.query, added))))
    return _ascii(asked.geturl(), parts.hostname or "")


def _mailbox(url: str) -> str:
    """The URL of a mailbox, in ASCII."""
    found = addresses.parse(url.removeprefix("mailto:"))
    return f"mailto:{quote(found.local, safe=ATOM)}@{found.domain}" if found else url


def _ascii(url: str, host: str) -> str:
    """The URL of a page, in ASCII: what follows its host percent-encoded, the host by IDNA."""
    if not host.isascii() and (found := addresses.parse(f"page@{host}")):
        url = url.replace(host, found.domain, 1)
    return quote(url, safe=URL)


def headers_of(link: str | None) -> dict[str, str]:
    """List-Unsubscribe, and for a page also the one-click form (RFC 8058)."""
    if link is None:
        return {}
    headers = {"List-Unsubscribe": f"<{link}>"}
    if link.startswith("https:"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers
