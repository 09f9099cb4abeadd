"""What documents say, as small numbers: equal contents have one number, so worlds compare fast.

    a document's fields ──number──▶ 17 ──fields──▶ the same fields, without what nobody decides by

A token (who wrote it) is `me#2` in the eyes of its actor, `1#2` in the world, where 1 is the actor,
and `other` in the eyes of everybody else; that of an actor who has ended is `gone`. Times are kept
to the second: the world's clock is coarse, and microseconds tell one commit from another.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from common.cloud.firestore import DELETE_FIELD

ABSENT = -1
"""The number of a document that is not there."""
UNREAD = frozenset(
    {"cause", "expire_at", "first_seen", "history", "last_seen", "replayed_at", "updated_at"}
)
"""Fields that no decision depends on."""
MINE = re.compile(r"me#\d+")
ANYBODYS = re.compile(r"\d+#\d+")

Fields = Mapping[str, Any]


class Contents:
    """The contents that have come up so far. Numbers begin with 0."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._fields: list[Fields] = []
        self.after = functools.cache(self._after)
        self.stored = functools.cache(self._stored)
        self.seen = functools.cache(self._seen)
        self.tidied = functools.cache(self._tidied)

    def number(self, fields: Fields) -> int:
        """The number of these fields."""
        kept = {name: _coarse(it) for name, it in fields.items() if name not in UNREAD}
        return self._number(kept)

    def fields(self, number: int) -> Fields:
        """The fields with that number; none for ABSENT."""
        return {} if number == ABSENT else self._fields[number]

    def _number(self, fields: Fields) -> int:
        key = json.dumps(fields, sort_keys=True, default=repr)
        found = self._numbers.setdefault(key, len(self._fields))
        if found == len(self._fields):
            self._fields.append(fields)
        return found

    def _after(self, number: int, written: int) -> int:
        """What a document says once these fields of it are written."""
        fields = {**self.fields(number), **self._fields[written]}
        return self._number({name: it for name, it in fields.items() if it is not DELETE_FIELD})

    def _stored(self, number: int, actor: int) -> int:
        """What an actor writes, as the world has it."""
        return self._renamed(number, MINE, lambda token: token.replace("me#", f"{actor}#"))

    def _seen(self, number: int, actor: int) -> int:
        """What the world has, as an actor sees it."""

        def see(token: str) -> str:
            return token.replace(f"{actor}#", "me#") if owner(token) == actor else "other"

        return self._renamed(number, ANYBODYS, see)

    def _tidied(self, number: int, actor: int) -> int:
        """What the world has, once nobody knows the tokens of this actor any more."""
        return self._renamed(
            number, ANYBODYS, lambda token: "gone" if owner(token) == actor else token
        )

    def _renamed(self, number: int, tokens: re.Pattern[str], rename: Callable[[str], str]) -> int:
        if number == ABSENT:
            return ABSENT
        fields = self._fields[number]
        renamed = {name: _mapped(it, tokens, rename) for name, it in fields.items()}
        return number if renamed == fields else self._number(renamed)


def _mapped(value: Any, tokens: re.Pattern[str], rename: Callable[[str], str]) -> Any:
    if isinstance(value, list):
        return [_mapped(it, tokens, rename) for it in value]
    return rename(value) if isinstance(value, str) and tokens.fullmatch(value) else value


def owner(token: str) -> int:
    """The actor that a token of the world belongs to."""
    return int(token.partition("#")[0])


def _coarse(value: Any) -> Any:
    return value.replace(microsecond=0) if isinstance(value, datetime) else value
