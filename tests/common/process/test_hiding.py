"""What holds a secret shows everything else."""

import pytest
from msgspec.structs import asdict, replace

from common.process.hiding import Hidden, Hiding


class Provider(Hiding, frozen=True, kw_only=True):
    """Where messages go."""

    name: str
    key: Hidden[str]
    password: Hidden[str] | None = None


class Kept(Provider, frozen=True, kw_only=True):
    """One with a field more."""

    days: int = 7


PROVIDER = Provider(name="mail", key="s3cret", password="s3cret")


def test_what_is_hidden_is_not_shown_and_the_rest_is() -> None:
    assert repr(PROVIDER) == str(PROVIDER) == f"{PROVIDER}" == "Provider(name='mail')"
    assert PROVIDER.key == "s3cret"


def test_nor_is_it_shown_where_it_is_a_part_of_something() -> None:
    assert "s3cret" not in f"{[PROVIDER]} {replace(PROVIDER, name='other')!r}"


def test_nor_by_the_tools_that_ask_for_fields_and_not_for_a_text() -> None:
    """As rich does, which shows the variables of a traceback."""
    assert PROVIDER.__rich_repr__() == [("name", "mail")]


def test_what_comes_after_it_hides_the_same() -> None:
    kept = Kept(**asdict(PROVIDER), days=1)
    assert repr(kept) == "Kept(name='mail', days=1)"


def test_it_is_a_value_like_any_other() -> None:
    assert hash(PROVIDER) == hash(replace(PROVIDER)) != hash(replace(PROVIDER, key="other"))
    assert replace(PROVIDER, key="other") != PROVIDER
    with pytest.raises(AttributeError):
        PROVIDER.key = "other"  # type: ignore[misc]
