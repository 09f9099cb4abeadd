"""What the bundle declares: its events and its documents, all that `main` has."""

from typing import Any

import main
from common.cloud.documents import DocumentKind
from common.process import tables
from common.triggers.events import EventType

ALL = [getattr(main, name) for name in main.__all__]
"""Importing what has tables fills them."""
SAMPLES: dict[type, Any] = {str: "", int: 1, float: 24.9, bool: True, dict: {}, list: []}


def events() -> list[EventType]:
    """The events that `consumer` handles."""
    return tables.listed(EventType)


def documents() -> list[DocumentKind]:
    """The documents of the bundle's own that have ids."""
    return tables.listed(DocumentKind)


def kind_of(collection: str) -> str:
    """What one document of a collection is called, by the last name of its path."""
    known = {kind.collection.rpartition("/")[2]: kind.name for kind in documents()}
    return known.get(collection, collection.removesuffix("s"))


def examples() -> dict[str, dict[str, Any]]:
    """An event of each type, with every field it may have, and without an id."""
    return {
        each.name: {
            "event_type": each.name,
            "user_id": "ada",
            "payload": {
                name.rstrip("?"): _sample(name, kind) for name, kind in each.fields.items()
            },
        }
        for each in events()
    }


def _sample(name: str, kind: type | tuple[type, ...]) -> Any:
    first = kind[-1] if isinstance(kind, tuple) else kind
    name = name.rstrip("?")
    if first is not str:
        return SAMPLES.get(first)
    return {"email": "ada@shop.example", "timezone": "Europe/Berlin"}.get(name, f"{name}-1")
