"""Addresses of mail."""

import pytest

from common.messaging import addresses


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ada@example.com", "ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
        ("ADA+tag@Example.COM", "ADA+tag@Example.COM"),
        ("o'neill!#$%&*=/?^_`{|}~-@x.example", "o'neill!#$%&*=/?^_`{|}~-@x.example"),
        ("a@under_score.example", "a@under_score.example"),
        ("a@ab--cd.example", "a@ab--cd.example"),
        ("a@localhost", "a@localhost"),
        ("kunde@bücher.example", "kunde@xn--bcher-kva.example"),
        ("kunde@BÜCHER.example", "kunde@xn--bcher-kva.example"),
        ("a@faß.de", "a@xn--fa-hia.de"),
        ("a@例え.jp", "a@xn--r8jz45g.jp"),
        ("jörg@example.com", "jörg@example.com"),
    ],
)
def test_an_address_has_its_domain_in_ascii(text: str, plain: str) -> None:
    assert str(addresses.parse(text)) == plain


@pytest.mark.parametrize(
    "text",
    [
        "nobody",
        "@example.com",
        "a@",
        "a@b@c",
        "a..b@c.d",
        ".a@b.c",
        "a b@c.d",
        "a\u00a0b@c.d",
        "a\u3000b@c.d",
        "a@b.c, d@e.f",
        "a@b.c\nBcc: d@e.f",
        "a@b\x00.c",
        "a\u202e@b.c",
        "Ada <ada@example.com>",
        '"a"@b.c',
        "a@[127.0.0.1]",
        "=?utf-8?q?a?=@b.c",
        "a＠b@c.d",
        "a@-b.c",
        "a@b..c",
        "a@💥.example",
        "a@" + "b" * 64 + ".c",
        "ü" * 33 + "@b.c",
        "a" * 60 + "@" + ".".join(["b" * 50] * 4),
        "\ud800@b.c",
        7,
        None,
        ["a@b.c"],
    ],
)
def test_whatever_is_none(text: object) -> None:
    assert addresses.parse(text) is None


def test_only_what_stands_before_the_at_is_international() -> None:
    international = [addresses.parse(it) for it in ("jörg@example.com", "a@bücher.example")]
    assert [it.is_international for it in international if it] == [True, False]
