"""What there is to be shown: a document of ours, with what it says of the past and of what is next.

Each kind of document has a reader here. A reader knows the fields and no document but its own;
`operations.finding` knows which documents belong together.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from common.cloud import firestore
from common.cloud.firestore import Snapshot
from operations import declared


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Something that happened at a time."""

    at: datetime
    what: str
    id: str
    state: str = ""
    detail: str = ""
    rank: int = 1
    """Within one second: 0 comes first, 2 last. A claim may commit after what it was made for."""


@dataclass(frozen=True, kw_only=True)
class Next:
    """Something that is going to happen."""

    what: str
    at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Thing:
    """One document as an operator reads it."""

    kind: str
    id: str
    path: str
    state: str = ""
    now: str = ""
    """Where it stands, in words."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    next: tuple[Next, ...] = ()


def read(found: Snapshot) -> Thing:
    """The document, read by the reader of its collection."""
    names = found.path.split("/")
    return READERS.get(names[-2], _of_the_bundle)(found, names[-1])


def _work(found: Snapshot, name: str) -> Thing:
    data = found.data
    scope, key = str(data.get("scope")), str(data.get("key"))
    entries = [_entry(data.get("first_seen"), f"came to {scope}", key, rank=0)]
    if found.update_time is not None:
        state, detail = str(data.get("state")), _work_detail(data)
        what = f"{scope} last wrote"
        entries.append(_entry(found.update_time, what, key, state, detail, rank=2))
    owed = [_owed(each) for each in _each(data, "owed")]
    return Thing(
        kind=f"work of {scope}",
        id=key,
        path=found.path,
        state=str(data.get("state")),
        now="; ".join(_work_parts(data)),
        fields=_kept(data, "user_id", "event_type", "attempts", "vanished", "error"),
        entries=tuple(filter(None, entries)),
        next=tuple(owed),
    )


def _work_parts(data: Mapping[str, Any]) -> Iterator[str]:
    for each in _each(data, "steps"):
        result = _plain(each.get("result"))
        yield f"{each.get('name')} is done{f' ({result})' if result else ''}"
    for each in _each(data, "owed"):
        what = each.get("name") or "the rest"
        yield f"{what} waits: {each.get('reason')}, {each.get('tries')} tries, {each.get('error')}"
    for each in _each(data, "dead"):
        yield f"{each.get('name') or 'the rest'} was given up: {each.get('reason')}"


def _work_detail(data: Mapping[str, Any]) -> str:
    result = _plain(data.get("result"))
    return str(data.get("error") or result or "")


def _owed(owed: Mapping[str, Any]) -> Next:
    what = owed.get("name") or "the work"
    return Next(what=f"{what} is tried again", at=_time(owed.get("until")))


def _reminder(found: Snapshot, name: str) -> Thing:
    data = found.data
    reminder_id = str(data.get("reminder_id") or firestore.original_name(name))
    entries = [
        _entry(each.get("at"), f"reminder {each.get('what')}", reminder_id, detail=_rest(each))
        for each in data.get("history") or ()
        if isinstance(each, dict)
    ]
    if not entries:
        what = "reminder last written"
        entries = [_entry(data.get("updated_at"), what, reminder_id, str(data.get("state")))]
    waits = data.get("state") in ("pending", "sending")
    ahead = Next(what=f"reminder {reminder_id} rings", at=_time(data.get("due_at")))
    return Thing(
        kind="reminder",
        id=reminder_id,
        path=found.path,
        state=str(data.get("state")),
        now=str(data.get("error") or ""),
        fields=_kept(data, "kind", "user_id", "due_at", "generation", "cause"),
        entries=tuple(filter(None, entries)),
        next=(ahead,) if waits else (),
    )


def _message(found: Snapshot, name: str) -> Thing:
    data = found.data
    template = str(data.get("template"))
    detail = f"{data.get('subject')} ({data.get('transport')})"
    entry = _entry(data.get("sent_at"), f"message {template}", name, str(data.get("state")), detail)
    return Thing(
        kind="message",
        id=name,
        path=found.path,
        state=str(data.get("state")),
        fields=_kept(data, "template", "to", "subject", "user_id", "transport", "cause"),
        entries=tuple(filter(None, [entry])),
    )


def _letter(found: Snapshot, name: str) -> Thing:
    data = found.data
    detail = f"{data.get('reason')}: {data.get('error')}"
    seen = _entry(data.get("last_seen"), "dead letter", name, "open", detail)
    closed = [
        _entry(data.get(f"{state}_at"), "dead letter", name, state, str(data.get(because) or ""))
        for state, because in (("replayed", ""), ("discarded", "discarded_because"))
    ]
    is_open = data.get("state") == "open"
    ahead = Next(what=f"nothing, until it is replayed: dead-letters replay {name}")
    return Thing(
        kind="dead letter",
        id=name,
        path=found.path,
        state=str(data.get("state")),
        now=detail,
        fields=_kept(data, "source", "reason", "event_id", "event_type", "user_id", "attempts"),
        entries=tuple(filter(None, [seen, *closed])),
        next=(ahead,) if is_open else (),
    )


def _run(found: Snapshot, name: str) -> Thing:
    data = found.data
    run_id = firestore.original_name(name) or name
    begun = _entry(data.get("started_at"), "run begun", run_id)
    ended = _entry(data.get("finished_at"), "run ended", run_id, str(data.get("state")))
    counts = ("expected", "enqueued", "duplicate", "failed", "sent", "skipped", "shards_done")
    return Thing(
        kind="campaign run",
        id=run_id,
        path=found.path,
        state=str(data.get("state")),
        fields=_kept(data, "campaign", "period", "tick", *counts, "shards"),
        entries=tuple(filter(None, [begun, ended])),
    )


def _of_the_bundle(found: Snapshot, name: str) -> Thing:
    """A document of the bundle's own: all its fields, and its times as what happened."""
    collection = found.path.split("/")[-2]
    kind, shown_id = declared.kind_of(collection), firestore.original_name(name) or name
    data = dict(sorted(found.data.items()))
    times = {key: it for key, it in data.items() if isinstance(it, datetime)}
    entries = [
        _entry(at, f"{kind} {key.removesuffix('_at').replace('_', ' ')}", shown_id)
        for key, at in times.items()
        if key != "expire_at"
    ]
    fields = {key: it for key, it in data.items() if key not in times}
    return Thing(
        kind=kind,
        id=shown_id,
        path=found.path,
        state=str(fields.pop("state", None) or ""),
        fields=fields,
        entries=tuple(filter(None, entries)),
    )


