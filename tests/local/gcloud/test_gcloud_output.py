"""Formats print what real gcloud's print."""

from typing import Any

import pytest

from local.gcloud.errors import UsageError
from local.gcloud.output import flattened, printer

QUEUE = {
    "name": "projects/p/locations/l/queues/q",
    "rateLimits": {"maxDispatchesPerSecond": 50.0},
    "tags": ["a", "b"],
    "labels": {"x": "1", "y": "2"},
    "on": True,
}


def printed(document: Any, style: Any) -> Any:
    return list(printer(style)(document))


def test_values_are_separated_by_tabs() -> None:
    style = "value(name.basename(), rateLimits.maxDispatchesPerSecond, on)"
    assert printed([QUEUE, QUEUE], style) == ["q\t50.0\tTrue"] * 2


def test_missing_values_are_empty_and_collections_are_joined() -> None:
    style = 'value[separator="|"](tags,none.of.it,labels,name.none)'
    assert printed(QUEUE, style) == ["a;b||x=1;y=2|"]


def test_every_member_of_a_policy_gets_a_line() -> None:
    policy = {"bindings": [{"role": "r", "members": ["a", "b"]}, {"role": "s", "members": ["a"]}]}
    records = flattened(policy, "bindings[].members")
    style = 'value[separator="|"](bindings.role,bindings.members)'
    assert printed(records, style) == ["r|a", "r|b", "s|a"]


def test_a_policy_without_bindings_gets_none() -> None:
    assert flattened({"version": 1}, "bindings[].members") == []


def test_yaml_is_nested_and_quoted() -> None:
    document = {"a": {"b": "x"}, "c": [{"d": "1", "e": "y"}], "f": "0 8 * * 1", "g": 5, "h": {}}
    assert "\n".join(printed(document, "")) == (
        'a:\n  b: x\nc:\n- d: "1"\n  e: y\nf: "0 8 * * 1"\ng: 5\nh: {}'
    )


def test_a_list_is_printed_as_documents() -> None:
    assert printed([{"a": "x"}, {"a": "y"}], "yaml") == ["---", "a: x", "---", "a: y"]


def test_none_prints_nothing() -> None:
    assert printed(QUEUE, "none") == []


@pytest.mark.parametrize("style", ["table(name)", "value(name.date())", "value(name:label=X)"])
def test_what_is_not_carried_out_is_refused(style: str) -> None:
    with pytest.raises(UsageError, match="does not print"):
        printer(style)
