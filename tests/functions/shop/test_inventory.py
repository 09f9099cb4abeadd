"""The inventory service: told of every order once, whatever becomes of it or of us meanwhile."""

import base64
import random
from collections.abc import Callable
from typing import Any

import pytest

from common.cloud import firestore
from common.errors import InProgressError
from common.people import marks
from common.process import settings
from common.scheduling.reminders import Reminder
from functions.shop import inventory
from functions.shop import settings as shop
from tests.common.web_server import Answer, Asked
from tests.functions.in_memory import Bundle
from tests.functions.shop_in_memory import ShopInMemory
from tests.functions.stock import KNOWN, LOST, REFUSED, Stock, stocked

Env = pytest.MonkeyPatch
DOWN = Answer(status=503)
WORK: Any = None


def order(bundle: Bundle, event_id: str = "e-1", **payload: Any) -> None:
    """An order whose mail needs no sign-up, and what is due at once."""
    fields = {"order_id": "o-1", "total": 3, "email": "ada@example.com", **payload}
    assert bundle.publish("order.placed", "ada", event_id=event_id, **fields) == 200
    bundle.advance(seconds=1)


def in_turn(*answers: Answer) -> Callable[[Asked], Answer]:
    """These answers, then yes."""
    left = iter(answers)
    return lambda asked: next(left, Answer())


def state(bundle: Bundle) -> str:
    """That of the reminder."""
    return str(bundle.firestore.documents("reminders")["reminders/inventory:e-1"]["state"])


def told(stock: Stock) -> dict[str, Any]:
    """What it was told, once."""
    ((_, body),) = stock.told
    return body


def letters(bundle: Bundle) -> list[tuple[str, str]]:
    return [(it["source"], it["reason"]) for it in bundle.documents("dead_letters")]


def test_without_one_nobody_is_told(bundle: Bundle) -> None:
    order(bundle)
    assert bundle.documents("reminders") == []


def test_it_is_told_on_a_queue_of_its_own(bundle: Bundle, environment: Env) -> None:
    with stocked(environment):
        fields = {"order_id": "o-1", "total": 3, "email": "ada@example.com"}
        bundle.publish("order.placed", "ada", event_id="e-1", **fields)
        (task,) = bundle.tasks.take()
    assert (task.queue, task.body["reminder_id"]) == ("inventory", "inventory:e-1")


def test_it_gets_the_payload_under_who_and_which(bundle: Bundle, environment: Env) -> None:
    with stocked(environment) as stock:
        order(bundle, items=[{"sku": "a"}])
    assert told(stock) == {
        "event_id": "e-1",
        "user_id": "ada",
        "order_id": "o-1",
        "total": 3,
        "email": "ada@example.com",
        "items": [{"sku": "a"}],
    }
    assert state(bundle) == "sent"


def test_a_payload_cannot_say_whose_it_is_or_which(shop_in_memory: ShopInMemory) -> None:
    with stocked(shop_in_memory.environment) as stock:
        forged = Reminder(
            kind="inventory",
            subject="e-1",
            user_id="ada",
            payload={
                "order_id": "o-1",
                "packed": inventory._packed({"event_id": "x", "user_id": "x", "total": 3}),
            },
            due_at=shop_in_memory.documents.now,
        )
        inventory.tell(forged, WORK)
    assert told(stock) == {"event_id": "e-1", "user_id": "ada", "total": 3}


def test_it_is_told_as_the_event_said_it(bundle: Bundle, environment: Env) -> None:
    """Firestore itself could not hold all of that."""
    odd: dict[str, Any] = {
        "large": 2**70,
        "nested": [[1], [2]],
        "__x__": 1,
        "placed_at": "noon",
        "recorded_at": 0,
    }
    with stocked(environment) as stock:
        order(bundle, **odd)
    assert {name: told(stock)[name] for name in odd} == odd


def test_the_key_is_that_of_the_event(bundle: Bundle, environment: Env) -> None:
    with stocked(environment) as stock:
        order(bundle)
        order(bundle)
        order(bundle, event_id="e-2")
    assert [key for key, _ in stock.told] == ["inventory:e-1", "inventory:e-2"]


def test_we_say_who_we_are_to_its_address_alone(bundle: Bundle, environment: Env) -> None:
    """A token for an address with a query string is not taken."""
    with stocked(environment) as stock:
        order(bundle)
    assert stock.audiences == [stock.url]
    (asked,) = stock.posted
    assert (asked.path, asked.headers["authorization"]) == ("/orders?shop=1", "Bearer who.we.are")


def test_where_no_token_can_be_had_it_waits(bundle: Bundle, environment: Env) -> None:
    with stocked(environment) as stock:
        host = settings.current().gce_metadata_host
        environment.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
        settings.current.cache_clear()
        order(bundle)
        assert (stock.posted, state(bundle)) == ([], "pending")
        environment.setenv("GCE_METADATA_HOST", host)
        settings.current.cache_clear()
        bundle.advance(hours=1)
    assert (len(stock.told), state(bundle)) == (1, "sent")


