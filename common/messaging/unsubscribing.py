"""The way out of what is not transactional: a link in the text and in the headers of a message."""

import hashlib
import hmac
from email.utils import parseaddr
from urllib.parse import quote, urlencode, urlsplit

from common.process.settings import Settings


def link_for(config: Settings, user_id: str) -> str | None:
    """Where this user unsubscribes: the bundle's page, or a mail; None if neither is set up.

    The page gets `user` and `token`, the hex HMAC-SHA256 of the user's id under UNSUBSCRIBE_SECRET,
    so that nobody can unsubscribe somebody else.
    """
    address = parseaddr(config.message_from or "")[1]
    url = config.unsubscribe_url or (address and f"mailto:{address}")
    if not url:
        return None
    if url.startswith("mailto:"):
        return f"{url}?subject={quote(f'unsubscribe {user_id}', safe='')}"
    secret = (config.unsubscribe_secret or "").encode()
    token = hmac.new(secret, user_id.encode(), hashlib.sha256).hexdigest()
    parts = urlsplit(url)
    added = urlencode({"user": user_id, "token": token})
    return parts._replace(query="&".join(filter(None, (parts.query, added)))).geturl()


def headers_of(link: str | None) -> dict[str, str]:
    """List-Unsubscribe, and for a page also the one-click form (RFC 8058)."""
    if link is None:
        return {}
    headers = {"List-Unsubscribe": f"<{link}>"}
    if link.startswith("https:"):
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers
