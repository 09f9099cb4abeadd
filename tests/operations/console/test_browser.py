"""An operator's evening with the console, in a real browser: what is clicked is what happens."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local.testing import LocalCloud
    from tests.operations.console.browser import Page

pytestmark = pytest.mark.slow
VIEWS = ("now", "reminders", "messages", "letters", "campaigns", "queues", "local")


def event(event_type: str, event_id: str, user_id: str = "ada", **payload: Any) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "event_type": event_type,
        "user_id": user_id,
        "payload": payload,
    }


def sign_up(cloud: "LocalCloud", user_id: str = "ada") -> None:
    email = f"{user_id}@shop.example"
    cloud.publish(event("user.signed_up", f"up-{user_id}", user_id, email=email, name="Ada"))
    cloud.idle()


def test_what_is_published_is_seen_with_what_it_caused(page: "Page", cloud: "LocalCloud") -> None:
    sign_up(cloud)
    page.open("local")
    page.see("Publish it")
    placed = event("order.placed", "e-browser", order_id="o-browser", total=12.5)
    page.fill("Event", json.dumps(placed))
    page.click("Publish it")
    page.see("Your order o-browser is confirmed")
    page.keep("timeline")
    page.open("now")
    page.see("e-browser")
    page.keep("now")


def test_a_reminder_is_moved_and_cancelled_by_keys(page: "Page", cloud: "LocalCloud") -> None:
    cloud.publish(event("cart.abandoned", "e-moved", cart_id="c-moved", total=20))
    cloud.idle()
    page.open("reminder/cart_abandonment%3Ac-moved")
    page.see("Move it")
    moved = cloud.now().replace(microsecond=0, tzinfo=None) + timedelta(days=3)
    page.type("Send it at (UTC)", moved.strftime("%m%d%Y\t%I%M%S%p\n"))
    page.see("cart_abandonment:c-moved: rescheduled")
    page.see(str(moved))
    page.keep("reminder")
    page.click("Cancel it")
    page.see("cart_abandonment:c-moved: cancelled")
    page.see_no("Move it")


def test_two_hours_later_the_reminder_is_sent(page: "Page", cloud: "LocalCloud") -> None:
    cloud.publish(event("cart.abandoned", "e-cart", cart_id="c-browser", total=20))
    cloud.idle()
    page.open("reminders")
    page.see("cart_abandonment:c-browser")
    page.keep("reminders")
    page.open("local")
    page.fill("By", "2 hours")
    page.click("Go")
    page.see("it is ")
    page.open("reminder/cart_abandonment%3Ac-browser")
    page.see("sent")


def test_a_message_is_seen_as_its_reader_sees_it(page: "Page", cloud: "LocalCloud") -> None:
    sign_up(cloud, "grace")
    page.open("messages")
    page.fill("To user", "grace\t")
    page.see("grace@shop.example")
    page.click("Welcome to PulseCart")
    page.see("As its reader sees it")
    frame = page.driver.find_element("tag name", "iframe")
    assert frame.get_attribute("sandbox") is not None
    page.driver.switch_to.frame(frame)
    assert not page.driver.find_elements("tag name", "pre")  # the HTML, and not the text
    assert "PulseCart" in page.text
    page.driver.switch_to.default_content()
    page.keep("message")


def test_a_letter_is_corrected_and_replayed(page: "Page", cloud: "LocalCloud") -> None:
    sign_up(cloud)
    wrong = event("order.placed", "e-wrong", order_id="o-wrong", total="much")
    cloud.publish(wrong)
    cloud.idle()
    page.open("letters")
    page.see("malformed")
    page.keep("letters")
    page.click("e-wrong")
    page.see("Replay it")
    right = event("order.placed", "e-wrong", order_id="o-wrong", total=7)
    page.fill("What was received; change it to correct it", json.dumps(right))
    page.click("Replay it")
    page.see("replayed")
    page.open("show/e-wrong")
    page.see("Your order o-wrong is confirmed")


def test_a_letter_is_discarded_with_a_reason(page: "Page", cloud: "LocalCloud") -> None:
    cloud.publish(event("order.placed", "e-lost", order_id="o-lost"))
    cloud.idle()
    page.open("letters")
    page.click("e-lost")
    page.fill("or close it, because", "a test order")
    page.click("Discard it")
    page.see("discarded")
    page.see("a test order")


def test_stored_text_does_nothing(page: "Page", cloud: "LocalCloud") -> None:
    script = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    cloud.publish(event("order.placed", f"e-{script}", script, order_id=script))
    cloud.publish(event("cart.abandoned", "e-script", script, cart_id=script, total=1))
    cloud.idle()
    for view in ("now", "letters", "reminders", "messages", "show/e-script"):
        page.open(view)
        page.see("<script>" if view not in ("messages",) else "Messages")
    assert "taken" not in page.driver.title


def test_a_function_that_is_killed_goes_on(page: "Page", cloud: "LocalCloud") -> None:
    page.open("local")
    page.click("Kill consumer")
    page.see("processes of consumer were killed")
    cloud.publish(event("cart.abandoned", "e-killed", cart_id="c-killed", total=1))
    page.open("show/e-killed")
    page.see("cart abandoned")
    page.see("What happens next")


def test_a_campaign_is_fired_and_stopped(page: "Page", cloud: "LocalCloud") -> None:
    for user_id in ("ida", "joan", "mary"):
        email = f"{user_id}@shop.example"
        up = event("user.signed_up", f"up-{user_id}", user_id, email=email, digest_opt_in=True)
        cloud.publish(up)
    cloud.idle()
    monday = (cloud.now() + timedelta(days=7 - cloud.now().weekday())).date()
    cloud.tick("weekly-digest", at=f"{monday}T00:00:00Z")
    cloud.idle()
    page.open("campaigns")
    page.click(f"weekly_digest:{monday}T00:00:00+00:00")
    page.see("enqueued 3 of 3")
    page.keep("campaign")
    page.click("Stop it")
    page.see("cancelled; 0 were sent before")


def test_a_schedule_is_fired(page: "Page", cloud: "LocalCloud") -> None:
    page.open("queues")
    page.see("reminder-sweep")
    page.keep("queues")
    page.click("Fire now")
    page.see("has been fired")
    cloud.idle()


def test_what_waits_stands_with_the_letters(page: "Page", cloud: "LocalCloud") -> None:
    cloud.publish(event("order.placed", "e-waits", "nobody", order_id="o-waits", total=1))
    cloud.idle()
    page.open("letters")
    page.see("0 messages are in the slow lane.")
    page.fill("State", "waiting")
    page.see("What waits, and goes on by itself")
    page.see("no address of user nobody is known yet")


def test_without_write_it_only_shows(page: "Page", cloud: "LocalCloud", shows_only: str) -> None:
    cloud.publish(event("order.placed", "e-shown", order_id="o-shown"))
    cloud.idle()
    page.driver.get(f"{shows_only}#/letters")
    page.see("shows only")
    assert "Local cloud" not in page.text
    page.click("e-shown")
    page.see("Replay it")
    assert page.is_disabled("Replay it")
    assert page.is_disabled("Discard it")


def test_it_is_light_or_dark_as_the_reader_prefers(page: "Page") -> None:
    seen = set()
    for scheme in ("dark", "light"):
        page.emulate(scheme)
        page.open("now")
        page.see("What happens now")
        page.keep(f"now-{scheme}")
        ground = "return getComputedStyle(document.body).backgroundColor"
        seen.add(page.driver.execute_script(ground))
    assert seen == {"rgb(22, 24, 29)", "rgb(255, 255, 255)"}


def test_the_keys_lead_through_the_page(page: "Page") -> None:
    page.open("now")
    page.see("What happens now")
    page.press("4")
    page.see("Dead letters, those seen last first")
    page.press("2")
    page.see("Reminders, those due first first")
    page.press("j")
    assert page.driver.switch_to.active_element.tag_name == "a"
    page.press("/")
    assert page.driver.switch_to.active_element.get_attribute("id") == "find"


def test_every_field_and_button_has_a_name(page: "Page") -> None:
    for view in VIEWS:
        page.open(view)
        page.see("Find")
        nameless = page.driver.execute_script(
            "const all = document.querySelectorAll('input, select, textarea, button, iframe');"
            "const is = it => it.labels?.length || it.textContent.trim() || it.title;"
            "return [...all].filter(it => !is(it)).map(it => it.outerHTML)"
        )
        assert nameless == []


def test_it_fits_a_narrow_screen(page: "Page") -> None:
    page.driver.set_window_size(400, 800)
    try:
        for view in (*VIEWS, "show/up-ada"):
            page.open(view)
            page.see("Find")
            wide = page.driver.execute_script(
                "return document.documentElement.scrollWidth - window.innerWidth"
            )
            assert wide <= 0, view
    finally:
        page.driver.set_window_size(1200, 800)


def test_thousands_of_rows_do_not_hold_it_up(page: "Page", cloud: "LocalCloud") -> None:
    documents = cloud.firestore()
    for start in range(0, 3000, 500):
        batch = documents.batch()
        for number in range(start, start + 500):
            fields = {"user_id": "many", "template": "welcome", "to": f"{number}@shop.example"}
            path = documents.document(f"messages/many-{number}")
            batch.set(path, {**fields, "state": "sent", "sent_at": cloud.now(), "key": str(number)})
        batch.commit()
    page.open("now")
    page.see("many-")
    rows = page.driver.execute_script(
        "return document.querySelectorAll('#happenings tbody tr').length"
    )
    assert rows <= 400
    page.fill("with", "many-29")
    page.see("many-29")
