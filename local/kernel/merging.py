"""Changes to JSON documents as field masks name them."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any


def merged(old: Mapping[str, Any], new: Mapping[str, Any], paths: Iterable[str]) -> dict[str, Any]:
    """Return `old` with the fields at `paths`, such as `labels.a`, as they are in `new`."""
    result: dict[str, Any] = copy.deepcopy(dict(old))
    for path in paths:
        *parents, last = path.split(".")
        source: Any = new
        target = result
        for parent in parents:
            source = source.get(parent) or {}
            target = target.setdefault(parent, {})
        if last in source:
            target[last] = source[last]
        else:
            target.pop(last, None)
    return result


def camel(path: str) -> str:
    """Return a mask's path as JSON spells it: `display_name` is `displayName`."""
    first, *rest = path.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def paths(mask: str, document: Mapping[str, Any]) -> list[str]:
    """Return the paths of a mask as a query holds it; an empty one means all of `document`."""
    named = [camel(path.strip()) for path in mask.split(",") if path.strip()]
    return named or list(document)
