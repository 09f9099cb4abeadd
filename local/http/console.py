"""The page at `/`: the report as tables, read-only, refreshing itself."""

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import Environment

from local.kernel import durations

COLUMNS = {
    "functions": ("name", "state", "url", "topic"),
    "queues": ("name", "state", "tasks", "in_flight", "next_due"),
    "jobs": ("name", "schedule", "timeZone", "state", "scheduleTime"),
    "subscriptions": ("name", "backlog"),
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>local cloud: {{ report.project }}</title>
<meta http-equiv="refresh" content="2"><style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color-scheme: light dark }
table { border-collapse: collapse; margin-bottom: 1.5em } h2 { font-size: 1em; margin: 0 0 .3em }
th, td { text-align: left; padding: .15em 1em .15em 0; border-bottom: 1px solid #8884 }
pre { margin: 0; white-space: pre-wrap } th { font-weight: 600 }
</style></head><body>
<h1>{{ report.project }}</h1>
<p>{{ report.clock.now }}{% if report.clock.ahead_seconds >= 1 %},
{{ ahead }} ahead of real time{% endif %};
{{ report.clock.in_flight }} in flight; next due {{ report.clock.next_due or "never" }}</p>
{% for title, columns, rows in tables %}{% if rows %}
<h2>{{ title }}</h2><table><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for column in columns %}<td>{{ row[column] }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endif %}{% endfor %}
{% for function in report.functions %}{% if function.log %}
<h2>log of {{ function.name }}</h2><pre>{{ function.log | join("\\n") }}</pre>
{% endif %}{% endfor %}
</body></html>
"""
_page = Environment(autoescape=True).from_string(PAGE)


def page(report: Mapping[str, Any]) -> str:
    """Return the HTML page that shows a report (see `local.http.report`)."""
    tables = [(name, columns, report[name]) for name, columns in COLUMNS.items()]
    tables += [
        ("messages", ("template", "count"), _rows("template", report["messages"])),
        ("ignored events", ("type", "count"), _rows("type", report["ignored_events"])),
        ("deliveries", ("by", "count"), _rows("by", report["deliveries"])),
        ("injected faults", ("kind", "count"), _rows("kind", report["faults"]["injected"])),
        (
            "dead letters",
            ("source", "reason", "error", "state", "last_seen"),
            report["dead_letters"]["recent"],
        ),
    ]
    ahead = durations.words(report["clock"]["ahead_seconds"])
    return _page.render(report=report, tables=tables, ahead=ahead)


def _rows(label: str, counts: Mapping[str, int]) -> Iterable[dict[str, Any]]:
    return [{label: name, "count": count} for name, count in counts.items()]
