"""Message templates: `{name}.subject.txt`, `.txt` and `.html` in a folder, rendered with Jinja2.

A template sees the context it is given and nothing else; a name that it uses without asking whether
the name is there is an error, not an empty place in somebody's mail.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.exceptions import TemplateNotFound
from msgspec import Struct, field

from common.errors import ConfigurationError, PermanentError

SUFFIXES = (".subject.txt", ".txt", ".html")
SUBJECT_LIMIT = 200
"""Characters of a subject line."""
NAME_LIMIT = 60
"""Characters of a person's name."""
JOINERS = "\u200c\u200d"
"""Invisible, but parts of words in Persian and Indic scripts, and of emoji."""
DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of whatever follows them."""
_NO_NAME = re.compile(r"www\.|[@<>#{}\[\]|/\\]|\d{3}|[€$£¥]|\w{2}\.[^\W\d_]{2}")
"""What no name has: an address of a page or of a person, markup, money, a number."""


class Rendering(Struct, frozen=True, kw_only=True):
    """One message, ready to send."""

    subject: str
    """One line, without control characters: it becomes a header."""
    text: str
    html: str


class Templates(Struct, frozen=True, kw_only=True, eq=False, dict=True):
    """The templates of a bundle: a folder of files, and the bundle's own filters."""

    folder: Path
    filters: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    def check(self, name: str) -> None:
        """Raises ConfigurationError if one of the three files of the message `name` is missing."""
        for suffix in SUFFIXES:
            if not (self.folder / f"{name}{suffix}").is_file():
                raise ConfigurationError(f"There is no template {name}{suffix} in {self.folder}.")

    def message(self, name: str, context: Mapping[str, Any]) -> Rendering:
        """The message `name` with this context.

        Raises PermanentError if there is no such template or the context lacks what it must have.
        """
        text = re.sub(r"\n{3,}", "\n\n", self.text(f"{name}.txt", context))
        return Rendering(
            subject=one_line(self.text(f"{name}.subject.txt", context))[:SUBJECT_LIMIT],
            text=text + "\n",
            html=self.text(f"{name}.html", context) + "\n",
        )

    def text(self, file: str, context: Mapping[str, Any]) -> str:
        """One file of the folder with this context, without blank space before and after it.

        Raises PermanentError like `message`.
        """
        try:
            return self._environment.get_template(file).render(context).strip()
        except TemplateNotFound as error:
            raise PermanentError(f"There is no template {file!r} ({error}).") from error
        except Exception as error:  # nothing but the data plays a part: it would fail again
            raise PermanentError(f"Template {file!r} does not fit its data: {error}.") from error

    @functools.cached_property
    def _environment(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self.folder),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=("html",), default=False),
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            finalize=_finalize,
            auto_reload=False,
        )
        environment.filters |= {"one_line": one_line, **self.filters}
        return environment


def one_line(value: object) -> str:
    """The text on one line: control and separator characters become single spaces, and marks that
    turn the direction of what follows are left out."""
    text = str(value)
    if text.isascii() and text.isprintable():  # as nearly all are
        return " ".join(text.split())
    spaced = "".join(" " if _breaks(character) else character for character in text)
    return " ".join("".join(it for it in spaced if it not in DIRECTION).split())


def person_name(value: object) -> str | None:
    """The name of a person as a greeting may show it; None for what is rather something else.

    Whoever signs somebody else up chooses the name in their mail: an advertisement, a link, a
    number to call. A greeting without a name is better than those.
    """
    if not isinstance(value, str):
        return None
    name = unicodedata.normalize("NFC", one_line(value[: 10 * NAME_LIMIT]))
    name = "".join(it for it in name if it in JOINERS or unicodedata.category(it) != "Cf")
    # Full-width letters and the like read as what they look like.
    if not name or len(name) > NAME_LIMIT or _NO_NAME.search(unicodedata.normalize("NFKC", name)):
        return None
    return name


def _breaks(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")


def _finalize(value: object) -> object:
    """No value breaks out of its line, wherever a template puts it."""
    return one_line(value) if type(value) is str else value
