"""What a command prints: for a person a table, or one JSON document for a program."""

import base64
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from operations.terminal import moments

WIDEST = 60
"""Characters of one column."""
TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)
UNSAFE = dict.fromkeys((*range(32), *range(127, 160), *TURNING), "�")
"""What moves the cursor, colours the screen or turns text around: stored text is anybody's."""


def document(value: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(plain(value), indent=2, ensure_ascii=False), flush=True)


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], nothing: str) -> None:
    """Print these fields of the rows under their names; `nothing` where there are no rows."""
    if not rows:
        print(nothing)
        return
    cells = [[name.replace("_", " ") for name in columns]]
    cells += [[_cell(name, row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    for line in cells:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )


def fields(values: Mapping[str, Any]) -> None:
    """Print one thing, a field a line; fields without a value are left out."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        if value not in (None, ""):
            print(f"{name.replace('_', ' '):<{width}}  {text(value)}")


def cell(value: Any) -> str:
    """A value in a column: on one line, and not too long."""
    shown = text(value)
    return shown if len(shown) <= WIDEST else f"{shown[: WIDEST - 1]}…"


def _cell(name: str, value: Any) -> str:
    # An id is whole, to be copied.
    return text(value) if name == "id" else cell(value)


def text(value: Any) -> str:
    """A value as a person reads it, on one line, and harmless to a terminal."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return moments.shown(value)
    if isinstance(value, str):
        return value.translate(UNSAFE)
    return json.dumps(plain(value), ensure_ascii=False).translate(UNSAFE)


def plain(value: Any) -> Any:
    """A value as JSON has it: times as RFC 3339, bytes as base64."""
    if isinstance(value, datetime):
        return moments.written(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [plain(item) for item in value]
    return value


def note(line: str) -> None:
    """A line that is worth keeping: on standard error, so that it is in nobody's document."""
    print(line, file=sys.stderr, flush=True)


def progress(line: str) -> None:
    """A line for whoever waits in front of a terminal; a log gets none.

    What a command prints into a file depends on what became of the work alone, and not on how often
    somebody looked meanwhile.
    """
    if sys.stderr.isatty():
        note(line)
