"""Addresses of mail: one plain one, its domain in the form that every server takes.

A domain in other letters than ASCII has an ASCII form (`bücher.example` is `xn--bcher-kva.example`,
IDNA 2008). What stands before the @ has none: such an address needs a server with SMTPUTF8.
"""

import re

import idna
from msgspec import Struct

LIMIT, MAILBOX_LIMIT = 254, 64
"""Bytes, RFC 5321."""
_ATOM = r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])+"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_LOCAL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*").fullmatch
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*").fullmatch


class Address(Struct, frozen=True):
    """One address; `domain` is ASCII."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def is_international(self) -> bool:
        """Whether only a server with SMTPUTF8 takes mail for the address."""
        return not self.local.isascii()


def parse(text: object) -> Address | None:
    """One plain address; None for whatever could end a header, add a recipient, or is none."""
    if not isinstance(text, str) or not text.strip().isprintable():
        return None
    local, at, domain = text.strip().rpartition("@")
    if not at or not _LOCAL(local) or _is_odd(local):
        return None
    ascii_domain = _ascii(domain)
    if ascii_domain is None or len(local.encode()) > MAILBOX_LIMIT:
        return None
    found = Address(local, ascii_domain)
    return found if len(str(found).encode()) <= LIMIT else None


def _is_odd(local: str) -> bool:
    """What a reader of headers could take for something else: blank space of other scripts, an
    encoded word, or a character that looks like an @ or a bracket."""
    if "=?" in local:
        return True
    return not local.isascii() and any(c.isspace() or c in "＠﹫＜＞" for c in local)


def _ascii(domain: str) -> str | None:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            return None
    return domain if _DOMAIN(domain) else None