READERS: Mapping[str, Callable[[Snapshot, str], Thing]] = {
    "idempotency": _work,
    "reminders": _reminder,
    "messages": _message,
    "dead_letters": _letter,
    "fanouts": _run,
}
"""By collection. Whatever is not among them is the bundle's own."""


def _entry(
    at: Any, what: str, id: str, state: str = "", detail: str = "", *, rank: int = 1
) -> Entry | None:
    time = _time(at)
    if time is None:
        return None
    return Entry(at=time, what=what, id=id, state=state, detail=detail, rank=rank)


def _each(data: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The values of a map, by their names: the service gives maps in any order."""
    kept = data.get(name)
    found = [it for it in kept.values() if isinstance(it, dict)] if isinstance(kept, dict) else []
    return sorted(found, key=lambda it: str(it.get("name")))


def _kept(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: data.get(name) for name in names if data.get(name) not in (None, "")}


def _rest(entry: Mapping[str, Any]) -> str:
    rest = {name: it for name, it in entry.items() if name not in ("at", "what") and it is not None}
    return ", ".join(f"{name} {it}" for name, it in rest.items())


def _time(value: Any) -> datetime | None:
    return value if isinstance(value, datetime) else None


def _plain(text: Any) -> str:
    """A stored result, which is JSON text, as a person reads it."""
    try:
        result = json.loads(text) if text else None
    except (TypeError, ValueError):
        return str(text)
    return "" if result is None else str(result)
