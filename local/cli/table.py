"""The report as text for a terminal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.kernel import durations


def status(report: Mapping[str, Any]) -> str:
    """Return the whole report as text, a section for each subject; empty sections are left out."""
    clock, dead = report["clock"], report["dead_letters"]
    sections = [
        _clock(clock),
        _rows("functions", report["functions"], ("name", "state", "url", "topic")),
        _rows("queues", report["queues"], ("name", "state", "tasks", "in_flight", "next_due")),
        _rows("jobs", report["jobs"], ("name", "schedule", "timeZone", "state", "scheduleTime")),
        _rows("subscriptions", report["subscriptions"], ("name", "backlog")),
        _counts("messages", report["messages"]),
        _counts("dead letters", dead["states"]),
        _rows("  latest", dead["recent"], ("source", "reason", "state", "error")),
        _counts("ignored events", report["ignored_events"]),
        _counts("deliveries", report["deliveries"]),
        _counts("injected faults", report["faults"]["injected"]),
        _counts("fault plan", report["faults"]["plan"]),
    ]
    return "\n".join(section for section in sections if section)


def _clock(clock: Mapping[str, Any]) -> str:
    seconds = clock["ahead_seconds"]
    ahead = f", {durations.words(seconds)} ahead" if seconds >= 1 else ""
    due = clock["next_due"] or "never"
    return f"clock  {clock['now']}{ahead}; {clock['in_flight']} in flight; next due {due}"


def _rows(title: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return ""
    cells = [[str(row.get(c) if row.get(c) is not None else "") for c in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join([title, *("  " + _line(row, widths) for row in cells)])


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)).rstrip()


def _counts(title: str, counts: Mapping[str, Any]) -> str:
    return f"{title}  " + ", ".join(f"{k} {v}" for k, v in counts.items()) if counts else ""
