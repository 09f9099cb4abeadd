"""What the functions logged of some ids: `gcloud logging read`, here and on a real project.

Cloud Logging keeps lines for 30 days unless the project says otherwise; the local cloud has the
last lines of each function, at the time of its own clock. See
https://cloud.google.com/logging/docs/view/logging-query-language.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from operations.place import gcloud
from operations.place.environment import Place
from operations.things import timeline
from operations.things.readers import Entry
from operations.things.timeline import Timeline

FIELDS = ("event_id", "reminder_id", "run", "task", "user_id")
"""Of a line, that name what it is about."""
FRESHNESS = "31d"
MOST_IDS = 20
LONGEST_ID = 200
"""Characters; a query may have 20,000."""


def merged(found: Timeline, place: Place, limit: int) -> Timeline:
    """The timeline with the latest lines of what it is about. Raises OperationsError."""
    lines = read(place, _ids(found), limit)
    return replace(found, timeline=sorted([*found.timeline, *lines], key=timeline.order))


def read(place: Place, ids: Iterable[str], limit: int) -> list[Entry]:
    """The latest lines that name one of these ids, `limit` at most. Raises OperationsError."""
    asked = [json.dumps(it, ensure_ascii=False) for it in ids if len(it) <= LONGEST_ID]
    if not asked:
        return []
    named = " OR ".join(f"jsonPayload.{name}=({' OR '.join(asked)})" for name in FIELDS)
    query = f'resource.type="cloud_run_revision" AND ({named})'
    options = (f"--freshness={FRESHNESS}", f"--limit={limit}")
    found = gcloud.listed(place, "logging", "read", query, *options)
    return [entry for line in found if (entry := _entry(line)) is not None]


def _ids(found: Timeline) -> list[str]:
    """What was asked for, and the work and the reminders that belong to it."""
    kinds = ("reminder", "campaign run")
    ours = [it.id for it in found.things if it.kind in kinds or it.kind.startswith("work of ")]
    return list(dict.fromkeys([found.id, *ours]))[:MOST_IDS]


def _entry(line: Mapping[str, Any]) -> Entry | None:
    payload, labels = line.get("jsonPayload"), line.get("resource", {}).get("labels", {})
    try:
        at = datetime.fromisoformat(str(line.get("timestamp")))
    except ValueError:
        return None
    if at.tzinfo is None or not isinstance(payload, dict):
        return None
    severity = str(line.get("severity", ""))
    return Entry(
        at=at,
        what=f"log of {labels.get('service_name', '?')}",
        id=str(payload.get("action", "")),
        state="" if severity in ("", "DEFAULT", "INFO") else severity.lower(),
        detail=str(payload.get("message", "")),
    )
