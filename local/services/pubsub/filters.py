"""A subscription's filter: `attributes.k = "v"`, `attributes:k`, `hasPrefix(…)`, AND, OR, NOT."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from local.kernel.refusals import invalid

Test = Callable[[Mapping[str, str]], bool]

MAX_BYTES = 256

_TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(!=|[=:.,()-])|([\w/-]+))', re.A)


@functools.lru_cache(maxsize=1024)
def compiled(text: str) -> Test:
    """The test a filter stands for; an empty one lets everything pass. INVALID_ARGUMENT if bad."""
    if not text.strip():
        return lambda attributes: True
    if len(text.encode()) > MAX_BYTES:
        raise invalid(f"Invalid filter: longer than {MAX_BYTES} bytes.")
    parser = _Parser(text, _tokens(text))
    test = parser.condition()
    if parser.tokens:
        raise parser.wrong()
    return test


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if not match:
            raise invalid(f"Invalid filter: {text}")
        found.append(match[0].strip())
        position = match.end()
    return found


@dataclass
class _Parser:
    text: str
    tokens: list[str] = field(default_factory=list)

    def condition(self) -> Test:
        first = self.negation()
        tests, word = [first], self.peek()
        if word not in ("AND", "OR"):
            return first
        while self.peek() == word:
            self.next()
            tests.append(self.negation())
        if self.peek() in ("AND", "OR"):
            raise self.wrong()  # The platform wants parentheses around a mix of the two.
        combine = all if word == "AND" else any
        return lambda attributes: combine(test(attributes) for test in tests)

    def negation(self) -> Test:
        if self.peek() not in ("NOT", "-"):
            return self.term()
        self.next()
        inner = self.term()
        return lambda attributes: not inner(attributes)

    def term(self) -> Test:
        word = self.next()
        if word == "(":
            inner = self.condition()
            self.expect(")")
            return inner
        if word == "hasPrefix":
            return self.prefix()
        if word != "attributes":
            raise self.wrong()
        return self.comparison()

    def comparison(self) -> Test:
        if self.peek() == ":":
            self.next()
            key = self.string()
            return lambda attributes: key in attributes
        self.expect(".")
        key, operator, value = self.string(), self.next(), self.string()
        if operator == "=":
            return lambda attributes: attributes.get(key) == value
        if operator == "!=":
            return lambda attributes: attributes.get(key) != value
        raise self.wrong()

    def prefix(self) -> Test:
        self.expect("(")
        self.expect("attributes")
        self.expect(".")
        key = self.string()
        self.expect(",")
        value = self.string()
        self.expect(")")
        return lambda attributes: attributes.get(key, "").startswith(value) and key in attributes

    def string(self) -> str:
        word = self.next()
        if word.startswith('"'):
            return re.sub(r"\\(.)", r"\1", word[1:-1])
        if not re.fullmatch(r"[\w/-]+", word, re.A):
            raise self.wrong()
        return word

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def next(self) -> str:
        if not self.tokens:
            raise self.wrong()
        return self.tokens.pop(0)

    def expect(self, word: str) -> None:
        if self.next() != word:
            raise self.wrong()

    def wrong(self) -> Exception:
        return invalid(f"Invalid filter: {self.text}")
