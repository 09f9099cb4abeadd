"""Tables of declarations: by name, each once; and what is in none of them."""

from collections.abc import Mapping

import pytest
from msgspec import Struct

from common.errors import ConfigurationError
from common.process import tables
from common.process.tables import check_listed, table


class Kind(Struct, frozen=True):
    """A declaration."""

    name: str
    version: int = 1


class Other(Struct, frozen=True):
    """A declaration of another sort."""

    name: str


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the tables that other tests, or the functions, have made."""
    made: list[Mapping[str, tables.Declaration]] = []
    monkeypatch.setattr(tables, "_tables", made)


def test_a_table_has_the_declarations_by_their_names_in_their_order() -> None:
    made = table(Kind("b"), Kind("a"))
    assert list(made.items()) == [("b", Kind("b")), ("a", Kind("a"))]


def test_a_table_cannot_be_changed() -> None:
    made = table(Kind("a"))
    with pytest.raises(TypeError):
        made["b"] = Kind("b")  # type: ignore[index]


def test_two_of_one_name_are_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"^Two Kind declarations are named 'a'\.$"):
        table(Kind("a"), Kind("b"), Kind("a", version=2))


def test_a_table_that_is_refused_lists_nothing() -> None:
    with pytest.raises(ConfigurationError):
        table(Kind("a"), Kind("a", version=2))
    check_listed(Kind("elsewhere"))


def test_what_a_table_lists_passes() -> None:
    kinds = (Kind("a"), Kind("b"))
    table(kinds[0])
    table(kinds[1])
    for kind in kinds:
        check_listed(kind)


def test_what_no_table_lists_is_refused_with_the_names_of_those_that_are() -> None:
    table(Kind("b"), Kind("a"))
    with pytest.raises(ConfigurationError) as refused:
        check_listed(Kind("c"))
    assert str(refused.value) == "'c' is in no table of Kind declarations; those have a, b."


def test_another_declaration_of_a_name_that_is_listed_is_not_that_one() -> None:
    table(Kind("a"))
    with pytest.raises(ConfigurationError, match=r"^'a' is in no table"):
        check_listed(Kind("a", version=2))


def test_a_process_without_a_table_of_the_sort_knows_nothing_of_it() -> None:
    table(Other("a"))
    check_listed(Kind("c"))
