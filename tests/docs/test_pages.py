"""Every block of every page is carried out, as it stands."""

import re
from itertools import groupby
from pathlib import Path

import pytest

from tests.docs.blocks import Block, of_page
from tests.docs.scratch import FOREGROUND, ROOT, Scratch, commands

PAGES = [
    page
    for pattern in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "local/README.md", "docs/*.md")
    for page in sorted(ROOT.glob(pattern))
]
PRESENT = [page for page in PAGES if page.name != "CHANGELOG.md"]
"""The pages that say how it is, not how it was."""
PATH = re.compile(r"`(?:\./)?(\w[\w.-]*/[\w./-]*)`")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def name(page: Path) -> str:
    """A page's name, from the root."""
    return str(page.relative_to(ROOT))


def sections(page: Path) -> list[tuple[str, list[Block]]]:
    """The page's sections that have blocks, in order: each begins with a fresh copy."""
    blocks = of_page(page.read_text())
    grouped = groupby(blocks, lambda block: block.section)
    return [(heading, list(found)) for heading, found in grouped]


def takes_long(block: Block) -> bool:
    """Whether a block starts a cloud with functions in it."""
    if block.language == "python":
        return "deploy_bundle" in block.text
    found = commands(block.text) if block.language == "console" else []
    return any(FOREGROUND.fullmatch(command) or "--demo" in command for command, _ in found)


@pytest.mark.parametrize(
    "blocks",
    [
        pytest.param(
            blocks,
            id=f"{name(page)}: {heading}",
            marks=[pytest.mark.slow] if any(map(takes_long, blocks)) else [],
        )
        for page in PAGES
        for heading, blocks in sections(page)
    ],
)
def test_the_blocks_of_a_section_hold(blocks: list[Block], tmp_path: Path) -> None:
    with Scratch(tmp_path) as scratch:
        for block in blocks:
            scratch.run(block)
        if any(block.title for block in blocks):
            scratch.lint()


@pytest.mark.parametrize("page", PRESENT, ids=name)
def test_every_path_on_the_page_exists(page: Path) -> None:
    named = PATH.findall(page.read_text())
    tops = {path.name for path in ROOT.iterdir()}
    shown = {block.title for block in of_page(page.read_text())}
    ours = [it for it in named if it.partition("/")[0] in tops and it not in shown]
    assert [it for it in ours if not (ROOT / it).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_to_a_file_leads_there(page: Path) -> None:
    linked = LINK.findall(page.read_text())
    assert [it for it in linked if not (page.parent / it).exists()] == []
