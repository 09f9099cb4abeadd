"""The page of settings says what the tables say, and which of them an environment may have."""

import functools
from collections.abc import Mapping

import pytest

from common.process import variables
from common.process.variables import Variable
from deployment.table import bundle, declarations
from deployment.table.target import Target
from functions.shop import settings as shop
from tests.docs.scratch import ROOT

PAGE = (ROOT / "docs" / "settings.md").read_text()


@functools.cache
def passed_on() -> set[str]:
    """The settings that an environment of the bundle's table may have."""
    table = bundle.load(ROOT / "functions" / "bundle.toml")
    target = Target(
        bundle=table,
        environment=bundle.environment(table, name="local"),
        declared=declarations.read(ROOT),
        root=ROOT,
    )
    return set(target.declared.settings - target.computed)


def rows(known: Mapping[str, Variable]) -> list[str]:
    """The rows of a table of variables, as the page has them."""
    given = passed_on()
    return [
        f"| `{name}` | {'●' if name in given else ''} | "
        f"{f'`{variable.default}`' if variable.default else ''} | {variable.meaning} |"
        for name, variable in known.items()
    ]


@pytest.mark.parametrize(
    ("heading", "known"),
    [("Of the shop", shop.VARIABLES), ("Of `common`", variables.VARIABLES)],
)
def test_the_page_lists_every_variable_of_the_table(
    heading: str, known: Mapping[str, Variable]
) -> None:
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    shown = [line for line in section.splitlines() if line.startswith("| `")]
    assert shown == rows(known)


def test_what_an_environment_may_have_is_a_setting() -> None:
    assert passed_on() <= {*shop.VARIABLES, *variables.VARIABLES}
