"""What the answers of HTTP services mean: done, worth another try, or this message's fault.

accepted   2xx, unless the body says that the message was rejected
message    this message's fault: PermanentError
deferred   they take this one later, others at once: DeferredError
refused    they cannot, or do not want us: UnavailableError, nothing has happened
unknown    they may have done it all the same: UnavailableError with `outcome_unknown`
ambiguous  400 and 422 without a known code: AmbiguousRefusalError, see `destinations`
known      they know the key with other content: KeyKnownError

A machine's code decides before the status does. Whatever is not in a table counts as refused: a
wrong `refused` costs time, a wrong `message` costs the mail. The codes are those that Resend,
Postmark, Amazon SES, Brevo, Mandrill, SparkPost and Stripe document; SendGrid and Mailgun have
none, only texts.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal

from msgspec import Struct, field

from common.errors import (
    AmbiguousRefusalError,
    BundleError,
    DeferredError,
    KeyKnownError,
    PermanentError,
    UnavailableError,
)
from common.outside.masking import masked

Meaning = Literal["accepted", "message", "deferred", "refused", "unknown", "ambiguous", "known"]

LONGEST_WAIT = 86_400.0
"""Seconds: no Retry-After counts for more than a day."""

STATUSES: Mapping[int, Meaning] = {
    400: "ambiguous",
    422: "ambiguous",
    409: "deferred",  # the same key is being worked on
    413: "message",  # the size of this message
    500: "unknown",
    502: "unknown",
    504: "unknown",
    **dict.fromkeys(range(520, 528), "unknown"),  # Cloudflare's: the origin failed in the middle
}
"""What a status means by itself; all that are missing mean `refused`. Among those are redirects,
which are never followed: whoever moved would be told our key by somebody else."""

CODES: Mapping[str, Meaning] = {
    # Resend: `name`
    "invalid_idempotent_request": "known",
    "concurrent_idempotent_requests": "deferred",
    "422 invalid_attachment": "message",
    "422 missing_required_field": "message",
    "422 invalid_parameter": "message",
    "validation_error": "ambiguous",
    "401 validation_error": "refused",
    "403 validation_error": "refused",  # an unverified domain, or the sandbox
    **dict.fromkeys(
        (
            "invalid_idempotency_key",
            "missing_api_key",
            "restricted_api_key",
            "invalid_api_key",
            "invalid_from_address",
            "invalid_access",
            "invalid_region",
            "rate_limit_exceeded",
            "daily_quota_exceeded",
            "monthly_quota_exceeded",
            "security_error",
        ),
        "refused",
    ),
    # Postmark: `ErrorCode`
    "postmark 0": "accepted",
    "postmark 406": "message",
    "postmark 411": "message",
    "postmark 300": "ambiguous",
    # Amazon SES: the type of the exception
    "messagerejected": "message",
    "badrequestexception": "ambiguous",
    **dict.fromkeys(
        (
            "accountsuspendedexception",
            "sendingpausedexception",
            "mailfromdomainnotverifiedexception",
            "limitexceededexception",
            "notfoundexception",
            "toomanyrequestsexception",
            "throttlingexception",
        ),
        "refused",
    ),
    # Brevo: `code`
    "duplicate_request": "known",
    **dict.fromkeys(
        (
            "unauthorized",
            "permission_denied",
            "not_enough_credits",
            "account_under_validation",
            "document_not_found",
            "method_not_allowed",
        ),
        "refused",
    ),
    # Mandrill: `name` of an error, under 500 too
    **dict.fromkeys(
        (
            "invalid_key",
            "paymentrequired",
            "unknown_subaccount",
            "unknown_template",
            "poorreputation",
            "serviceunavailable",
        ),
        "refused",
    ),
    "validationerror": "ambiguous",
    # SparkPost: `errors[].code`
    "409 1600": "known",
    "409 1601": "deferred",  # in progress
    # Stripe: `error.type`
    "idempotency_error": "known",
}
"""What a code means, in lower case; with a status before it, under that status alone. Postmark's
numbers that are missing are about the account, the sender, or a mistake of ours."""

REJECTED: Mapping[str, Meaning] = dict.fromkeys(
    ("hard-bounce", "soft-bounce", "spam", "unsub", "custom", "invalid", "rule"), "message"
)
"""Mandrill's `reject_reason` inside of a success; the others are about the sender."""