def test_telling_it_costs_two_commits(bundle: Bundle, environment: Env) -> None:
    with stocked(environment):
        fields = {"order_id": "o-1", "total": 3, "email": "ada@example.com"}
        bundle.publish("order.placed", "ada", event_id="e-1", **fields)
        before = bundle.firestore.commits, len(bundle.firestore.written)
        bundle.advance(seconds=1)
    written = bundle.firestore.written[before[1] :]
    assert (len(written), bundle.firestore.commits - before[0]) == (5, 2)


def test_a_large_order_is_told(bundle: Bundle, environment: Env) -> None:
    items = [{"sku": f"sku-{n}", "note": "n" * 250, "price": n} for n in range(1500)]
    with stocked(environment) as stock:
        order(bundle, items=items)
    assert told(stock)["items"] == items


def test_what_no_reminder_can_carry_is_read_from_the_order(
    bundle: Bundle, environment: Env
) -> None:
    note = base64.b64encode(random.Random(1).randbytes(385_000)).decode()
    with stocked(environment) as stock:
        order(bundle, note=note)
    assert told(stock) == {
        "event_id": "e-1",
        "user_id": "ada",
        "order_id": "o-1",
        "total": 3,
        "email": "ada@example.com",
        "note": note,
    }


def test_three_days_of_503_delay_it_and_it_is_told_once(bundle: Bundle, environment: Env) -> None:
    end = bundle.firestore.now.timestamp() + 3 * 86_400
    taken: list[Asked] = []

    def answer(asked: Asked) -> Answer:
        if bundle.firestore.now.timestamp() < end:
            return DOWN
        taken.append(asked)
        return Answer()

    with stocked(environment, answer) as stock:
        order(bundle)
        assert bundle.messages("ada") == ["order_confirmation"]
        for _ in range(3 * 24 + 2):
            bundle.advance(hours=1)
            firestore.read("carts/c")  # as others do meanwhile: by it the breaker sees time pass
    assert (len(taken), state(bundle), letters(bundle)) == (1, "sent", [])
    assert len(stock.posted) < 300, "in proportion to the pauses"
    assert len({asked.body for asked in stock.posted}) == 1


def test_a_refusal_for_good_is_a_dead_letter_of_its_own(bundle: Bundle, environment: Env) -> None:
    with stocked(environment, lambda asked: REFUSED) as stock:
        order(bundle)
        bundle.advance(days=1)
    assert letters(bundle) == [("reminder", "permanent")]
    assert (len(stock.posted), state(bundle)) == (1, "dead")
    assert bundle.messages("ada") == ["order_confirmation"]


def test_it_is_told_also_where_the_mail_is_refused_for_good(
    bundle: Bundle, environment: Env
) -> None:
    with stocked(environment) as stock:
        order(bundle, email="nobody")
    assert (len(stock.told), letters(bundle)) == (1, [("consumer", "permanent")])


def test_an_answer_that_was_lost_and_then_a_key_that_is_known_is_a_yes(
    bundle: Bundle, environment: Env
) -> None:
    with stocked(environment, in_turn(LOST, KNOWN)) as stock:
        order(bundle)
        bundle.advance(hours=1)
    first, second = stock.told
    assert first == second
    assert (state(bundle), letters(bundle)) == ("sent", [])


def test_a_key_that_is_known_before_anything_was_told_is_none_of_ours(
    bundle: Bundle, environment: Env
) -> None:
    with stocked(environment, lambda asked: KNOWN):
        order(bundle)
    assert letters(bundle) == [("reminder", "key_known")]


def test_while_it_is_known_to_be_down_nothing_is_claimed(bundle: Bundle, environment: Env) -> None:
    with stocked(environment, lambda asked: DOWN):
        inventory.ensure_open()
        for number in range(10):
            order(bundle, event_id=f"e-{number}")
        with pytest.raises(InProgressError):
            inventory.ensure_open()


@pytest.mark.parametrize("why", ["erased", "unset"])
def test_nobody_is_told_of_who_is_erased_or_where_there_is_no_service_any_more(
    bundle: Bundle, environment: Env, why: str
) -> None:
    with stocked(environment, in_turn(DOWN)) as stock:
        order(bundle)
        if why == "erased":
            marks.mark("ada", [])
        else:
            environment.delenv("INVENTORY_URL")
            shop.current.cache_clear()
        bundle.advance(hours=1)
    assert (len(stock.posted), state(bundle), letters(bundle)) == (1, "skipped", [])


def test_an_order_that_is_gone_cannot_be_told(bundle: Bundle, environment: Env) -> None:
    note = base64.b64encode(random.Random(1).randbytes(385_000)).decode()
    with stocked(environment, in_turn(DOWN)):
        order(bundle, note=note)
        firestore.commit([firestore.Delete(path="users/ada/orders/o-1", update_time=None)])
        bundle.advance(hours=1)
    assert letters(bundle) == [("reminder", "permanent")]
