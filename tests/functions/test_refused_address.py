"""An order whose mail is refused: the inventory is told, and the letter's replay sends the mail."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.common.web_server import Answer, Asked, serving
from tests.functions.outage_cloud import World, deployed_bundle

ROOT = Path(__file__).parents[2]
REFUSED = Answer(status=422, body=b'{"ErrorCode": 406, "Message": "Inactive recipient"}')

pytestmark = pytest.mark.slow


@contextmanager
def provided(asked: list[Asked]) -> Iterator[World]:
    """The bundle, with a provider that refuses every address that begins with `wrong`."""

    def answer(it: Asked) -> Answer:
        asked.append(it)
        return REFUSED if json.loads(it.body).get("to", "").startswith("wrong") else Answer()

    with (
        serving(answer) as web,
        deployed_bundle(MESSAGING_URL=f"{web.url}/mail", INVENTORY_URL=f"{web.url}/told") as world,
    ):
        yield world


def operate(world: World, *arguments: str) -> Any:
    """What a command of the operator's prints."""
    tools = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": tools, "LOCAL_STATE": str(world.cloud.path)}
    command = [str(ROOT / "deploy.sh"), "local", "dead-letters", *arguments, "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def sent(asked: list[Asked]) -> list[tuple[str, str, str]]:
    """Path, key and address, in the order in which they came."""
    return [
        (it.path, it.headers["idempotency-key"], json.loads(it.body).get("to", "")) for it in asked
    ]


def letters(world: World) -> list[dict[str, Any]]:
    """What is listed but for the number of what waits in the slow lane."""
    return [it for it in operate(world, "list") if it["state"] != "slow_lane"]


def test_a_corrected_address_sends_the_mail_alone_under_a_new_key() -> None:
    asked: list[Asked] = []
    with provided(asked) as world:
        order = {"order_id": "o-1", "total": 1, "email": "wrong@example.com"}
        world.publish(world.event("order.placed", "ada", **order))
        (refused,) = [it for it in sent(asked) if it[0] == "/mail"]
        assert [it[0] for it in sent(asked)].count("/told") == 1
        assert world.document("users/ada/orders/o-1") is not None
        (letter,) = letters(world)
        assert (letter["reason"], letter["state"]) == ("permanent", "open")
        asked.clear()
        operate(world, "replay", letter["id"], "--set", "payload.email=right@example.com")
        world.cloud.idle()
        ((path, key, address),) = sent(asked)
        assert (path, address) == ("/mail", "right@example.com")
        assert key != refused[1]
        assert letters(world) == []
        replayed = world.document(f"dead_letters/{letter['id']}")
        assert replayed is not None
        assert replayed["state"] == "replayed"
