"""What the answers of HTTP services mean."""

import json
from typing import Any

import pytest

from common.errors import (
    AmbiguousRefusalError,
    DeferredError,
    KeyKnownError,
    PermanentError,
    UnavailableError,
)
from common.outside import answers
from common.outside.answers import Reply


def reply(status: int, body: Any = "", **headers: str) -> Reply:
    """An answer; a body that is not text is JSON."""
    start = body if isinstance(body, str) else json.dumps(body)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=status, start=start, headers=named)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_yes(status: int) -> None:
    answers.check(reply(status, "whatever it says"))


@pytest.mark.parametrize(
    ("status", "means"),
    [
        *((status, "refused") for status in (300, 301, 302, 303, 304, 307, 308)),
        *((status, "refused") for status in (401, 402, 403, 404, 405, 406, 407, 410, 415, 451)),
        *((status, "refused") for status in (408, 421, 423, 425, 429, 431)),
        *((status, "refused") for status in (501, 503, 505, 511)),
        *((status, "refused") for status in (100, 199, 418, 499, 599, 600, 999)),
        *((status, "unknown") for status in (500, 502, 504, 520, 524, 527)),
        *((status, "ambiguous") for status in (400, 422)),
        (409, "deferred"),
        (413, "message"),
    ],
)
def test_a_status_without_a_code(status: int, means: str) -> None:
    assert answers.meaning(reply(status, "no such thing")) == means


@pytest.mark.parametrize(
    ("status", "body", "means"),
    [
        # Resend
        (400, {"name": "invalid_idempotency_key"}, "refused"),
        (400, {"name": "validation_error"}, "ambiguous"),
        (401, {"name": "validation_error", "message": "API key is invalid"}, "refused"),
        (403, {"name": "validation_error"}, "refused"),
        (409, {"name": "concurrent_idempotent_requests"}, "deferred"),
        (409, {"name": "invalid_idempotent_request"}, "known"),
        (422, {"name": "invalid_attachment"}, "message"),
        (422, {"name": "missing_required_field"}, "message"),
        (422, {"name": "invalid_parameter"}, "message"),
        (422, {"name": "invalid_from_address"}, "refused"),
        (422, {"name": "invalid_access"}, "refused"),
        (429, {"name": "daily_quota_exceeded"}, "refused"),
        (500, {"name": "application_error"}, "unknown"),
        # Postmark
        (422, {"ErrorCode": 10, "Message": "bad token"}, "refused"),
        (422, {"ErrorCode": 300}, "ambiguous"),
        (422, {"ErrorCode": 405}, "refused"),
        (422, {"ErrorCode": 406}, "message"),
        (422, {"ErrorCode": 411}, "message"),
        (422, {"ErrorCode": 999}, "refused"),
        (200, {"ErrorCode": 0, "Message": "OK"}, "accepted"),
        (200, [{"ErrorCode": 406}], "message"),
        (200, [{"ErrorCode": 405}], "refused"),
        # Amazon SES
        (400, {"__type": "com.amazonaws.ses#MessageRejected", "message": "virus"}, "message"),
        (
            400,
            {"__type": "MessageRejected", "message": "Email address is not verified."},
            "refused",
        ),
        (400, {"__type": "AccountSuspendedException"}, "refused"),
        (400, {"__type": "SendingPausedException"}, "refused"),
        (400, {"__type": "BadRequestException"}, "ambiguous"),
        # Brevo
        (400, {"code": "account_under_validation"}, "refused"),
        (402, {"code": "not_enough_credits"}, "refused"),
        (400, {"code": "invalid_parameter"}, "ambiguous"),
        (400, {"code": "duplicate_request"}, "known"),
        # Mandrill
        (500, {"status": "error", "name": "Invalid_Key"}, "refused"),
        (500, {"status": "error", "name": "ValidationError"}, "ambiguous"),
        (200, [{"status": "rejected", "reject_reason": "hard-bounce"}], "message"),
        (200, [{"status": "rejected", "reject_reason": "unsigned"}], "refused"),
        (200, [{"status": "rejected"}], "refused"),
        (200, [{"status": "invalid"}], "message"),
        (200, [{"status": "sent", "reject_reason": None}], "accepted"),
        # Mailgun, SparkPost, Stripe, the draft of the IETF
        (400, {"message": "Sandbox subdomains are for test purposes only."}, "refused"),
        (409, {"errors": [{"code": "1600"}]}, "known"),
        (409, {"errors": [{"code": 1601}]}, "deferred"),
        (400, {"error": {"type": "idempotency_error"}}, "known"),
        (422, {"title": "Idempotency-Key is already used"}, "known"),
    ],
)
def test_a_code_decides_before_the_status(status: int, body: Any, means: str) -> None:
    assert answers.meaning(reply(status, body)) == means


