"""Values of flags are read as real gcloud reads them, or refused in its words."""

import pytest

from local.gcloud import values
from local.gcloud.errors import UsageError


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("90s", "90s"),
        ("90", "90s"),
        ("1h30m", "5400s"),
        ("7d", "604800s"),
        ("2678400s", "2678400s"),
        ("0.5s", "0.5s"),
        ("100ms", "0.1s"),
    ],
)
def test_durations_are_written_in_seconds(text: str, written: str) -> None:
    assert values.duration(text) == written


@pytest.mark.parametrize("text", ["lots", "", "5x", "-5s", "s", "5 s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="Failed to parse duration"):
        values.duration(text)


@pytest.mark.parametrize(("text", "word"), [("9m", "greater"), ("32d", "less")])
def test_a_duration_has_limits(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=f"value must be {word} than or equal to"):
        values.between("10m", "31d")(text)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("a=1,b=2", {"a": "1", "b": "2"}),
        ("a=1=2", {"a": "1=2"}),
        ("^;^a=1,2;b=3", {"a": "1,2", "b": "3"}),
        ("", {}),
    ],
)
def test_pairs_are_read(text: str, read: dict[str, str]) -> None:
    assert values.pairs(text) == read


def test_a_pair_without_a_value_is_refused() -> None:
    with pytest.raises(UsageError, match=r"Bad syntax for dict arg: \[b\]"):
        values.pairs("a=1,b")


@pytest.mark.parametrize("text", ["app=shop", "é_1=ä-2", "a=", f"{'a' * 63}={'b' * 63}"])
def test_a_label_may_be(text: str) -> None:
    assert values.labels(text)


@pytest.mark.parametrize(
    "text", ["App=x", "1a=x", "-a=x", "a=X", "a=b c", f"{'a' * 64}=x", "a.b=c"]
)
def test_a_label_may_not_be(text: str) -> None:
    with pytest.raises(UsageError, match="Bad value"):
        values.labels(text)


@pytest.mark.parametrize("text", ["goods", "a.b", "A%20b"])
def test_a_topic_may_be_named(text: str) -> None:
    assert values.topic(text) == text


@pytest.mark.parametrize("text", ["ab", "1abc", "projects/p/topics/t"])
def test_a_topic_may_not_be_named(text: str) -> None:
    with pytest.raises(UsageError, match="Topic must contain only Latin letters"):
        values.topic(text)
