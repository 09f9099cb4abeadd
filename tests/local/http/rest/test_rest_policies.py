"""Policies over REST: changed by who has read them last, and checked."""

from collections.abc import Iterator
from typing import Any

import pytest

from local.cli.client import Refused
from local.http.rest import labels, roles
from local.http.rest.policies import shown
from local.kernel.status import Status
from local.testing import LocalCloud, local_cloud

ADA: dict[str, Any] = {"role": "roles/pubsub.publisher", "members": ["user:ada@example.com"]}


@pytest.fixture(scope="module")
def cloud() -> Iterator[LocalCloud]:
    with local_cloud() as made:
        yield made


@pytest.fixture
def path(cloud: LocalCloud, request: pytest.FixtureRequest) -> str:
    return f"/v1/{cloud.topic(request.node.name)}"


def test_who_changes_what_another_has_changed_meanwhile_is_told(
    cloud: LocalCloud, path: str
) -> None:
    read = cloud.request("GET", f"{path}:getIamPolicy")
    change = {"policy": {"bindings": [ADA], "etag": read["etag"]}}
    cloud.request("POST", f"{path}:setIamPolicy", change)
    with pytest.raises(Refused, match="concurrent policy changes") as refused:
        cloud.request("POST", f"{path}:setIamPolicy", change)
    assert refused.value.code == 409


def test_a_change_without_an_etag_is_made_in_any_case(cloud: LocalCloud, path: str) -> None:
    for bindings in ([ADA], []):
        changed = cloud.request("POST", f"{path}:setIamPolicy", {"policy": {"bindings": bindings}})
        assert changed.get("bindings", []) == bindings


def test_a_member_is_in_a_binding_once_and_an_empty_binding_is_none(
    cloud: LocalCloud, path: str
) -> None:
    twice = {**ADA, "members": ADA["members"] * 2}
    empty = {"role": "roles/pubsub.viewer", "members": []}
    policy = {"policy": {"bindings": [twice, empty]}}
    assert cloud.request("POST", f"{path}:setIamPolicy", policy)["bindings"] == [ADA]


def test_policies_are_read_with_either_verb(cloud: LocalCloud, path: str) -> None:
    read = cloud.request("GET", f"{path}:getIamPolicy")
    assert cloud.request("POST", f"{path}:getIamPolicy", {}) == read


def test_the_policy_of_a_queue_is_the_one_that_grpc_shows(cloud: LocalCloud) -> None:
    queue = cloud.queue("guarded")
    binding = {"role": "roles/cloudtasks.enqueuer", "members": ["user:ada@example.com"]}
    cloud.request("POST", f"/v2/{queue}:setIamPolicy", {"policy": {"bindings": [binding]}})
    assert cloud.tasks().get_iam_policy({"resource": queue}).bindings[0].role == binding["role"]


def test_a_conditional_policy_is_of_version_three() -> None:
    conditional = {**ADA, "condition": {"expression": "true", "title": "t"}}
    assert shown({"bindings": [conditional]})["version"] == 3
    assert shown({"bindings": [ADA]})["version"] == 1


@pytest.mark.parametrize(
    ("role", "resource"),
    [
        ("roles/datastore.user", "projects/p"),
        ("roles/frobnicator.admin", "projects/p"),
        ("roles/viewer", "projects/p/topics/t"),
        ("projects/p/roles/mine", "projects/p/topics/t"),
        ("roles/run.invoker", "projects/p/locations/l/services/s"),
    ],
)
def test_a_role_may_be_given(role: str, resource: str) -> None:
    roles.check(role, resource)


@pytest.mark.parametrize(
    ("role", "resource"),
    [
        ("roles/datastore.users", "projects/p"),
        ("datastore.user", "projects/p"),
        ("roles/run.invoker", "projects/p/topics/t"),
        ("", "projects/p"),
    ],
)
def test_a_role_may_not_be_given(role: str, resource: str) -> None:
    with pytest.raises(Status, match="is not supported for this resource"):
        roles.check(role, resource)


@pytest.mark.parametrize("found", [{"App": "x"}, {"a": "X"}, {"1a": "x"}, {"a": 1}, {"a" * 64: ""}])
def test_labels_are_checked(found: dict[str, Any]) -> None:
    with pytest.raises(Status, match="Label"):
        labels.check(found)


def test_at_most_sixty_four_labels_fit() -> None:
    labels.check({f"k{n}": "é-1_" for n in range(64)})
    with pytest.raises(Status, match="64 at most"):
        labels.check({f"k{n}": "" for n in range(65)})


@pytest.mark.parametrize(
    ("text", "fits"),
    [
        ("", True),
        ("labels.app=shop", True),
        ("labels.app=shop AND labels.env=prod", True),
        ('user_labels.app="mine"', True),
        ("labels.app=other", False),
        ("labels.none=", False),
    ],
)
def test_lists_are_filtered_by_labels(text: str, fits: bool) -> None:
    resource = {"labels": {"app": "shop", "env": "prod"}, "userLabels": {"app": "mine"}}
    assert labels.matching(text)(resource) is fits


def test_other_filters_are_refused() -> None:
    with pytest.raises(Status, match="only by labels"):
        labels.matching("name:x")
