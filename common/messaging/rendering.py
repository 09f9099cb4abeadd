"""Message templates: `templates/{name}.subject.txt`, `.txt` and `.html`, rendered with Jinja2.

A template sees the context it is given and nothing else; a name it uses without asking whether it
is there is an error, not an empty place in a customer's mail.
"""

import contextlib
import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.exceptions import TemplateNotFound

from common.errors import PermanentError

FOLDER = Path(__file__).with_name("templates")
SUBJECT_LIMIT = 200
"""Characters of a subject line."""
LINE_LIMIT = 200
ITEM_LIMIT = 50
AMOUNT_LIMIT = Decimal(10) ** 15


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """One message, ready to send."""

    subject: str
    """One line, without control characters: it becomes a header."""
    text: str
    html: str


def render(template: str, context: Mapping[str, Any]) -> Rendering:
    """The message `template` with this context.

    Raises PermanentError if there is no such template or the context lacks what it must have.
    """
    try:
        return Rendering(
            subject=one_line(_render(f"{template}.subject.txt", context))[:SUBJECT_LIMIT],
            text=re.sub(r"\n{3,}", "\n\n", _render(f"{template}.txt", context)).strip() + "\n",
            html=_render(f"{template}.html", context).strip() + "\n",
        )
    except TemplateNotFound as error:
        raise PermanentError(f"There is no message template {template!r} ({error}).") from error
    except Exception as error:  # nothing but the data plays a part: it would fail again
        raise PermanentError(f"Template {template!r} does not fit its data: {error}.") from error


def one_line(value: object) -> str:
    """The text on one line: control and separator characters become single spaces."""
    spaced = "".join(" " if _breaks(character) else character for character in str(value))
    return " ".join(spaced.split())


def _breaks(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def money(value: object, currency: object = "") -> str:
    """An amount with two decimals and thousands separated; what is no number stays as it is."""
    shown = one_line(value)[:LINE_LIMIT]
    with contextlib.suppress(InvalidOperation):  # no number, or NaN
        if -AMOUNT_LIMIT < Decimal(shown) < AMOUNT_LIMIT:
            shown = f"{Decimal(shown):,.2f}"
    return f"{shown} {one_line(currency)[:10]}".strip()


def lines(items: object) -> list[str]:
    """One line for each item of an order or cart: texts, or objects with a name, sku or id."""
    if not isinstance(items, list | tuple):
        return []
    return [line for item in items[:ITEM_LIMIT] if (line := _line(item))]


def _line(item: object) -> str:
    if not isinstance(item, Mapping):
        return one_line(item)[:LINE_LIMIT] if isinstance(item, str | int | float) else ""
    named = [item[key] for key in ("name", "title", "sku", "id") if item.get(key)]
    if not named:
        return ""
    quantity, price = item.get("quantity"), item.get("price")
    count = f"{quantity} × " if quantity not in (None, 1, "1") else ""
    cost = f", {money(price)}" if price is not None else ""
    return one_line(f"{count}{named[0]}{cost}")[:LINE_LIMIT]


def _render(file: str, context: Mapping[str, Any]) -> str:
    return _environment().get_template(file).render(context)


def _finalize(value: object) -> object:
    """No value breaks out of its line, wherever a template puts it."""
    return one_line(value) if type(value) is str else value


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_finalize,
        auto_reload=False,
    )
    environment.filters |= {"money": money, "one_line": one_line, "lines": lines}
    return environment
