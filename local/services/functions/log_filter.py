"""The part of Cloud Logging's query language that finds lines of functions.

    resource.type="cloud_run_revision" AND jsonPayload.rung>0 AND NOT severity>=ERROR

Comparisons (`=`, `!=`, `<`, `<=`, `>`, `>=`, and `:` for a part of a text) of a field's path with a
value or with `(one OR another)`; AND, OR, NOT, `-`, parentheses; terms side by side are all to be
true. Anything else is refused, and not ignored.
https://cloud.google.com/logging/docs/view/logging-query-language
"""

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from local.kernel.refusals import invalid

SEVERITIES = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(!=|<=|>=|[=<>:()])|([^\s=<>:!()"]+))')
COMPARED: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
Entry = Mapping[str, Any]
Wanted = Callable[[Entry], bool]


def matching(text: str) -> Wanted:
    """What tells whether an entry is found by a filter. Raises INVALID_ARGUMENT."""
    reader = _Reader(list(_tokens(text)))
    if not text.strip():
        return lambda entry: True
    wanted = reader.all_of()
    if reader.peek():
        raise _refused(reader.peek())
    return wanted


def _tokens(text: str) -> Iterator[str]:
    at = 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if not found:
            raise _refused(text[at:])
        yield found[0].strip()
        at = found.end()


class _Reader:
    """Reads a filter from the left to the right; OR binds closer than AND, as Google has it."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens

    def peek(self) -> str:
        """The next token; empty at the end."""
        return self._tokens[0] if self._tokens else ""

    def take(self) -> str:
        """The next token, which is read with this."""
        if not self._tokens:
            raise _refused("")
        return self._tokens.pop(0)

    def all_of(self) -> Wanted:
        """Terms with AND between them, or with nothing."""
        terms = [self.any_of()]
        while self.peek() and self.peek() not in (")", "OR"):
            if self.peek() == "AND":
                self.take()
            terms.append(self.any_of())
        return lambda entry: all(term(entry) for term in terms)

    def any_of(self) -> Wanted:
        """Terms with OR between them."""
        terms = [self.term()]
        while self.peek() == "OR":
            self.take()
            terms.append(self.term())
        return lambda entry: any(term(entry) for term in terms)

    def term(self) -> Wanted:
        """A comparison, something in parentheses, or the opposite of one of them."""
        if self.peek() == "NOT" or self.peek().startswith("-"):
            self._tokens[0] = self.peek().removeprefix("NOT").removeprefix("-")
            if not self.peek():
                self.take()
            opposite = self.term()
            return lambda entry: not opposite(entry)
        if self.peek() == "(":
            self.take()
            inner = self.all_of()
            self._close()
            return inner
        path, compared = self.take(), self.take()
        if compared not in {*COMPARED, "!=", ":"} or path.startswith('"'):
            raise _refused(f"{path}{compared}")
        return _comparison(path, compared, self._values())

    def _values(self) -> list[str]:
        if self.peek() != "(":
            return [_value(self.take())]
        self.take()
        values = [_value(self.take())]
        while self.peek() == "OR":
            self.take()
            values.append(_value(self.take()))
        self._close()
        return values

    def _close(self) -> None:
        token = self.take()
        if token != ")":
            raise _refused(token)


def _comparison(path: str, compared: str, values: list[str]) -> Wanted:
    def found(entry: Entry) -> bool:
        held = _at(entry, path)
        if compared == "!=":
            return all(not _holds(path, held, "=", value) for value in values)
        return any(_holds(path, held, compared, value) for value in values)

    return found


def _holds(path: str, held: Any, compared: str, value: str) -> bool:
    """Whether a field compares so; one that is not there compares with nothing."""
    if held is None:
        return False
    if compared == ":":
        return value.lower() in str(held).lower()
    try:
        mine, theirs = _alike(path, held, value)
    except (ValueError, KeyError):
        return False
    return COMPARED[compared](mine, theirs)


def _alike(path: str, held: Any, value: str) -> tuple[Any, Any]:
    """Both sides as values that compare with each other."""
    if path == "severity":
        return SEVERITIES[str(held)], SEVERITIES[value.upper()]
    if path == "timestamp":
        return datetime.fromisoformat(str(held)), datetime.fromisoformat(value)
    if isinstance(held, bool):
        return str(held).lower(), value.lower()
    if isinstance(held, int | float):
        return float(held), float(value)
    return str(held), value


def _at(entry: Entry, path: str) -> Any:
    held: Any = entry
    for name in path.split("."):
        if not isinstance(held, Mapping):
            return None
        held = held.get(name)
    return held


def _value(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1]) if token.startswith('"') else token


def _refused(text: str) -> Exception:
    return invalid(f"Unparseable filter: syntax error at {text.strip()[:60] or 'its end'!r}")
