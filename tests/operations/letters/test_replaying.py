"""A letter's work is sent again as production sends it, corrected, and watched to its end."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from common.cloud import firestore, tasks
from common.cloud.firestore import Merge
from common.cloud.memory import MemoryFirestore, MemoryTasks
from common.process import settings
from operations.errors import OperationsError, UsageError
from operations.letters import dead_letters, replaying
from operations.letters.replaying import Became, Correction

EVENT = {"event_id": "e-1", "payload": {"email": "wrong", "total": 5}}


class Topic:
    """What was published."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, Mapping[str, str]]] = []

    def __call__(self, data: bytes, attributes: Mapping[str, str]) -> None:
        self.messages.append((data, attributes))


def letter(letter_id: str, payload: Any = EVENT, **fields: Any) -> None:
    kept = {"state": "open", "source": "consumer", "payload": json.dumps(payload)}
    written = {**kept, "last_seen": firestore.SERVER_TIMESTAMP, **fields}
    firestore.commit([Merge(path=f"dead_letters/{letter_id}", fields=written)])


def replay(*letter_ids: str, correction: Correction | None = None) -> tuple[Topic, list[str]]:
    topic, told = Topic(), list[str]()
    replaying.replay(
        letter_ids, correction or Correction(), topic, rate=2.0, tell=told.append, sleep=_no_sleep
    )
    return topic, told


def _no_sleep(seconds: float) -> None:
    assert seconds == 0.5  # two a second


def test_an_event_is_published_with_nothing_but_the_name_of_its_letter(
    memory: MemoryFirestore,
) -> None:
    letter("one")
    topic, _ = replay("one")
    assert topic.messages == [(b"", {"replay_of": "one"})]


def test_a_correction_is_the_rest_of_what_was_received_with_it(memory: MemoryFirestore) -> None:
    letter("one")
    changes = [replaying.change(it) for it in ("payload.email=ada@shop.example", "payload.total=7")]
    topic, _ = replay("one", correction=Correction(changes=changes))
    ((data, attributes),) = topic.messages
    corrected = {"event_id": "e-1", "payload": {"email": "ada@shop.example", "total": 7}}
    assert (json.loads(data), attributes) == (corrected, {"replay_of": "one"})


def test_a_call_is_made_again_by_a_task_with_the_same_body(memory: MemoryFirestore) -> None:
    body = {"reminder_id": "cart:1", "generation": 3}
    letter("one", body, source="reminder")
    with tasks.using(MemoryTasks()) as made:
        replay("one")
    (task,) = made.tasks.values()
    assert (task.queue, task.body, task.headers) == ("reminders", body, {"X-Replay-Of": "one"})


def test_a_letter_that_died_again_is_sent_again(memory: MemoryFirestore) -> None:
    letter("one", {}, source="fanout")
    with tasks.using(MemoryTasks()) as made:
        replay("one")
        memory.advance(1)
        letter("one", {}, source="fanout")
        replay("one")
    assert len(made.tasks) == 2


@pytest.mark.parametrize("state", ["replayed", "discarded"])
def test_what_is_closed_is_not_sent(memory: MemoryFirestore, state: str) -> None:
    letter("one", state=state)
    topic, told = replay("one")
    assert (topic.messages, told) == ([], [f"one is {state}, and not sent"])


def test_what_cannot_be_sent_stops_no_other(memory: MemoryFirestore) -> None:
    letter("strange", source="somebody")
    letter("good")
    topic, told = replay("none", "strange", "good")
    assert [attributes["replay_of"] for _, attributes in topic.messages] == ["good"]
    assert len(told) == 2


@pytest.mark.parametrize(
    "fields", [{"payload": "no json"}, {"payload": "[1]"}, {"payload_truncated": True}]
)
def test_what_is_no_whole_object_cannot_be_corrected_by_a_field(
    memory: MemoryFirestore, fields: dict[str, Any]
) -> None:
    letter("one", **fields)
    topic, told = replay("one", correction=Correction(changes=[("a", 1)]))
    assert topic.messages == []
    assert "no whole JSON object" in told[0]


def test_a_field_inside_of_nothing_is_refused(memory: MemoryFirestore) -> None:
    letter("one")
    topic, told = replay("one", correction=Correction(changes=[("payload.items.x", 1)]))
    assert (topic.messages, told) == ([], ["there is no object items in what was received"])


def test_a_whole_correction_is_of_one_letter(memory: MemoryFirestore) -> None:
    with pytest.raises(UsageError, match="just that one"):
        replay("one", "two", correction=Correction(whole="{}"))


@pytest.mark.parametrize("text", ["payload.email", "=x", ".a=1", "a..b=1"])
def test_a_change_names_a_field_and_a_value(text: str) -> None:
    with pytest.raises(ValueError, match="FIELD=VALUE"):
        replaying.change(text)


