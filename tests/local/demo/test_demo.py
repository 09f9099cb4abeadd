"""The demo is what a newcomer sees first: it must hold, and it must notice when it does not."""

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud import firestore

from local.demo.provider import Provider
from local.demo.story import Story, next_monday
from local.demo.verdict import problems
from local.testing import LocalCloud

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
def test_every_effect_happens_once() -> None:
    done = play()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every effect happened once." in done.stdout
    assert "dead-lettered: user_id is a number" in done.stdout


@pytest.mark.slow
def test_every_effect_happens_once_on_googles_firestore_emulator(emulator: str) -> None:
    done = play("--firestore", emulator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every effect happened once." in done.stdout
    again = play("--firestore", emulator)
    assert again.returncode == 1
    assert "is not empty" in again.stderr


def play(*options: str) -> subprocess.CompletedProcess[str]:
    """The demo, in this environment's Python."""
    unset = {"LOCAL_STATE": "", "LOCAL_PORT": "", "LOCAL_VENV": sys.prefix}
    return subprocess.run(
        [str(ROOT / "deploy.sh"), "local", "--demo", *options],
        env={**os.environ, **unset},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.parametrize(
    ("now", "monday"),
    [
        ("2026-11-21T02:00", "2026-11-23T08:00"),
        ("2026-11-23T07:59", "2026-11-23T08:00"),
        ("2026-11-23T08:00", "2026-11-30T08:00"),
        ("2026-11-29T23:00", "2026-11-30T08:00"),
    ],
)
def test_the_story_ends_on_the_next_monday(now: str, monday: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert next_monday(at) == datetime.fromisoformat(monday).replace(tzinfo=UTC)


def test_the_verdict_notices_a_message_too_many(cloud: LocalCloud) -> None:
    story = _played(cloud)
    assert problems(story) == []
    story.provider.receive("/mail", "again", {"template": "welcome", "user_id": "ada"})
    assert "too many" in " ".join(problems(story))
    story.provider.close()


def test_the_verdict_notices_what_is_missing(cloud: LocalCloud) -> None:
    story = _played(cloud)
    story.orders.add("o-2")
    assert "too few" in " ".join(problems(story))
    story.provider.close()


def _played(cloud: LocalCloud) -> Story:
    """A story whose world is as it must be: one welcome, one order, two carts."""
    stage: Any = SimpleNamespace(env=cloud.env)
    story = Story(stage, Provider(), messages=Counter({("welcome", "ada"): 1}), kills=1)
    story.provider.receive("/mail", "k", {"template": "welcome", "user_id": "ada"})
    story.provider.receive("/inventory", "o", {"order_id": "o-1"})
    story.orders.add("o-1")
    _write(cloud.firestore())
    return story


def _write(db: firestore.Client) -> None:
    db.document("messages/k").set({"template": "welcome", "user_id": "ada"})
    db.document("users/ada/orders/o-1").set({"order_id": "o-1"})
    db.document("carts/c-1").set({"cart_id": "c-1", "state": "purchased"})
    db.document("carts/c-2").set({"cart_id": "c-2", "state": "abandoned"})
