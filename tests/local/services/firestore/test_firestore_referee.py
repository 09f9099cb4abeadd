"""Random commits and queries end as they end on Google's emulator."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from google.api_core import exceptions
from google.cloud import firestore

from local.services.firestore import scans
from tests.local.services.firestore.firestore_server import connect, run_emulator, run_server

VALUES = [
    {"null_value": 0}, {"boolean_value": True}, {"double_value": float("nan")},
    *({"integer_value": n} for n in (-1, 0, 1, 2, 3)), {"double_value": 1.5},
    {"string_value": ""}, {"string_value": "a"}, {"string_value": "b"}, {"string_value": "\0"},
    {"timestamp_value": {"seconds": 5}}, {"bytes_value": b"x"},
    {"array_value": {"values": [{"integer_value": 1}, {"string_value": "a"}]}},
    {"array_value": {"values": [{"integer_value": 2}]}},
    {"map_value": {"fields": {"k": {"integer_value": 1}}}},
    {"map_value": {"fields": {"__type__": {"string_value": "__vector__"}, "value":
        {"array_value": {"values": [{"double_value": 1.0}]}}}}},
]  # fmt: skip
COMPARABLE = [v for v in VALUES if v not in VALUES[:1] and str(v) != str(VALUES[2])]
ROOT = "projects/referee/databases/(default)/documents"
NAME = {"field_path": "__name__"}
PARENTS = ["", "", "", "", "/c/d5", "/c/05", "/c/d10"]
FIELDS = ["a", "b", "m.x"]
COMPARISONS = [
    "EQUAL", "EQUAL", "EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL", "NOT_EQUAL", "ARRAY_CONTAINS",
]  # fmt: skip


@pytest.fixture(scope="module")
def referee() -> Iterator[Any]:
    yield from run_emulator()


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from run_server(str(tmp_path_factory.mktemp("referee") / "state.sqlite"))


def make_documents(dice: Any) -> Iterator[Any]:
    for number in range(60):
        fields = {"a": dice.choice(VALUES), "b": dice.choice(VALUES)}
        fields["m"] = {"map_value": {"fields": {"x": dice.choice(VALUES)}}}
        kept = {key: value for key, value in fields.items() if dice.random() < 0.9}
        place = f"c/d{number}/" if number % 5 == 0 else ""
        yield f"{place}c/{number:02}", kept


def make_filter(dice: Any, depth: int = 0) -> Any:
    if depth < 2 and dice.random() < 0.4:
        members = [make_filter(dice, depth + 1) for _ in range(dice.choice([2, 2, 3]))]
        return {"composite_filter": {"op": dice.choice(["AND", "OR"]), "filters": members}}
    field = {"field_path": dice.choice(FIELDS)}
    if dice.random() < 0.2:
        operators = ["IS_NULL", "IS_NAN", "IS_NOT_NULL", "IS_NOT_NAN"]
        return {"unary_filter": {"field": field, "op": dice.choice(operators)}}
    # The client library sends null and NaN in unary filters only.
    if dice.random() < 0.1:
        return make_name_filter(dice)
    operator, value = dice.choice(COMPARISONS), dice.choice(COMPARABLE)
    if operator == "ARRAY_CONTAINS":
        value = dice.choice(VALUES)
    if dice.random() < 0.2:
        operator = dice.choice(["IN", "NOT_IN", "ARRAY_CONTAINS_ANY"])
        value = {"array_value": {"values": dice.sample(VALUES, 3)}}
    return {"field_filter": {"field": field, "op": operator, "value": value}}


def make_name_filter(dice: Any) -> Any:
    operator = dice.choice(["EQUAL", "LESS_THAN", "GREATER_THAN_OR_EQUAL", "NOT_EQUAL", "IN"])
    value: Any = {"reference_value": f"{ROOT}/c/{dice.randrange(60):02}"}
    if operator == "IN":
        value = {"array_value": {"values": [value]}}
    return {"field_filter": {"field": NAME, "op": operator, "value": value}}


def make_query(dice: Any) -> Any:
    query: dict[str, Any] = {
        "from_": [{"collection_id": "c", "all_descendants": dice.random() < 0.4}]
    }
    if dice.random() < 0.8:
        query["where"] = make_filter(dice)
    fields = dice.sample(FIELDS, dice.choice([0, 0, 1, 2]))
    orders = [
        {"field": {"field_path": field}, "direction": dice.choice(["ASCENDING", "DESCENDING"])}
        for field in fields
    ]
    if dice.random() < 0.1:  # downwards, Google's emulator has no order of names
        orders.append({"field": NAME, "direction": "ASCENDING"})
    if orders:
        query["order_by"] = orders
        for edge in ("start_at", "end_at"):
            if fields and dice.random() < 0.3:
                values = [dice.choice(VALUES) for _ in range(dice.randint(1, len(fields)))]
                query[edge] = {"values": values, "before": dice.random() < 0.5}
    if dice.random() < 0.3:
        query |= {"offset": dice.randint(0, 3), "limit": {"value": dice.randint(1, 10)}}
    return query


def answer(client: firestore.Client, query: Any, parent: str = "") -> Any:
    request = {"parent": f"{ROOT}{parent}", "structured_query": query}
    try:
        results = client._firestore_api.run_query(
            request=request, metadata=client._rpc_metadata, timeout=20, retry=None
        )
        return [r.document.name.split("/documents/")[1] for r in results if r.document.name]
    except exceptions.GoogleAPICallError as error:
        return type(error).__name__


@pytest.fixture(scope="module")
def both(referee: Any, ours: Any) -> Iterator[Any]:
    clients = [connect(server, project="referee") for server in (referee, ours)]
    for name, fields in make_documents(random.Random(7)):
        for client in clients:
            document = {"name": client.document(name)._document_path, "fields": fields}
            client._firestore_api.update_document(
                request={"document": document}, metadata=client._rpc_metadata
            )
    yield clients
    for client in clients:
        client.close()


@pytest.mark.slow
@pytest.mark.parametrize("few", [scans.FEW, 0], ids=["sorted", "indexed"])
@pytest.mark.parametrize("seed", range(6))
def test_random_queries_are_answered_alike(
    both: Any, seed: Any, few: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "FEW", few)
    monkeypatch.setattr(scans, "MANY_IN_VAIN", 1000 if few else 5)
    dice = random.Random(seed)
    for number in range(100):
        query, parent = make_query(dice), dice.choice(PARENTS)
        expected, found = (answer(client, query, parent) for client in both)
        assert found == expected, f"{number} {parent} {query}"


PATHS = ["a", "b", "m.x", "m.y", "`q.r`", "m.`q r`.s"]
TRANSFORMS = [
    {"increment": {"integer_value": 2}}, {"increment": {"double_value": 0.5}},
    {"increment": {"double_value": 0.0}}, {"increment": {"integer_value": 0}},
    {"increment": {"integer_value": 2**63 - 1}}, {"maximum": {"integer_value": 1}},
    {"maximum": {"double_value": 1.0}}, {"minimum": {"double_value": float("nan")}},
    {"minimum": {"integer_value": -5}},
    {"append_missing_elements": {"values": [*VALUES[3:6], {"double_value": 1.0}]}},
    {"remove_all_from_array": {"values": VALUES[3:6]}},
]  # fmt: skip


def make_fields(dice: Any) -> Any:
    fields = {name: dice.choice(VALUES) for name in ("a", "b", "q.r") if dice.random() < 0.5}
    if dice.random() < 0.5:
        inner = {name: dice.choice(VALUES) for name in ("x", "y") if dice.random() < 0.6}
        if dice.random() < 0.3:
            inner["q r"] = {"map_value": {"fields": {"s": dice.choice(VALUES)}}}
        fields["m"] = {"map_value": {"fields": inner}}
    return fields


def make_transforms(dice: Any) -> Any:
    paths = dice.sample(PATHS, dice.randint(1, 2))
    return [{"field_path": path, **dice.choice(TRANSFORMS)} for path in paths]


def make_write(dice: Any, prefix: Any) -> Any:
    name = f"{prefix}/w/{dice.randint(0, 3)}"
    kind = dice.choice(["update", "update", "update", "delete", "transform"])
    if kind == "delete":
        write: dict[str, Any] = {"delete": name}
    elif kind == "transform":
        write = {"transform": {"document": name, "field_transforms": make_transforms(dice)}}
    else:
        write = {"update": {"name": name, "fields": make_fields(dice)}}
        if dice.random() < 0.5:
            write["update_mask"] = {"field_paths": dice.sample(PATHS, dice.randint(0, 3))}
        if dice.random() < 0.3:
            write["update_transforms"] = make_transforms(dice)
    if dice.random() < 0.2:
        write["current_document"] = dice.choice(
            [{"exists": True}, {"exists": False}, {"update_time": {"seconds": 5}}]
        )
    return write


def outcome(client: firestore.Client, writes: Any) -> Any:
    """What a commit did: its error or its results, without times."""
    request = {"database": client._database_string, "writes": writes}
    try:
        response = client._firestore_api.commit(
            request=request, metadata=client._rpc_metadata, timeout=20, retry=None
        )
    except exceptions.GoogleAPICallError as error:
        return type(error).__name__
    is_set = [bool(result.update_time) for result in response.write_results]
    transformed = [
        [str(value) for value in result.transform_results] for result in response.write_results
    ]
    unchanged = [
        bool(result.update_time) and result.update_time < response.commit_time
        for result in response.write_results
    ]
    return is_set, transformed, unchanged


def contents(client: firestore.Client) -> Any:
    snapshots = client._firestore_api.run_query(
        request={
            "parent": f"{client._database_string}/documents",
            "structured_query": {"from_": [{"collection_id": "w"}]},
        },
        metadata=client._rpc_metadata,
    )
    return [
        type(s.document)
        .pb(s.document)
        .__class__(name=s.document.name, fields=s.document._pb.fields)
        for s in snapshots
    ]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_random_commits_end_alike(referee: Any, ours: Any, seed: Any) -> None:
    dice = random.Random(seed)
    clients = [connect(server, project=f"writes-{seed}") for server in (referee, ours)]
    prefix = f"{clients[0]._database_string}/documents"
    for number in range(150):
        writes = [make_write(dice, prefix) for _ in range(dice.choice([1, 1, 2, 3]))]
        expected, found = (outcome(client, writes) for client in clients)
        assert found == expected, f"{number} {writes}"
        expected, found = (map(str, contents(client)) for client in clients)
        assert sorted(found) == sorted(expected), f"{number} {writes}"
    for client in clients:
        client.close()
