"""What CONTRIBUTING says of the rooms and the commands is so."""

import os
import re

import pytest

from tests.docs.scratch import ROOT
from tests.test_architecture import SOURCES, imports, module

PAGE = (ROOT / "CONTRIBUTING.md").read_text()
ROWS = re.findall(r"\n\| `common/(\w+)(?:\.py)?` \| [^|]+ \| ([^|\n]*)\|", PAGE)
ROOMS = {name: set(re.findall(r"`(\w+)`", allowed)) for name, allowed in ROWS}
"""The rooms of `common`, and which of them each may import."""


def room(name: str) -> str | None:
    """The room of `common` that a module is in."""
    parts = name.split(".")
    return parts[1] if parts[0] == "common" and len(parts) > 1 else None


def test_the_page_lists_every_room() -> None:
    folders = {path.parent.name for path in (ROOT / "common").glob("*/__init__.py")}
    assert ROOMS.keys() == folders | {"errors"}


def test_the_rooms_are_listed_from_the_top_down() -> None:
    order = list(ROOMS)
    for name, allowed in ROOMS.items():
        assert allowed <= set(order[order.index(name) + 1 :])


@pytest.mark.parametrize("name", ROOMS)
def test_a_room_imports_what_the_page_allows(name: str) -> None:
    used = {
        target
        for path in SOURCES
        if room(module(path)) == name
        for imported in imports(path)
        if (target := room(imported)) not in (None, name)
    }
    assert used == ROOMS[name]


def test_every_command_of_the_page_can_be_run() -> None:
    for command in re.findall(r"^\| `((?:tests|\.ci)/\w+)", PAGE, re.MULTILINE):
        assert os.access(ROOT / command, os.X_OK)
