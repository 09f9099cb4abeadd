"""What a document shows as code: the fenced blocks of a page, the examples of a docstring."""

import ast
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^ *(`{3,}|~{3,})\s*(\S*)")
HEADING = re.compile(r"^#{1,2} +(.+)")
TITLE = re.compile(r"`([\w.-]+(?:/[\w.-]+)*\.\w+)`[^`]*:$")
PROGRAM = re.compile(
    r"^(import \w|from [\w.]+ import |def \w+\(|class \w+|assert |with .+:$)", re.M
)
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DOES_SOMETHING = ast.Import | ast.ImportFrom | ast.Assign | ast.Call | ast.FunctionDef


@dataclass(frozen=True, kw_only=True)
class Block:
    """One piece of code in a document."""

    language: str
    """What the fence says; "" for a picture or a tree."""
    text: str
    line: int
    """The line of its fence, from 1; of a docstring's example, the line in the docstring."""
    section: str = ""
    """The heading above, of the first or second level."""
    title: str = ""
    """The file that the line before the block names, as in "Into `functions/consumer.py`:"."""


def of_page(page: str) -> list[Block]:
    """The fenced blocks of a page in Markdown, in their order."""
    found: list[Block] = []
    section = last = ""
    lines = enumerate(page.splitlines(), start=1)
    for number, line in lines:
        if opened := FENCE.match(line):
            text = "\n".join(_fenced(lines, opened[1]))
            title = TITLE.search(last)
            found.append(
                Block(
                    language=opened[2],
                    text=textwrap.dedent(text) + "\n",
                    line=number,
                    section=section,
                    title=title[1] if title else "",
                )
            )
        elif heading := HEADING.match(line):
            section = heading[1]
        last = line.strip() or last
    return found


def of_source(source: str) -> list[Block]:
    """The examples in the docstrings of a Python file: indented, and Python that does something."""
    found = []
    for node in ast.walk(ast.parse(source)):
        docstring = _docstring(node) if isinstance(node, DOCUMENTED) else ""
        for line, text in _indented(docstring):
            if _is_example(text):
                found.append(Block(language="python", text=text, line=line))
    return found


def _fenced(lines: Iterator[tuple[int, str]], fence: str) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == fence:
            return
        yield line
    raise ValueError("a fence is never closed")


def _docstring(node: DOCUMENTED) -> str:
    # Not ast.get_docstring: where all but the first line is an example, it is no longer indented.
    text = ast.get_docstring(node, clean=False)
    if text is None:
        return ""
    margin = " " * node.body[0].col_offset
    return "\n".join(line.removeprefix(margin) for line in text.splitlines())


def _indented(docstring: str) -> Iterator[tuple[int, str]]:
    block: list[str] = []
    for number, line in enumerate([*docstring.splitlines(), "."], start=1):
        if line.startswith("    ") or (block and not line):
            block.append(line)
        elif block:
            yield number - len(block), textwrap.dedent("\n".join(block)).strip() + "\n"
            block = []


def _is_example(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:  # of a program with a mistake, whoever runs it is told
        return PROGRAM.search(text) is not None
    return any(isinstance(node, DOES_SOMETHING) for node in ast.walk(tree))
