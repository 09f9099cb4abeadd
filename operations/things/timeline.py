"""`show ID`: one timeline of whatever the id leads to, and what happens next."""

from dataclasses import dataclass
from typing import Any

from operations.errors import NotFoundError
from operations.terminal import moments, output
from operations.things import finding, readers
from operations.things.readers import Entry, Next, Thing


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What is known of one id."""

    id: str
    things: list[Thing]
    """What has this id first, then what belongs to it."""
    timeline: list[Entry]
    """What happened, first to last."""
    next: list[Next]
    """What is going to happen, soonest first; what has no time last."""


def of(asked: str) -> Timeline:
    """All that is known of an id. Raises NotFoundError where that is nothing."""
    found = finding.find(asked)
    if not found:
        raise NotFoundError(f"nothing is known of {asked}: no such id, or it is older than is kept")
    all_of_it = sorted(map(readers.read, found), key=lambda thing: thing.id != asked)
    entries = [entry for thing in all_of_it for entry in thing.entries]
    ahead = [each for thing in all_of_it for each in thing.next]
    return Timeline(
        id=asked,
        things=all_of_it,
        timeline=sorted(entries, key=order),
        next=sorted(ahead, key=_soonest),
    )


def _soonest(ahead: Next) -> tuple[bool, float, str]:
    return ahead.at is None, ahead.at.timestamp() if ahead.at else 0, ahead.what


def order(entry: Entry) -> tuple[int, int, float, str, str]:
    """What entries are sorted by: the second, within it the rank, then the time and the words."""
    time = entry.at.timestamp()
    return int(time), entry.rank, time, entry.what, entry.id


def document(timeline: Timeline) -> dict[str, Any]:
    """For a program."""
    return {
        "id": timeline.id,
        "state": next((it.state for it in timeline.things if it.state), ""),
        "things": [{**vars(it), "entries": None, "next": None} for it in timeline.things],
        "timeline": [vars(it) for it in timeline.timeline],
        "next": [vars(it) for it in timeline.next],
    }


def tell(timeline: Timeline) -> None:
    """Print it for a person: what it is, what happened, what happens next."""
    for thing in timeline.things:
        print(output.text(f"{thing.kind} {thing.id}  {thing.state}".rstrip()))
        if thing.id == timeline.id:
            for name, value in thing.fields.items():
                print(f"    {name.replace('_', ' ')}: {output.text(value)}")
        if thing.now:
            print(output.text(f"    {thing.now}"))
    print()
    for entry in timeline.timeline:
        print(_line(entry, timeline.id))
    if timeline.next:
        print("\nnext")
        for each in timeline.next:
            print(f"{moments.shown(each.at) or ' ' * 19}  {output.text(each.what)}")


def _line(entry: Entry, asked: str) -> str:
    which = "" if entry.id == asked else output.cell(entry.id)
    words = (output.cell(entry.what), which, entry.state, output.text(entry.detail))
    return f"{moments.shown(entry.at)}  {' '.join(filter(None, words))}"
