"""What somebody else said, as it may be shown."""

import pytest

from common.outside.masking import SHOWN, masked


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("no mailbox <ada@example.com>", "no mailbox <…@…>"),
        ("kunde@bücher.example is inactive", "…@… is inactive"),
        ("bad key re_8Hq2kLm9PzXw4TyU", "bad key …"),
        ("Authorization: Bearer abc", "Authorization: Bearer …"),
        ('{"api_key":"abc","code":"x"}', '{"api_key":"…","code":"x"}'),
        ("see https://u:p@mail.example/send?key=1 for more", "see … for more"),
        ("call +49 151 2345 6789", "call …"),
        ("550 5.7.515 Access denied, see rule 12", "550 5.7.515 Access denied, see rule 12"),
        ("invalid_idempotency_key", "invalid_idempotency_key"),
        ("two\r\nlines\x00 here", "two lines here"),
    ],
)
def test_the_reason_is_kept_and_what_is_private_is_not(said: str, shown: str) -> None:
    assert masked(said) == shown


def test_a_secret_that_is_known_is_shown_nowhere() -> None:
    assert masked("key 'rose' of rosemary", ["rose"]) == "key '…' of …mary"


def test_the_longer_of_two_secrets_goes_first() -> None:
    assert masked("rosebud", ["rose", "rosebud"]) == "…"


def test_an_empty_secret_hides_nothing() -> None:
    assert masked("all is well", [""]) == "all is well"


@pytest.mark.parametrize("text", ["x" * 10**6, "a1" * 10**5, "@" * 10**5, "1 " * 10**5])
def test_a_text_of_any_length_is_cut(text: str) -> None:
    assert len(masked(text)) <= SHOWN
