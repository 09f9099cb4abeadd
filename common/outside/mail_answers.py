"""What the answers of mail servers mean: this message's fault, or not.

message    this message's fault: PermanentError
refused    they cannot, or do not want us: UnavailableError, nothing has happened
deferred   they take this one later, others at once: DeferredError
ambiguous  no code says whose fault it is: AmbiguousRefusalError, see `destinations`

The enhanced code (RFC 3463) decides before the three digits do. Many 5xx are about us: our password
(535), our quota (550 5.4.5), their policy (554). Whatever is not in a table counts as refused.
"""

import re
from typing import Literal

from common.errors import (
    AmbiguousRefusalError,
    DeferredError,
    PermanentError,
    UnavailableError,
)
from common.outside.masking import masked

Turn = Literal["connect", "login", "mail", "rcpt", "data", "end"]
"""Whose answer it is: to the connection and its encryption, the login, MAIL FROM, RCPT TO, DATA,
or the dot that ends the mail."""
Meaning = Literal["message", "deferred", "refused", "ambiguous"]

RECIPIENT = {"5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.2.2"}
"""No such mailbox, domain or address; moved; no mail accepted (RFC 7505); disabled; full."""
TOO_LARGE = {"5.2.3", "5.3.4"}
CONTENT = "5.6."
"""The prefix of what is wrong with a mail's content."""
UNCODED = {550, 551, 553}
"""To RCPT TO and without an enhanced code: the mailbox, or a relay that does not want us."""

OURS = re.compile(
    r"(?i)quota|\brate\b|limit|polic|relay|blocked|blacklist|denied|not allowed|authent|"
    r"credentials|spf|dmarc|sender|suspended"
)
"""Words with which servers (Gmail, Amazon SES, Postfix) say that it is about the sender, under
codes that can also mean the mailbox."""
THIS_CONTENT = re.compile(r"(?i)virus|malware|likely unsolicited mail")
"""Words with which they refuse one mail's content under a code for policies (Gmail: 550 5.7.1)."""


def error_of(
    turn: Turn, code: int, said: bytes | str, secrets: tuple[str, ...] = ()
) -> PermanentError | UnavailableError:
    """The error that a mail server's refusal stands for. `secrets` are texts it must not show."""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    shown = f"The mail server answered {code}: {masked(text, secrets)}"
    match meaning(turn, code, text):
        case "message":
            return PermanentError(shown)
        case "ambiguous":
            return AmbiguousRefusalError(shown)
        case "deferred":
            return DeferredError(shown)
        case _:
            return UnavailableError(shown)


def meaning(turn: Turn, code: int, text: str) -> Meaning:
    """What a refusal means that came as the answer to this turn of the dialogue."""
    enhanced = _enhanced(text)
    if turn == "rcpt" and 400 <= code < 500 and code != 421:
        return "deferred"  # greylisted, or a full mailbox
    if not 500 <= code < 600:
        return "refused"
    if turn == "mail":
        return "message" if enhanced in TOO_LARGE else "refused"
    if turn not in ("rcpt", "data", "end"):
        return "refused"
    if enhanced:
        return _of_enhanced(enhanced, text)
    if code == 552:  # the mailbox is full, or the mail too large
        return "refused" if OURS.search(text.replace("limit", "")) else "message"
    if THIS_CONTENT.search(text) and turn == "end":
        return "message"
    is_uncoded = turn == "rcpt" and code in UNCODED and not OURS.search(text)
    return "ambiguous" if is_uncoded else "refused"


def _of_enhanced(enhanced: str, text: str) -> Meaning:
    if enhanced in TOO_LARGE or enhanced.startswith(CONTENT):
        return "message"
    if enhanced in RECIPIENT:
        # Gmail says 5.2.1 also of a mailbox that "is receiving mail at a rate that…".
        return "refused" if enhanced == "5.2.1" and OURS.search(text) else "message"
    is_content = enhanced.startswith("5.7.") and THIS_CONTENT.search(text)
    return "message" if is_content else "refused"


def _enhanced(text: str) -> str | None:
    found = re.match(r"\s*(5\.\d{1,3}\.\d{1,3})\b", text)
    return found[1] if found else None
