"""A message as a mail: headers that no value can break out of, and two bodies.

Written here and not by the standard library, whose `EmailMessage` decodes encoded words that it
finds in a value: from 3.11.0 to 3.12.4 a Subject with `=?utf-8?q?=0D=0ABcc:…?=` in it became a Bcc
header (CVE-2024-6923), and since then such a text still arrives changed. It also folds a long
List-Unsubscribe link into encoded words, and draws a random boundary. Here the same message is the
same bytes, each time, on every Python.
"""

import base64
import hashlib
import quopri
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from common.messaging.addresses import Address
from common.messaging.rendering import one_line

LINE = 76
"""Characters of a line with an encoded word, at most (RFC 2047); others may have two more."""
WORD_BYTES = 36
"""Bytes of text in one encoded word: 60 characters, and a header's name before the first."""
LONGEST_LINE = 998
"""Characters (RFC 5322)."""


def compose(
    *,
    sender: Address,
    sender_name: str,
    to: Address,
    subject: str,
    text: str,
    html: str,
    key: str,
    sent_at: datetime,
    headers: Mapping[str, str],
) -> bytes:
    """The mail, its lines ended by CRLF. `headers` are ASCII, and are left out where they are not,
    or too long for a line."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:40]
    boundary = f"=_{digest}"  # `=_` stands in no quoted-printable text
    lines = [
        _from(sender, sender_name),
        f"To: {to}",
        _text_header("Subject", subject),
        f"Date: {format_datetime(sent_at)}",
        f"Message-ID: <{digest}@{sender.domain}>",
        "Auto-Submitted: auto-generated",
        *(line for name, value in headers.items() if (line := _plain_header(name, value))),
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        "",
        f"--{boundary}",
        *_part("plain", text),
        f"--{boundary}",
        *_part("html", html),
        f"--{boundary}--",
        "",
    ]
    return "\r\n".join(lines).encode()


def _part(kind: str, text: str) -> list[str]:
    plain = re.sub(r"\r\n?", "\n", text).encode("utf-8", "replace")
    encoded = quopri.encodestring(plain).decode("ascii").removesuffix("\n")
    return [
        f'Content-Type: text/{kind}; charset="utf-8"',
        "Content-Transfer-Encoding: quoted-printable",
        "",
        *encoded.split("\n"),
        "",
    ]


def _from(address: Address, name: str) -> str:
    name = one_line(name)
    if not name:
        return f"From: {address}"
    if _is_plain(name) and len(name) < LINE // 2:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'From: "{quoted}"\r\n <{address}>'
    return f"From: {_encoded(name)}\r\n <{address}>"


def _text_header(name: str, value: str) -> str:
    line = f"{name}: {one_line(value)}"
    if _is_plain(line) and len(line) <= LINE:
        return line
    return f"{name}: {_encoded(one_line(value))}"


def _plain_header(name: str, value: str) -> str | None:
    """A header whose value is kept whole, such as a link."""
    line = f"{name}: {value}"
    return line if re.fullmatch(r"[ -~]+", value) and len(line) <= LONGEST_LINE else None


def _is_plain(text: str) -> bool:
    """Whether the text can stand in a header as it is, and is nothing else to whoever reads it."""
    return text.isascii() and text.isprintable() and "=?" not in text


def _encoded(text: str) -> str:
    """The text in encoded words (RFC 2047), a line each, cut between characters."""
    words, word = [], b""
    for character in text:
        piece = character.encode("utf-8", "replace")
        if len(word) + len(piece) > WORD_BYTES:
            words.append(word)
            word = b""
        word += piece
    words.append(word)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(it).decode()}?=" for it in words)
