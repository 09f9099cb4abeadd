"""A field mask changes what it names and nothing else."""

from typing import Any

import pytest

from local.kernel.merging import camel, merged, paths

OLD: dict[str, Any] = {"labels": {"a": "1", "b": "2"}, "state": "ACTIVE"}


@pytest.mark.parametrize(
    ("new", "mask", "result"),
    [
        ({"labels": {"a": "3"}}, ["labels.a"], {"labels": {"a": "3", "b": "2"}, "state": "ACTIVE"}),
        ({"labels": {"c": "3"}}, ["labels"], {"labels": {"c": "3"}, "state": "ACTIVE"}),
        ({}, ["labels.b"], {"labels": {"a": "1"}, "state": "ACTIVE"}),
        ({"state": "FAILED"}, [], OLD),
        ({"x": {"y": 1}}, ["x.y"], {**OLD, "x": {"y": 1}}),
    ],
)
def test_a_mask_names_what_changes(
    new: dict[str, Any], mask: list[str], result: dict[str, Any]
) -> None:
    assert merged(OLD, new, mask) == result


def test_what_is_changed_is_a_copy() -> None:
    merged(OLD, {"labels": {"a": "9"}}, ["labels.a"])
    assert OLD["labels"]["a"] == "1"


def test_masks_come_in_either_case() -> None:
    assert camel("display_name") == "displayName"
    assert paths("display_name, labels", {}) == ["displayName", "labels"]


def test_without_a_mask_all_that_is_given_changes() -> None:
    assert paths("", {"a": 1, "b": 2}) == ["a", "b"]
