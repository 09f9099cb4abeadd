"""What a command prints: `--format=value(…)`, `json`, `yaml` and `none`, after `--flatten`."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from local.gcloud.errors import UsageError

VALUE = re.compile(r"value(?:\[separator=(?P<separator>\"[^\"]*\"|'[^']*'|.)\])?\((?P<keys>.*)\)")
KEY = re.compile(r"[\w.-]+?(\.basename\(\))?")

Printer = Callable[[Any], Iterator[str]]
"""The lines for a resource, or for a list of them."""


def printer(style: str) -> Printer:
    """What prints as `--format` says (empty: YAML); raises UsageError."""
    match = VALUE.fullmatch(style)
    if match:
        keys = [key.strip() for key in match["keys"].split(",")]
        wrong = [key for key in keys if not KEY.fullmatch(key)]
        if not wrong:
            return _values((match["separator"] or "\t").strip("\"'"), keys)
    if match or style not in STYLES:
        raise UsageError(f"the local gcloud does not print --format={style}")
    return STYLES[style]


def flattened(document: Any, paths: str) -> Any:
    """`a[].b`: one record for every b of every a, everything else repeated."""
    for path in filter(None, paths.split(",")):
        head, brackets, tail = path.partition("[]")
        if not brackets:
            raise UsageError(f"the local gcloud does not carry out --flatten={path}")
        key = tail.removeprefix(".").removesuffix("[]")
        document = list(_flattened(_records(document), head, key))
    return document


def _flattened(records: Iterable[Any], head: str, key: str) -> Iterator[Any]:
    for record in records:
        for item in _get(record, head) or ():
            for part in (_get(item, key) or [None]) if key else [item]:
                yield {**record, head: {**item, key: part} if key else part}


def _records(document: Any) -> list[Any]:
    return document if isinstance(document, list) else [document]


def _values(separator: str, keys: list[str]) -> Printer:
    def lines(document: Any) -> Iterator[str]:
        for record in _records(document):
            yield separator.join(_value(record, key) for key in keys)

    return lines


def _value(record: Any, key: str) -> str:
    text = _text(_get(record, key.removesuffix(".basename()")))
    return text.rpartition("/")[2] if key.endswith("()") else text


def _get(record: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(key)
    return record


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ";".join(map(_text, value))
    if isinstance(value, dict):
        return ";".join(f"{key}={_text(item)}" for key, item in value.items())
    return str(value)


def _json(document: Any) -> Iterator[str]:
    yield json.dumps(document, indent=2, sort_keys=True)


def _nothing(document: Any) -> Iterator[str]:
    return iter(())


def _yaml(document: Any) -> Iterator[str]:
    for record in _records(document):
        if isinstance(document, list):
            yield "---"
        yield from _block(record, "")


def _block(value: Any, indent: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{indent}{_scalar(value)}"
        return
    for key, item in value.items():
        if isinstance(item, dict) and item:
            yield f"{indent}{key}:"
            yield from _block(item, indent + "  ")
        elif isinstance(item, list) and item:
            yield f"{indent}{key}:"
            yield from _items(item, indent)
        else:
            yield f"{indent}{key}: {_scalar(item)}"


def _items(items: list[Any], indent: str) -> Iterator[str]:
    for item in items:
        first, *others = _block(item, indent + "  ")
        yield f"{indent}- {first.strip()}"
        yield from others


def _scalar(value: Any) -> str:
    plain = isinstance(value, str) and re.fullmatch(r"[A-Za-z/_(][\w ./()@-]*", value)
    return value if plain and value.lower() not in ("true", "false", "null") else json.dumps(value)


STYLES: dict[str, Printer] = {
    "": _yaml,
    "yaml": _yaml,
    "json": _json,
    "none": _nothing,
    "disable": _nothing,
}
