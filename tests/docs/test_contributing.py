"""What CONTRIBUTING says of the rooms and the commands is so."""

import os
import re

from tests.docs.scratch import ROOT
from tests.test_architecture import sources

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


def test_a_room_imports_what_the_page_allows() -> None:
    used: dict[str, set[str]] = {name: set() for name in ROOMS}
    for source in sources():
        if name := room(source.name):
            used[name] |= {it for imported in source.ours() if (it := room(imported))} - {name}
    assert used == ROOMS


def test_every_command_of_the_page_can_be_run() -> None:
    for command in re.findall(r"^\| `((?:tests|\.ci)/\w+)", PAGE, re.MULTILINE):
        assert os.access(ROOT / command, os.X_OK)