def test_force_is_told_to_the_function(memory: MemoryFirestore) -> None:
    letter("one")
    topic, _ = replay("one", correction=Correction(force=True))
    assert topic.messages[0][1] == {"replay_of": "one", "force": "yes"}


def test_it_is_watched_until_each_letters_end_is_known(memory: MemoryFirestore) -> None:
    for letter_id in ("good", "bad", "slow", "gone"):
        letter(letter_id)
    topic, tell = Topic(), list[str]().append
    names = ["good", "bad", "slow", "gone"]
    sent = replaying.replay(names, Correction(), topic, rate=2.0, tell=tell, sleep=_no_sleep)
    memory.advance(1)
    letter("good", state="replayed")
    letter("bad")
    firestore.commit([firestore.Delete(path="dead_letters/gone")])
    clock = iter(range(100))
    looks = list[Became]()
    became = replaying.watch(
        sent,
        patience=3,
        tell=looks.append,
        sleep=lambda seconds: None,
        monotonic=lambda: next(clock),
    )
    assert became.states == {
        "good": "replayed",
        "bad": "dead again",
        "slow": "waiting",
        "gone": "gone",
    }
    assert became.counts() == {"replayed": 1, "dead again": 1, "waiting": 1, "gone": 1}


def test_a_topic_that_cannot_be_reached_is_said_for_each(memory: MemoryFirestore) -> None:
    letter("one")

    def publish(data: bytes, attributes: Mapping[str, str]) -> None:
        raise OperationsError("nothing can be published")

    told = list[str]()
    sent = replaying.replay(["one"], Correction(), publish, rate=1, tell=told.append)
    assert (sent, told) == ({}, ["nothing can be published"])


def test_two_operators_make_one_call(memory: MemoryFirestore) -> None:
    letter("one", {}, source="fanout")
    with tasks.using(MemoryTasks()) as made:
        replay("one")
        replay("one")
    assert len(made.tasks) == 1


def test_a_fan_outs_call_goes_to_fanout(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"REMINDER_AUDIENCE": "ours", "FANOUT_AUDIENCE": "theirs"}.items():
        monkeypatch.setenv(name, value)
    settings.current.cache_clear()
    letter("one", {"campaign": "c"}, source="fanout")
    with tasks.using(MemoryTasks()) as made:
        replay("one")
    (task,) = made.tasks.values()
    config = settings.current()
    assert (task.queue, task.url, task.audience) == ("fanout", config.fanout_url, "theirs")


def test_a_call_is_corrected_too(memory: MemoryFirestore) -> None:
    letter("one", {"reminder_id": "cart:1", "generation": 3}, source="reminder")
    with tasks.using(MemoryTasks()) as made:
        replay("one", correction=Correction(changes=[("generation", 4)]))
    (task,) = made.tasks.values()
    assert task.body == {"reminder_id": "cart:1", "generation": 4}


def test_a_whole_correction_takes_the_place_of_all_that_was_received(
    memory: MemoryFirestore,
) -> None:
    letter("one")
    topic, _ = replay("one", correction=Correction(whole='{"n": 1}'))
    assert topic.messages == [(b'{"n": 1}', {"replay_of": "one"})]


def test_they_are_sent_at_their_rate(memory: MemoryFirestore) -> None:
    """The first at once, and each other one after a pause."""
    for letter_id in "abc":
        letter(letter_id)
    pauses = list[float]()
    topic, told = Topic(), list[str]()
    replaying.replay("abc", Correction(), topic, rate=4.0, tell=told.append, sleep=pauses.append)
    assert (pauses, len(topic.messages)) == ([0.25, 0.25], 3)


def test_it_is_watched_for_as_long_as_was_asked(memory: MemoryFirestore) -> None:
    letter("slow")
    sent = {"slow": firestore.read("dead_letters/slow")}
    clock = iter(range(100))
    looks = list[Became]()
    replaying.watch(
        sent,
        patience=5,
        tell=looks.append,
        sleep=lambda seconds: None,
        monotonic=lambda: next(clock),
    )
    assert len(looks) == 6


def test_more_than_a_page_is_watched(
    memory: MemoryFirestore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "PAGE", 2)
    for letter_id in "abc":
        letter(letter_id)
    sent = {it: firestore.read(f"dead_letters/{it}") for it in "abc"}
    letter("a", state="replayed")
    letter("b", state="replayed")
    letter("c", state="discarded")
    became = replaying.watch(sent, patience=0, tell=lambda so_far: None)
    assert became.states == {"a": "replayed", "b": "replayed", "c": "discarded"}
