"""Whether every effect happened once: what is there against what the story expects."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

from google.cloud import firestore

from local.demo.stage import Stage
from local.demo.story import Story


def problems(story: Story) -> list[str]:
    """Return a sentence for each effect that did not happen once; an empty list: all did."""
    return [text for text, holds in _checks(story) if not holds]


def is_empty(stage: Stage) -> bool:
    """Return whether the stage's Firestore holds no collection yet."""
    return not list(_client(stage).collections())


def _client(stage: Stage) -> firestore.Client:
    os.environ["FIRESTORE_EMULATOR_HOST"] = stage.env["FIRESTORE_EMULATOR_HOST"]
    return firestore.Client(project=stage.env["GOOGLE_CLOUD_PROJECT"])


def _checks(story: Story) -> Iterator[tuple[str, bool]]:
    client = _client(story.stage)
    recorded = Counter(
        (m.get("template"), m.get("user_id")) for m in _all(client.collection("messages"))
    )
    yield _differ("mails kept by the provider", story.provider.kept(), story.messages)
    yield _differ("messages recorded", recorded, story.messages)
    told = Counter(str(order["order_id"]) for order in story.provider.orders.values())
    yield _differ("orders told to the inventory", told, Counter(story.orders))
    placed = Counter(o["order_id"] for o in _all(client.collection_group("orders")))
    yield _differ("orders recorded", placed, Counter(story.orders))
    dead = len(_all(client.collection("dead_letters")))
    yield f"{dead} dead letters, not {story.dead_letters}", dead == story.dead_letters
    yield f"the function was killed {story.kills} times, not once", story.kills == 1
    carts = {c["cart_id"]: c["state"] for c in _all(client.collection("carts"))}
    yield f"carts are {carts}", carts == {"c-1": "purchased", "c-2": "abandoned"}


def _all(collection: firestore.Query) -> list[dict[str, Any]]:
    return [document.to_dict() for document in collection.stream()]


def _differ(what: str, found: Counter[Any], expected: Counter[Any]) -> tuple[str, bool]:
    more, less = found - expected, expected - found
    return f"{what}: too many {dict(more)}, too few {dict(less)}", not more and not less
