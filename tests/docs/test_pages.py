"""Every block of every page is carried out, as it stands."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.docs.blocks import Block, of_page
from tests.docs.scratch import FOREGROUND, ROOT, Scratch, commands

PAGES = [
    page
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "local/README.md", "docs/*.md")
    for page in sorted(ROOT.glob(name))
]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
PATH = re.compile(r"`(?:\./)?(\w[\w.-]*/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def sections(page: Path) -> list[tuple[str, list[Block]]]:
    """The page's sections that have blocks, in order: each begins with a fresh copy."""
    blocks = of_page(page.read_text())
    return [(name, list(found)) for name, found in groupby(blocks, lambda block: block.section)]


def takes_long(block: Block) -> bool:
    """Whether a block starts a cloud by its command."""
    if block.language != "console":
        return False
    found = [command for command, _ in commands(block.text)]
    return any(FOREGROUND.fullmatch(command) or "--demo" in command for command in found)


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(
            blocks,
            id=f"{page.relative_to(ROOT)}: {name}",
            marks=[pytest.mark.slow] if any(map(takes_long, blocks)) else [],
        )
        for page in PAGES
        for name, blocks in sections(page)
    ],
)
def test_the_blocks_of_a_section_hold(blocks: list[Block], tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        for block in blocks:
            scratch.run(block)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_path_on_the_page_exists(page: Path) -> None:
    named = PATH.findall(page.read_text())
    tops = {path.name for path in ROOT.iterdir()}
    ours = [name for name in named if name.partition("/")[0] in tops]
    assert [name for name in ours if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    linked = LINK.findall(page.read_text())
    assert [name for name in linked if not (page.parent / name).exists()] == []
