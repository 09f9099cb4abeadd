"""What is typed, understood: events, attributes, rules, times."""

import argparse
import contextlib
from collections.abc import Callable, Iterable

import pytest

from local.cli import commands, table
from local.cli.client import Refused
from local.kernel import faults


def understood(
    read: Callable[[str], object], refusal: type[Exception], texts: Iterable[str]
) -> list[str]:
    """Those of the texts that are read without the refusal."""
    found = []
    for text in texts:
        with contextlib.suppress(refusal):
            read(text)
            found.append(text)
    return found


def test_events_are_one_document_an_array_or_lines() -> None:
    documents = {
        '{"a": 1}': [{"a": 1}],
        '{"a": 1}\n{"a": 2}\n': [{"a": 1}, {"a": 2}],
        '[{"a": 1}, null]': [{"a": 1}, None],
        '{\n  "a": 1\n}': [{"a": 1}],
        "null": [None],
        "[]": [],
        "[1]\n[2]": [[1], [2]],
    }
    assert {document: commands.events(document) for document in documents} == documents


def test_what_is_no_json_is_refused() -> None:
    documents = ("", "{", "nope", '{"a": 1}\n{', "[1, 2", "Infinity")
    assert understood(commands.events, Refused, documents) == []
    with pytest.raises(Refused, match="not JSON"):
        commands.events("nope")


def test_a_rule_is_understood() -> None:
    assert commands.rule(
        "Firestore.Commit:errors=0.2,code=ABORTED,latency=50ms,lost-replies=1"
    ) == {
        "service": "Firestore",
        "method": "Commit",
        "errors": 0.2,
        "code": "ABORTED",
        "latency": 0.05,
        "lost_replies": 1.0,
    }


def test_what_is_no_rule_is_refused() -> None:
    texts = ("Firestore", "Firestore:", "Firestore:errors", "F:errors=x")
    assert understood(commands.rule, argparse.ArgumentTypeError, texts) == []


def test_an_attribute_is_a_key_and_a_value() -> None:
    assert commands.attribute("replay_of=abc") == ("replay_of", "abc")
    assert commands.attribute("a=b=c") == ("a", "b=c")
    assert commands.attribute("empty=") == ("empty", "")


def test_what_is_no_attribute_is_refused() -> None:
    texts = ("", "key", "=value")
    assert understood(commands.attribute, argparse.ArgumentTypeError, texts) == []


def test_a_time_needs_its_zone() -> None:
    assert commands.moment("2026-11-23T08:00:00Z") == "2026-11-23T08:00:00Z"
    texts = ("noon", "2026-11-23T08:00:00")
    assert understood(commands.moment, argparse.ArgumentTypeError, texts) == []


def test_the_command_line_knows_every_fault() -> None:
    assert tuple(commands.RATES) == faults.RATES


def test_what_there_is_none_of_is_left_out() -> None:
    clock = {"now": "2026-01-01", "ahead_seconds": 0, "in_flight": 0, "next_due": None}
    report = {
        "clock": clock,
        "dead_letters": {"states": {}, "recent": []},
        "faults": {"plan": {}, "injected": {}},
        **{key: [] for key in ("functions", "queues", "jobs", "subscriptions")},
        **{key: {} for key in ("messages", "deliveries", "ignored_events")},
    }
    assert table.status(report) == "clock  2026-01-01; 0 in flight; next due never"
