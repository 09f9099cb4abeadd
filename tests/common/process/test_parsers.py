"""From the text of a variable to its value, or what it should be."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from common.process import parsers
from common.process.parsers import Smtp

GOOD: list[tuple[Callable[[str], Any], str, object]] = [
    (parsers.url, "https://example.com/a?b=c#d", "https://example.com/a?b=c#d"),
    (parsers.url, "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    (parsers.url, "http://[::1]:80/", "http://[::1]:80/"),
    (parsers.base_url, "https://example.com/a//", "https://example.com/a"),
    (parsers.issuer, "https://accounts.example.com/", "https://accounts.example.com"),
    (parsers.issuer, "http://localhost:1", "http://localhost:1"),
    (parsers.issuer, "http://127.0.0.1:1/", "http://127.0.0.1:1"),
    (parsers.issuer, "http://[::1]:1", "http://[::1]:1"),
    (parsers.unsubscribe_url, "mailto:stop@example.com", "mailto:stop@example.com"),
    (parsers.unsubscribe_url, "https://example.com/u?a=b", "https://example.com/u?a=b"),
    (parsers.smtp, "smtps://mail:25", Smtp(host="mail", port=25, password="", tls=True)),
    (
        parsers.smtp,
        "smtps://mail?starttls=yes",
        Smtp(host="mail", port=465, password="", tls=True),
    ),
    (parsers.smtp, "smtp://mail?starttls=no", Smtp(host="mail", port=25, password="")),
    *((parsers.flag, text, True) for text in ("yes", "YES", "true", "True", "1")),
    *((parsers.flag, text, False) for text in ("no", "No", "false", "0")),
    (parsers.host_and_port, "localhost:8080", "localhost:8080"),
    (parsers.host_and_port, "[::1]:8080", "[::1]:8080"),
    (parsers.name, "example.com:shop-(default)", "example.com:shop-(default)"),
    (parsers.account, "tasks@shop.iam.gserviceaccount.com", "tasks@shop.iam.gserviceaccount.com"),
    (parsers.sender, "Shop <shop@example.com>", "Shop <shop@example.com>"),
    (parsers.sender, "shop@example.com", "shop@example.com"),
    (parsers.recipients, "A@b.C; @D.e\n,f@g.h", ("a@b.c", "@d.e", "f@g.h")),
    (parsers.recipients, "", ()),
    (parsers.seconds, "0.5", 0.5),
    (parsers.seconds, "1e3", 1000.0),
    (parsers.delay, "0", timedelta(0)),
    (parsers.delay, "7200", timedelta(hours=2)),
    (parsers.delay, "315360000", timedelta(days=3650)),
    (parsers.count, "1", 1),
    (parsers.count, "9999", 9999),
    (parsers.secret, "s" * 16, "s" * 16),
]

BAD: list[tuple[Callable[[str], Any], str, str]] = [
    *(
        (parsers.url, text, "a URL that begins with https:// or http://")
        for text in ("example.com", "ftp://example.com", "https://", "https://a b", "http://a:x",
                     "http://a:0", "http://a:99999", "javascript:alert(1)", "//example.com")
    ),
    *(
        (parsers.issuer, text, "an https URL (http is for this machine only)")
        for text in ("http://example.com", "http://localhost.evil.example", "http://127.0.0.2")
    ),
    *(
        (parsers.unsubscribe_url, text, "a URL that begins with https://, or mailto:address")
        for text in ("http://example.com", "mailto:", "mailto:a@b?cc=c@d", "mailto:a@b@c")
    ),
    *(
        (parsers.smtp, text, "a URL that begins with smtp:// or smtps://")
        for text in ("mail", "http://mail", "smtp://", "smtp://mail:0", "smtp://ma il")
    ),
    *(
        (parsers.smtp, f"smtp://mail?{query}", "a URL with no other option than starttls")
        for query in ("tls=yes", "starttls=yes&x=1", "STARTTLS=no")
    ),
    (parsers.smtp, "smtp://mail?starttls=perhaps", "yes or no"),
    *((parsers.flag, text, "yes or no") for text in ("on", "2", "yes please", "")),
    *(
        (parsers.host_and_port, text, "host:port")
        for text in ("localhost", "http://localhost:1", "localhost:", "::1:80", "a b:1", "a:123456")
    ),
    *(
        (parsers.name, text, "a name of letters, digits and dashes")
        for text in ("my shop", "a/b", "a\nb", "")
    ),
    *(
        (parsers.account, text, "a service account's email address")
        for text in ("tasks", "a@", "@b", "a b@c", "a@b@c", "a@b\n")
    ),
    *(
        (parsers.sender, text, "an address, with or without a name: Desk <desk@example.com>")
        for text in ("nobody", "Shop <>", "a@b\nBcc: c@d", "<a@b@c>")
    ),
    *(
        (parsers.recipients, text, "addresses and @domains, separated by commas")
        for text in ("example.com", "a@b, c", "a@b@c", ",")
    ),
    *(
        (parsers.seconds, text, "a number of seconds above 0")
        for text in ("0", "-1", "nan", "inf", "2h", "1e999")
    ),
    *(
        (parsers.delay, text, "a number of seconds, 0 to ten years")
        for text in ("-1", "nan", "inf", "2h", "1e300", "315360001")
    ),
    *(
        (parsers.count, text, "a whole number, 1 to 9999")
        for text in ("0", "-1", "01", "1.0", "10000", "٣", "1\n")
    ),
    (parsers.secret, "s" * 15, "16 characters or more"),
]  # fmt: skip


def test_a_well_formed_text_is_its_value() -> None:
    found = [(parse.__name__, text, parse(text)) for parse, text, _ in GOOD]
    assert found == [(parse.__name__, text, value) for parse, text, value in GOOD]


def test_a_malformed_text_is_told_what_it_should_be() -> None:
    found = [(parse.__name__, text, refusal(parse, text)) for parse, text, _ in BAD]
    assert found == [(parse.__name__, text, sentence) for parse, text, sentence in BAD]


def refusal(parse: Callable[[str], Any], text: str) -> str:
    try:
        return f"it is {parse(text)!r}"
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("smtp://shop:s3cret@mail?tls=1", "'…@mail?…'"),
        ("shop:p@ss@mail", "'…@mail'"),
        ("http://mail?key=s3cret", "'http://mail?…'"),
        ("mail", "'mail'"),
    ],
)
def test_a_malformed_url_is_shown_without_what_may_be_secret(text: str, shown: str) -> None:
    assert parsers.masked_url(text) == shown


def test_of_a_secret_only_the_length_is_shown() -> None:
    assert parsers.hidden("s3cret") == "set (6 characters)"
