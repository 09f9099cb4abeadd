"""What a command of the dead letters prints and how it ends, also where somebody presses Ctrl-C."""

import json

import pytest

from common.cloud import firestore, tasks
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.cloud.tasks import Made, Task
from operations.__main__ import parser
from operations.errors import FINE, INTERRUPTED
from operations.place.environment import Place
from operations.terminal import command_line

PLACE = Place(
    environment="shop",
    words=["shop"],
    project="shop-project",
    region="europe-west1",
    database="(default)",
    described={"prefix": "", "functions": [{"woken_by": "commerce-events"}]},
)


class Reminded(MemoryTasks):
    """Cloud Tasks, in front of a function that does at once what a letter asks for; and an operator
    who presses Ctrl-C while that letter is on its way."""

    def __init__(self, *, interrupted_at: str = "") -> None:
        super().__init__()
        self._interrupted_at = interrupted_at

    def create(self, task: Task) -> Made:
        letter = task.headers["X-Replay-Of"]
        if letter == self._interrupted_at:
            raise KeyboardInterrupt
        firestore.commit([Merge(path=f"dead_letters/{letter}", fields={"state": "replayed"})])
        return super().create(task)


@pytest.fixture
def letters(memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three open ones of `reminder`."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")  # nothing is published
    for letter in "abc":
        fields = {"state": "open", "source": "reminder", "payload": "{}"}
        seen = {"last_seen": firestore.SERVER_TIMESTAMP}
        firestore.commit([Merge(path=f"dead_letters/{letter}", fields={**fields, **seen})])


def carried_out(line: str) -> int:
    given = command_line.parsed(parser(), line.split())
    status: int = given.run(PLACE, given)
    return status


@pytest.mark.usefixtures("letters")
def test_a_replay_ends_with_how_many_were_replayed(capsys: pytest.CaptureFixture[str]) -> None:
    with tasks.using(Reminded()):
        assert carried_out("dead-letters replay shop a b c --rate 1000") == FINE
    assert capsys.readouterr().out == "3 replayed\n"


@pytest.mark.usefixtures("letters")
def test_an_interrupted_replay_says_what_is_done_and_what_is_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One that was on its way may be done, or may not: that is not known."""
    with tasks.using(Reminded(interrupted_at="b")):
        status = carried_out("dead-letters replay shop a b c --rate 1000")
    printed = capsys.readouterr()
    assert status == INTERRUPTED
    assert printed.out == "1 replayed, 1 waiting, 1 not sent\n"
    assert printed.err == "interrupted: the same command goes on with what is left\n"


@pytest.mark.usefixtures("letters")
def test_the_same_command_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    command = "dead-letters replay shop --all --rate 1000 --json"
    with tasks.using(Reminded(interrupted_at="b")):
        assert carried_out(command) == INTERRUPTED
    first = {row["id"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    left = {letter for letter, state in first.items() if state != "replayed"}
    with tasks.using(Reminded()):
        assert carried_out(command) == FINE
    second = {row["id"]: row["state"] for row in json.loads(capsys.readouterr().out)}
    assert "b" in left
    assert second == dict.fromkeys(left, "replayed")
