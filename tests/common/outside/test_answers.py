"""What the answers of others mean."""

import pytest

from common.errors import PermanentError, TransientError
from common.outside.answers import SHOWN, check_http, smtp_error


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_a_yes(status: int) -> None:
    check_http(status, "whatever it says")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 599])
def test_an_answer_that_may_pass_is_worth_another_try(status: int) -> None:
    with pytest.raises(TransientError, match=rf"^The other side answered {status}: busy$"):
        check_http(status, "busy")


@pytest.mark.parametrize("status", [199, 400, 401, 403, 404, 410, 413, 422, 499])
def test_a_refusal_is_permanent_and_says_why(status: int) -> None:
    with pytest.raises(PermanentError, match=rf"^The other side answered {status}: no such user$"):
        check_http(status, "no such user")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_a_refusal(status: int) -> None:
    with pytest.raises(PermanentError, match=str(status)):
        check_http(status, "")


def test_a_long_refusal_is_cut() -> None:
    with pytest.raises(PermanentError) as refused:
        check_http(400, "x" * 1_000_000)
    assert str(refused.value) == "The other side answered 400: " + "x" * SHOWN


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (500, PermanentError),
        (550, PermanentError),
        (599, PermanentError),
        (400, TransientError),
        (421, TransientError),
        (499, TransientError),
        (-1, TransientError),
        (0, TransientError),
    ],
)
def test_a_mail_servers_5xx_is_for_good_and_nothing_else_is(
    code: int, error: type[Exception]
) -> None:
    assert type(smtp_error(code, "no")) is error


@pytest.mark.parametrize("reason", [b"no \xff mailbox", "no \ufffd mailbox"])
def test_what_a_mail_server_says_is_shown_as_text(reason: bytes | str) -> None:
    assert str(smtp_error(550, reason)) == "The mail server answered 550: no \ufffd mailbox"


def test_what_a_mail_server_says_at_length_is_cut() -> None:
    assert str(smtp_error(550, b"x" * 5000)) == "The mail server answered 550: " + "x" * SHOWN
