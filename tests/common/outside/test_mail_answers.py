"""What the answers of mail servers mean."""

import pytest

from common.errors import AmbiguousRefusalError, DeferredError, PermanentError, UnavailableError
from common.outside import mail_answers
from common.outside.mail_answers import Turn


@pytest.mark.parametrize(
    ("turn", "code", "text", "means"),
    [
        # About whom it goes to
        ("rcpt", 550, "5.1.1 no such user", "message"),
        ("rcpt", 550, "5.1.10 null MX", "message"),
        ("rcpt", 553, "5.1.3 bad address", "message"),
        ("rcpt", 550, "5.2.1 disabled", "message"),
        ("rcpt", 552, "5.2.2 full", "message"),
        ("rcpt", 552, "mailbox full", "message"),
        ("end", 550, "5.1.1 no such user", "message"),
        # About what is in it
        ("end", 552, "5.3.4 too large", "message"),
        ("end", 552, "message size exceeds fixed limit", "message"),
        ("mail", 552, "5.3.4 too large", "message"),
        ("end", 554, "5.6.0 malformed", "message"),
        ("end", 554, "virus found", "message"),
        ("end", 550, "5.7.1 likely unsolicited mail", "message"),
        # About us
        ("login", 535, "5.7.8 bad credentials", "refused"),
        ("login", 535, "5.1.1 odd", "refused"),
        ("mail", 550, "5.1.8 bad sender", "refused"),
        ("mail", 530, "5.7.0 authentication required", "refused"),
        ("mail", 550, "no", "refused"),
        ("rcpt", 550, "5.4.5 Daily user sending quota exceeded", "refused"),
        ("end", 550, "5.4.5 Daily user sending quota exceeded", "refused"),
        ("rcpt", 550, "5.2.1 receiving mail at a rate that prevents more", "refused"),
        ("rcpt", 554, "5.7.1 Relay access denied", "refused"),
        ("end", 554, "5.7.1 rejected by policy", "refused"),
        ("end", 554, "rejected by policy", "refused"),
        ("rcpt", 554, "policy", "refused"),
        ("rcpt", 550, "Relaying denied", "refused"),
        ("rcpt", 550, "blocked by policy", "refused"),
        ("rcpt", 552, "sending quota exceeded", "refused"),
        ("rcpt", 550, "5.7.515 not authenticated", "refused"),
        ("end", 550, "no", "refused"),
        ("end", 599, "5.9.9 new", "refused"),
        ("data", 503, "no valid recipients", "refused"),
        ("connect", 554, "go away", "refused"),
        # It does not say
        ("rcpt", 550, "no", "ambiguous"),
        ("rcpt", 551, "user not local", "ambiguous"),
        ("rcpt", 553, "mailbox name", "ambiguous"),
        # Later
        ("rcpt", 450, "4.7.1 greylisted", "deferred"),
        ("rcpt", 452, "4.2.2 full", "deferred"),
        ("rcpt", 421, "closing", "refused"),
        ("end", 451, "try later", "refused"),
        ("mail", 454, "quota", "refused"),
    ],
)
def test_whose_fault_it_is(turn: Turn, code: int, text: str, means: str) -> None:
    assert mail_answers.meaning(turn, code, text) == means


@pytest.mark.parametrize(
    ("turn", "code", "text", "error"),
    [
        ("rcpt", 550, "5.1.1 gone", PermanentError),
        ("rcpt", 550, "no", AmbiguousRefusalError),
        ("rcpt", 450, "later", DeferredError),
        ("login", 535, "no", UnavailableError),
    ],
)
def test_what_is_raised(turn: Turn, code: int, text: str, error: type[Exception]) -> None:
    made = mail_answers.error_of(turn, code, text)
    assert type(made) is error
    assert str(made) == f"The mail server answered {code}: {text}"


def test_nothing_has_happened_after_a_refusal() -> None:
    made = mail_answers.error_of("end", 451, "later")
    assert isinstance(made, UnavailableError)
    assert not made.outcome_unknown


def test_what_is_shown_is_masked() -> None:
    made = mail_answers.error_of("rcpt", 550, b"5.1.1 \xff <ada@example.com>: rose", ("rose",))
    assert str(made) == "The mail server answered 550: 5.1.1 \ufffd <…@…>: …"