TEXTS: tuple[tuple[re.Pattern[str], Meaning], ...] = (
    # Amazon SES, MessageRejected: the sender, or whoever is written to from its sandbox.
    (re.compile(r"(?i)not verified"), "refused"),
    # Mailgun, 400 or 403.
    (re.compile(r"(?i)sandbox subdomains are for test purposes only"), "refused"),
    # draft-ietf-httpapi-idempotency-key-header: the title of 422 for other content.
    (re.compile(r"(?i)idempotency[- ]key is already (used|in use)"), "known"),
)
"""Where a service gives only words, or a code that stands for two things: these words, for 4xx."""


class Reply(Struct, frozen=True, kw_only=True):
    """An HTTP answer, as far as it decides."""

    status: int
    start: str = ""
    """How the body begins."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By lower-case name."""


def check(reply: Reply, secrets: Callable[[], Iterable[str]] = tuple) -> None:
    """Return for a yes, else raise what the answer means.

    `secrets` gives the texts that the error must not show. Raises PermanentError, KeyKnownError,
    UnavailableError or AmbiguousRefusalError.
    """
    means = meaning(reply)
    if means != "accepted":
        raise _error(means, reply, secrets())


def meaning(reply: Reply) -> Meaning:
    """What the answer means."""
    found = _body(reply.start)
    codes = list(_codes(found, reply.headers))
    if 200 <= reply.status < 300:
        return _of_success(found, codes)
    if 400 <= reply.status < 500:
        for pattern, means in TEXTS:
            if pattern.search(reply.start):
                return means
    found_codes = (_of_code(reply.status, code) for code in codes)
    known = next((means for means in found_codes if means), None)
    if known in ("message", "known") and reply.status >= 500:
        known = None  # no service says so under 5xx
    return known or STATUSES.get(reply.status, "refused")


def retry_after(reply: Reply) -> float | None:
    """Seconds after which they ask us to come again, at most a day; None: they do not say.

    A date counts from the answer's own date, so that no clock of ours plays a part.
    """
    asked = reply.headers.get("retry-after", "")
    if not asked and reply.status == 429:
        asked = reply.headers.get("ratelimit-reset", "")
    if re.fullmatch(r"\s*\d{1,9}\s*", asked, re.ASCII):
        return min(float(asked), LONGEST_WAIT)
    try:
        until, now = (parsedate_to_datetime(it) for it in (asked, reply.headers.get("date", "")))
        seconds = (until.replace(tzinfo=None) - now.replace(tzinfo=None)).total_seconds()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), LONGEST_WAIT)


def _of_code(status: int, code: str) -> Meaning | None:
    known = CODES.get(f"{status} {code}") or CODES.get(code)
    if known is None and code.startswith("postmark "):
        return "refused"
    return known


def _of_success(found: Any, codes: list[str]) -> Meaning:
    """A failed send inside of a success: Mandrill and Postmark answer 200 with a list of them."""
    for code in codes:
        if code.startswith("postmark "):
            return _of_code(200, code) or "refused"
    one = found[0] if isinstance(found, list) and found else {}
    if not isinstance(one, dict) or one.get("status") not in ("rejected", "invalid"):
        return "accepted"
    reason = str(one.get("reject_reason") or one["status"]).lower()
    return REJECTED.get(reason, "refused")


def _error(means: Meaning, reply: Reply, secrets: Iterable[str]) -> BundleError:
    said = masked(reply.start, secrets)
    text = f"The other side answered {reply.status}" + (f": {said}" if said else ".")
    wait = retry_after(reply)
    match means:
        case "message":
            return PermanentError(text)
        case "known":
            return KeyKnownError(text)
        case "ambiguous":
            return AmbiguousRefusalError(text, retry_after=wait)
        case "deferred":
            return DeferredError(text, retry_after=wait)
        case _:
            return UnavailableError(text, retry_after=wait, outcome_unknown=means == "unknown")


def _body(start: str) -> Any:
    try:
        return json.loads(start)
    except (ValueError, RecursionError):
        return None


def _codes(found: Any, headers: Mapping[str, str]) -> Iterator[str]:
    """The machine's codes of an answer, in lower case."""
    if amazon := headers.get("x-amzn-errortype"):
        yield amazon.partition(":")[0].lower()
    for one in _objects(found):
        if isinstance(one.get("ErrorCode"), int):
            yield f"postmark {one['ErrorCode']}"
        for name in ("name", "code", "type", "__type"):
            if isinstance(one.get(name), str | int):
                yield str(one[name]).rpartition("#")[2].lower()


def _objects(found: Any) -> Iterator[Mapping[str, Any]]:
    """The objects that may hold a code: the body, its first element, its error or errors."""
    if isinstance(found, list):
        found = found[0] if found else None
    if not isinstance(found, dict):
        return
    yield found
    for name in ("error", "errors"):
        inner = found.get(name)
        inner = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(inner, dict):
            yield inner
