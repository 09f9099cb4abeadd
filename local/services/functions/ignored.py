"""Counts the events that a function acknowledged because it handles no such type.

The functions say so themselves: each writes a JSON log record with `"action": "ignored"` and the
event's type as `event_type`. The count is of deliveries, since the cloud was started: an event that
was delivered twice counts twice.
"""

import json
from collections import Counter

MOST_TYPES = 100
"""How many types are counted apart; further ones are counted together."""
OTHERS = "other types"


class Ignored:
    """How many ignored deliveries there were, by event type, of one function."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def read(self, line: str) -> None:
        """Count a line of the function's output, if it says that an event was ignored."""
        # Almost no line does: looking for the word is fifty times cheaper than parsing each.
        if '"ignored"' not in line:
            return
        event_type = _event_type(line)
        if event_type:
            is_room = event_type in self.counts or len(self.counts) < MOST_TYPES
            self.counts[event_type if is_room else OTHERS] += 1


def _event_type(line: str) -> str | None:
    """The type in such a record; None: the line is none, or does not name a type."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("action") != "ignored":
        return None
    event_type = record.get("event_type")
    return event_type if isinstance(event_type, str) else None
