"""What Cloud Logging's query language finds among the lines of functions."""

from datetime import UTC, datetime

import pytest

from local.kernel.status import Status
from local.services.functions import log_entries, log_filter

LINE = (
    '{"severity": "WARNING", "message": "no", "action": "refused", "rung": 3, "is_last": true, '
    '"logging.googleapis.com/trace": "projects/p/traces/1"}'
)
ENTRY = log_entries.entry(
    "projects/p/locations/europe-west1/functions/consumer", datetime(2026, 1, 1, tzinfo=UTC), LINE
)


@pytest.mark.parametrize(
    "query",
    [
        "",
        'jsonPayload.action="refused"',
        "jsonPayload.action=refused",
        'jsonPayload.action=("done" OR "refused")',
        'resource.labels.service_name="consumer" AND severity>=WARNING',
        'resource.type="cloud_run_revision" jsonPayload.rung>2',
        'jsonPayload.action="done" OR jsonPayload.rung<=3',
        'NOT jsonPayload.action="done"',
        '-jsonPayload.action="done"',
        'jsonPayload.action!="done"',
        'jsonPayload.action:"FUSE"',
        "jsonPayload.is_last=true",
        'timestamp>="2025-12-31T23:00:00Z"',
        'trace="projects/p/traces/1"',
    ],
)
def test_a_line_is_found(query: str) -> None:
    assert log_filter.matching(query)(ENTRY)


@pytest.mark.parametrize(
    "query",
    [
        "severity>=ERROR",
        'jsonPayload.action="done"',
        "jsonPayload.rung>3",
        "jsonPayload.missing>0",
        'NOT (jsonPayload.action="refused" OR severity>=ERROR)',
        'timestamp>="2026-01-01T00:00:01Z"',
    ],
)
def test_a_line_is_not_found(query: str) -> None:
    assert not log_filter.matching(query)(ENTRY)


def test_or_binds_closer_than_and() -> None:
    query = 'jsonPayload.action="refused" OR severity>=ERROR AND severity>=ERROR'
    assert not log_filter.matching(query)(ENTRY)


@pytest.mark.parametrize(
    "query", ["severity", "severity>=", '(severity="A"', "a=b)", '"text"', "a=(b", "a ~ b", "OR"]
)
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(Status, match="Unparseable filter"):
        log_filter.matching(query)


def test_what_is_no_json_is_text() -> None:
    name = "projects/p/locations/europe-west1/functions/consumer"
    entry = log_entries.entry(name, datetime(2026, 1, 1, tzinfo=UTC), "Traceback …")
    assert entry["textPayload"] == "Traceback …"
    assert "severity" not in entry


def test_what_the_platform_takes_out_is_not_in_the_payload() -> None:
    assert set(ENTRY["jsonPayload"]) == {"message", "action", "rung", "is_last"}
