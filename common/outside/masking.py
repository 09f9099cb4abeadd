"""What somebody else said, as it may be shown in a log line or a dead letter.

Others repeat in their answers what they were sent: the address, the token, the link with its key.
Whoever reads a dead letter needs the reason, and none of these.
"""

import re
from collections.abc import Iterable

SHOWN = 300
"""Characters that are kept for whoever reads the dead letter."""
MASK = "…"
_READ = 4 * SHOWN
"""Characters that are looked at."""
_NAMES = (
    (re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s\"'<>]*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[^\s\"',;&]+"), rf"\1 {MASK}"),
    (
        re.compile(r"(?i)(token|key|secret|password)([\"']?\s*[:=]\s*[\"']?)[^\s\"',;&]+"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"[^\s@<>\"'()\[\],;:=]+@[^\s@<>\"'()\[\],;:]+"), f"{MASK}@{MASK}"),
    # A token: a long word with letters and digits in it.
    (re.compile(r"(?<![\w+/=.-])(?=[\w+/=.-]*\d)(?=[\w+/=.-]*[A-Za-z])[\w+/=.-]{16,}"), MASK),
    # A number that somebody may be called at, or pay with.
    (re.compile(r"\+?\d(?:[ ()/-]?\d){7,}"), MASK),
)


def masked(text: str, secrets: Iterable[str] = ()) -> str:
    """The beginning of a text on one line, without addresses, links, tokens and long numbers.

    `secrets` are texts that must not be shown wherever they stand.
    """
    shown = " ".join("".join(c if c.isprintable() else " " for c in text[:_READ]).split())
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        shown = shown.replace(secret, MASK)
    for pattern, mask in _NAMES:
        shown = pattern.sub(mask, shown)
    return shown[:SHOWN]