@pytest.mark.parametrize("code", ["MessageRejected", "idempotency_error", "hard-bounce", "1600"])
def test_no_code_makes_a_failure_of_theirs_the_messages_fault(code: str) -> None:
    assert answers.meaning(reply(500, {"code": code})) == "unknown"


def test_amazons_code_stands_in_a_header() -> None:
    found = reply(400, {}, x_amzn_errortype="SendingPausedException:http://internal.example/")
    assert answers.meaning(found) == "refused"


@pytest.mark.parametrize(
    "body", ["", "<html>", "null", "7", '"a"', "[]", "[7]", '{"error": [7]}', "[" * 9000]
)
def test_a_body_of_any_shape_leaves_the_status_to_decide(body: str) -> None:
    assert answers.meaning(reply(422, body)) == "ambiguous"
    assert answers.meaning(reply(200, body)) == "accepted"


@pytest.mark.parametrize(
    ("status", "error", "outcome_unknown"),
    [
        (413, PermanentError, None),
        (400, AmbiguousRefusalError, False),
        (409, DeferredError, False),
        (401, UnavailableError, False),
        (503, UnavailableError, False),
        (500, UnavailableError, True),
    ],
)
def test_what_is_raised(status: int, error: type[Exception], outcome_unknown: bool | None) -> None:
    with pytest.raises(error) as refused:
        answers.check(reply(status, "busy"))
    assert type(refused.value) is error
    assert str(refused.value) == f"The other side answered {status}: busy"
    assert getattr(refused.value, "outcome_unknown", None) == outcome_unknown


def test_a_known_key_is_an_error_of_its_own() -> None:
    with pytest.raises(KeyKnownError):
        answers.check(reply(409, {"name": "invalid_idempotent_request"}))


def test_what_is_shown_is_masked() -> None:
    with pytest.raises(PermanentError) as refused:
        answers.check(reply(413, "rose sent ada@example.com"), lambda: ["rose"])
    assert str(refused.value) == "The other side answered 413: … sent …@…"


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (503, {"retry_after": "120"}, 120.0),
        (429, {"ratelimit_reset": "7"}, 7.0),
        (429, {"retry_after": "3", "ratelimit_reset": "7"}, 3.0),
        (503, {"ratelimit_reset": "7"}, None),
        (503, {"retry_after": "999999"}, 86_400.0),
        (
            503,
            {
                "retry_after": "Fri, 27 Nov 2026 10:05:00 GMT",
                "date": "Fri, 27 Nov 2026 10:00:00 GMT",
            },
            300.0,
        ),
        (
            503,
            {
                "retry_after": "Fri, 27 Nov 2026 09:00:00 GMT",
                "date": "Fri, 27 Nov 2026 10:00:00 GMT",
            },
            0.0,
        ),
        (503, {"retry_after": "Fri, 27 Nov 2026 10:05:00 GMT"}, None),
        (503, {"retry_after": "soon"}, None),
        (503, {"retry_after": "-5"}, None),
        (503, {"retry_after": "1.5"}, None),
        (503, {}, None),
    ],
)
def test_when_to_come_again(status: int, headers: dict[str, str], seconds: float | None) -> None:
    with pytest.raises(UnavailableError) as refused:
        answers.check(reply(status, "", **headers))
    assert refused.value.retry_after == seconds
