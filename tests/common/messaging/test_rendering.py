"""Templates: one line stays one line, and what does not fit the data is refused for good."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigurationError, PermanentError
from common.messaging.rendering import Rendering, Templates, one_line, person_name

FOLDER = Path(__file__).with_name("templates")
TEMPLATES = Templates(folder=FOLDER, filters={"shout": str.upper})


def news(**context: Any) -> Rendering:
    """The news with what it must have and more."""
    return TEMPLATES.message("news", {"number": 7, "unsubscribe": None, **context})


def test_a_message_has_a_subject_a_text_and_html() -> None:
    assert news() == Rendering(subject="News 7", text="NOTHING NEW\n", html="<p>nothing new</p>\n")


def test_the_filters_of_the_bundle_are_there() -> None:
    assert news(text="hello").text == "HELLO\n"


def test_html_is_escaped_and_text_is_not() -> None:
    message = news(text="a <b> & c")
    assert message.text == "A <B> & C\n"
    assert message.html == "<p>a &lt;b&gt; &amp; c</p>\n"


def test_empty_lines_are_drawn_together() -> None:
    text = news(name="Ada", unsubscribe="https://example.com/u").text
    assert text == "Dear Ada,\n\nNOTHING NEW\n\nTo unsubscribe: https://example.com/u\n"


@pytest.mark.parametrize(
    "evil", ["7\r\nBcc: all@example.com", "7\nX: y", "7\u2028X", "7\x00X", "7\x85X", "7\x0bX"]
)
def test_a_subject_stays_one_line(evil: str) -> None:
    subject = news(number=evil).subject
    assert subject.isprintable()
    assert len(subject.splitlines()) == 1


def test_a_subject_is_cut() -> None:
    assert len(news(number="9" * 5000).subject) == 200


def test_no_value_breaks_out_of_its_line() -> None:
    assert news(text="a\n\nb").text == "A B\n"


def test_a_template_that_is_missing_is_permanent() -> None:
    with pytest.raises(PermanentError, match=r"no template 'goodbye\.txt'"):
        TEMPLATES.message("goodbye", {})


@pytest.mark.parametrize("template", ["../test_rendering", "news.subject", ""])
def test_a_template_name_reaches_no_other_file(template: str) -> None:
    with pytest.raises(PermanentError):
        TEMPLATES.message(template, {"number": 7})


def test_a_missing_value_is_permanent_and_named() -> None:
    with pytest.raises(PermanentError, match="number"):
        TEMPLATES.message("receipt", {})


class Broken:
    """A value that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("broken")


def test_whatever_a_template_stumbles_over_is_permanent() -> None:
    """Rendering the same data again would fail again."""
    with pytest.raises(PermanentError, match="broken"):
        news(number=Broken())


def test_a_message_with_a_file_missing_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"no template half\.subject\.txt in "):
        TEMPLATES.check("half")


def test_one_file_can_be_rendered_alone() -> None:
    assert TEMPLATES.text("half.txt", {}) == "Half a message"


def test_one_line_folds_control_characters_and_space() -> None:
    assert one_line(" a\r\n\tb \u2029 c\ud800 ") == "a b c"


def test_marks_of_direction_are_left_out_everywhere() -> None:
    assert one_line("a\u202eb \u2066c\u2069\u200f") == "ab c"
    assert news(number="7\u202e").subject.startswith("News 7")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Ada", "Ada"),
        ("  Ada\r\nLovelace ", "Ada Lovelace"),
        ("José María Ñúñez-O’Neill, Jr.", "José María Ñúñez-O’Neill, Jr."),
        ("J.R.R. Tolkien", "J.R.R. Tolkien"),
        ("Tom & Anna", "Tom & Anna"),
        ("山田太郎", "山田太郎"),
        ("مریم", "مریم"),
        ("نیما\u200cجان", "نیما\u200cجان"),
        ("Jose\u0301", "José"),
        ("\u202eevil", "evil"),
        ("A\u00adda\u200b\ufeff", "Ada"),
        ("a" * 60, "a" * 60),
    ],
)
def test_a_name_is_greeted_as_it_is(given: str, name: str) -> None:
    assert person_name(given) == name


@pytest.mark.parametrize(
    "given",
    [
        "Claim 500 EUR at https://evil.example/x now",
        "Win at evil.example",
        "www.evil",
        "evil。example".replace("。", "．"),
        "mail me@evil",
        "<b>Ada</b>",
        "#1001",
        "call 0800123",
        "５００",
        "€5 for you",
        "evil/x",
        "{{ secret }}",
        "a" * 61,
        "",
        " \u202e ",
        None,
        7,
        ["Ada"],
        {"en": "Ada"},
    ],
)
def test_what_is_no_name_is_none(given: object) -> None:
    assert person_name(given) is None
