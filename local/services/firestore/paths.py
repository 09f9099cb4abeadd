"""Names of databases, collections and documents, and keys that sort as the platform sorts names.

A key is the name's segments one after the other, each as

    0x02  UTF-8 with 00 as 00 FF  00 01     a name
    0x01  eight bytes                       a number: `__id7__`, before every name

so that comparing keys as bytes compares names segment by segment, a parent sorts before what is
under it, and what begins with a parent's key, and only that, is under it: it lies between the key
and the key + FF.
"""

import re
import struct
from functools import lru_cache
from typing import NamedTuple

from local.kernel.refusals import invalid

NUMERIC = re.compile(r"__id(-?\d{1,19})__")
RESERVED = re.compile(r"__.+__", re.DOTALL)
MAX_ID_BYTES = 1500
TERMINATOR = b"\0\x01"
FIRST, AFTER = b"\x01", b"\xff"
"""Appended to a key: before everything under it, but behind the key itself; after all of it."""


class Collection(NamedTuple):
    """A collection's name, taken apart."""

    name: str
    key: bytes
    parent: bytes
    """The key of the document, or of the database, it is under."""
    group: str
    """Its last segment, which collection group queries go by."""
    database: str


class Path(NamedTuple):
    """A document's name, taken apart."""

    name: str
    key: bytes
    collection: Collection


@lru_cache(maxsize=1024)
def database(name: str) -> str:
    """The checked `projects/P/databases/D`. Raises Status."""
    _head(name, "Database", ("projects", "databases"))
    if name.count("/") != 3:
        raise invalid(f'Database name "{name}" is invalid: it goes on after the database id.')
    return name


@lru_cache(maxsize=4096)
def collection(name: str) -> Collection:
    """A collection from its full name. Raises Status."""
    parts = _segments(name, "Collection")
    ids = parts[5:]
    if len(ids) % 2 == 0:
        raise invalid(f'Collection name "{name}" names a document.')
    home = "/".join(parts[:4])
    above = key(home, ids[:-1])
    return Collection(name, above + segment(ids[-1]), above, ids[-1], home)


def document(name: str) -> Path:
    """A document from its full name. Raises Status."""
    parent, _, document_id = name.rpartition("/")
    try:
        home = collection(parent)
    except Exception:
        _check_document_name(name)
        raise
    _check_id(name, document_id, len(parent) + 1, "Resource")
    return Path(name, home.key + segment(document_id), home)


@lru_cache(maxsize=4096)
def parent(name: str) -> tuple[str, bytes]:
    """The database and the key of `…/documents` or of a document. Raises Status."""
    if name.endswith("/documents") and name.count("/") == 4:
        home = name.removesuffix("/documents")
        return database(home), key(home, [])
    path = document(name)
    return path.collection.database, path.key


def key(home: str, ids: list[str]) -> bytes:
    """The key of these ids in a database."""
    return segment(home) + b"".join(map(segment, ids))


@lru_cache(maxsize=4096)
def segment(text: str) -> bytes:
    """One segment of a key."""
    number = _number(text)
    if number is not None:
        return b"\x01" + struct.pack(">Q", number + (1 << 63))
    return b"\x02" + terminated(text.encode())


def terminated(text: bytes) -> bytes:
    """Bytes in an order-preserving form that is never the beginning of another's."""
    return text.replace(b"\0", b"\0\xff") + TERMINATOR


def first_segment(rest: bytes) -> tuple[str, int]:
    """The text of the segment a key (or what is left of one) begins with, and its length."""
    if rest[0] == 1:
        number = struct.unpack(">Q", rest[1:9])[0] - (1 << 63)
        return f"__id{number}__", 9
    end = rest.index(TERMINATOR, 1)
    return rest[1:end].replace(b"\0\xff", b"\0").decode(), end + len(TERMINATOR)


def segments(whole: bytes) -> list[str]:
    """The segments of a key; the first is the database."""
    found = []
    while whole:
        text, length = first_segment(whole)
        found.append(text)
        whole = whole[length:]
    return found


def name_of(whole: bytes) -> str:
    """The full name a document's key stands for."""
    home, *ids = segments(whole)
    return "/".join((home, "documents", *ids))


def is_reserved(text: str) -> bool:
    """Whether an id or field name is the platform's own: `__…__`, but not `____`."""
    return text.startswith("__") and RESERVED.fullmatch(text) is not None


def reference(name: str) -> bytes:
    """The key of any resource name a value refers to. Raises Status."""
    parts = _segments(name, "Resource")
    return key("/".join(parts[:4]), parts[5:])


def _number(text: str) -> int | None:
    match = NUMERIC.fullmatch(text)
    number = int(match[1]) if match else None
    return number if number is not None and -(1 << 63) <= number < 1 << 63 else None


def _segments(name: str, kind: str) -> list[str]:
    _head(name, kind, ("projects", "databases", "documents"))
    parts = name.split("/")
    index = sum(len(part) + 1 for part in parts[:5])
    if len(parts) < 6 or parts[5:] == [""]:
        raise invalid(f'{kind} name "{name}" is invalid: Omit trailing "/".')
    for place, part in enumerate(parts[5:]):
        _check_id(name, part, index, "Resource" if place % 2 else "Collection")
        index += len(part) + 1
    return parts


def _head(name: str, kind: str, words: tuple[str, ...]) -> None:
    parts = name.split("/")
    index = 0
    for place, word in enumerate(words):
        if len(parts) <= 2 * place or parts[2 * place] != word:
            raise invalid(f'{kind} name "{name}" lacks "{word}" at index {index}.')
        index += len(word) + 1
        if word != "documents":
            if len(parts) <= 2 * place + 1 or not parts[2 * place + 1]:
                raise invalid(f'{kind} name "{name}" lacks an id at index {index}.')
            index += len(parts[2 * place + 1]) + 1


def _check_document_name(name: str) -> None:
    parts = _segments(name, "Document")
    if len(parts) % 2 == 0:
        raise invalid(f'Document name "{name}" lacks "/" at index {len(name)}.')


def _check_id(name: str, text: str, index: int, kind: str) -> None:
    if not text:
        raise invalid(f'Document name "{name}" lacks a resource id at index {index}.')
    if text in (".", ".."):
        raise invalid(f'Document name "{name}" contains a resource id "{text}" at index {index}.')
    if is_reserved(text) and not (kind == "Resource" and _number(text) is not None):
        raise invalid(f'{kind} id "{text}" is invalid because it is reserved.')
    if len(text) > MAX_ID_BYTES // 4 and len(text.encode()) > MAX_ID_BYTES:
        raise invalid(f"The key path element name is longer than {MAX_ID_BYTES} bytes.")
