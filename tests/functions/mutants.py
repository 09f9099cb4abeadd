"""Mistakes in the shop, and the tests that notice them."""

from common.cloud import documents
from common.scheduling import calls, ringing
from common.triggers import oidc
from functions import consumer
from functions.shop import campaigns, carts, inventory, items, money, orders, reminders, users
from tests.common.mutants import Noticed

PURCHASED = "shop/test_carts.py::test_a_purchased_cart_stays_purchased"
LATER = "shop/test_carts.py::test_a_later_abandonment_is_the_one_with_the_later_time"
OLDER = (
    "test_handlers.py::TestCartAbandoned::"
    "test_an_older_abandonment_that_comes_later_changes_nothing"
)
BOUGHT = "test_handlers.py::TestCartAbandoned::test_a_cart_that_is_bought_before_is_not_reminded_of"
STOCK = "shop/test_inventory.py"
REPEAT = "test_handlers.py::TestOrderPlaced::test_a_repeat_has_no_effect"

CARTS = [
    Noticed(
        "a purchased cart is abandoned again",
        carts, "abandon",
        "if not is_purchased(cart):",
        "if True:",
        (PURCHASED, BOUGHT),
    ),
    Noticed(
        "an older abandonment takes the place of a later one",
        carts, "was_abandoned_later",
        "known > _abandoned_at(event, work)",
        "False",
        (LATER, OLDER),
    ),
    Noticed(
        "the same abandonment is an older one",
        carts, "was_abandoned_later",
        "known > _abandoned_at(event, work)",
        "known >= _abandoned_at(event, work)",
        (LATER,),
    ),
    Noticed(
        "an abandonment happened when it was learned",
        carts, "_abandoned_at",
        "event.occurred_at or work.now",
        "work.now",
        ("shop/test_carts.py::test_an_abandonment_happened_when_it_says", OLDER),
    ),
    Noticed(
        "a cart is written whatever has become of it",
        carts, "abandon",
        "return cart.write(fields)",
        "return firestore.Merge(path=cart.path, fields=fields)",
        ("shop/test_carts.py::test_what_is_written_holds_only_for_the_cart_as_it_was_read",),
    ),
    Noticed(
        "a purchase is written whatever has become of the cart",
        carts, "purchase",
        "return read(cart_id).write(fields)",
        "return firestore.Merge(path=read(cart_id).path, fields=fields)",
        ("shop/test_carts.py::test_what_is_written_holds_only_for_the_cart_as_it_was_read",),
    ),
    Noticed(
        "a purchase is learned of and not dated",
        carts, "purchase",
        "event.occurred_at or work.now",
        "work.now",
        ("shop/test_carts.py::test_a_purchase_says_when_and_keeps_when_it_was_abandoned",),
    ),
    Noticed(
        "the id of a document is a path",
        documents.DocumentKind, "path",
        "firestore.document_id(id)",
        "id",
        ("shop/test_carts.py::test_a_cart_is_a_document_of_its_own_whatever_its_id",
         "shop/test_users.py::test_a_user_is_a_document_of_their_own_whatever_their_id"),
    ),
]  # fmt: skip

USERS = [
    Noticed(
        "the first mark has no precondition",
        users, "set_first",
        'found.write({"user_id": event.user_id, mark: work.now})',
        'firestore.Merge(path=found.path, fields={"user_id": event.user_id, mark: work.now})',
        ("shop/test_users.py::TestFirst::test_the_first_is_marked_provided_nobody_else_does",
         "shop/test_users.py::TestFirst::test_in_a_document_that_is_there_it_is_marked_as_it_was_read"),
    ),
    Noticed(
        "every login is the first",
        users, "set_first",
        "if found.data.get(mark):",
        "if False:",
        ("shop/test_users.py::TestFirst::test_where_it_is_marked_there_is_nothing_to_do",
         "test_handlers.py::TestFirst::test_the_others_have_nothing_to_do"),
    ),
    Noticed(
        "whoever is known is no first",
        users, "set_first",
        "if found.data.get(mark):",
        "if found.exists:",
        ("shop/test_users.py::TestFirst::test_one_mark_does_not_stand_for_the_other",
         "test_handlers.py::TestFirst::test_the_first_is_marked_and_followed_up"),
    ),
    Noticed(
        "every sign-up is the first",
        users, "is_first_sign_up",
        '"signed_up_at" not in user.data or user.data.get(SIGN_UP) == event.event_id',
        "True",
        ("shop/test_users.py::TestSignUp::test_it_is_still_the_first_when_it_comes_again",
         "test_handlers.py::TestUserSignedUp::test_a_second_one_is_recorded_and_welcomed_no_more"),
    ),
    Noticed(
        "a sign-up that comes again is a second one",
        users, "is_first_sign_up",
        " or user.data.get(SIGN_UP) == event.event_id",
        "",
        ("shop/test_users.py::TestSignUp::test_it_is_still_the_first_when_it_comes_again",),
    ),
    Noticed(
        "whoever has logged in has signed up",
        users, "is_first_sign_up",
        '"signed_up_at" not in user.data',
        "not user.exists",
        ("shop/test_users.py::TestSignUp::test_it_is_still_the_first_when_it_comes_again",
         "test_handlers.py::TestUserSignedUp::test_who_has_logged_in_before_signs_up_for_the_first_time"),
    ),
    Noticed(
        "a sign-up pretends a first login",
        users, "sign_up",
        " if name not in OURS",
        "",
        ("shop/test_users.py::TestSignUp::test_a_payload_cannot_pretend_a_first",),
    ),
    Noticed(
        "a sign-up says who it is",
        users, "sign_up",
        " if name not in OURS",
        ' if name != "user_id"',
        ("shop/test_users.py::TestSignUp::test_the_first_is_the_one_that_said_when",),
    ),
    Noticed(
        "the digest is on unless it is refused",
        users, "sign_up",
        "user.data.get(OPT_IN, False)",
        "user.data.get(OPT_IN, True)",
        ("shop/test_users.py::TestSignUp::test_the_digest_is_off_unless_asked_for",),
    ),
    Noticed(
        "a second sign-up turns the digest off",
        users, "sign_up",
        "user.data.get(OPT_IN, False)",
        "False",
        ("shop/test_users.py::TestSignUp::"
         "test_a_second_one_that_says_nothing_of_the_digest_changes_nothing_of_it",),
    ),
    Noticed(
        "the default of the digest undoes what another sign-up asks for",
        users, "sign_up",
        "user.write(fields)",
        "firestore.Merge(path=user.path, fields=fields)",
        ("shop/test_users.py::TestSignUp::"
         "test_what_is_written_holds_only_for_the_document_as_it_was_read",),
    ),
    Noticed(
        "whoever has unsubscribed is a recipient like any other",
        users, "recipient",
        'is_unsubscribed=bool(found.data.get("unsubscribed"))',
        "is_unsubscribed=False",
        ("shop/test_users.py::TestRecipient::test_it_is_what_the_document_says",
         "shop/test_campaigns.py::test_who_has_unsubscribed_is_skipped"),
    ),
    Noticed(
        "everybody is known",
        users, "recipient",
        "is_known=found.exists",
        "is_known=True",
        ("shop/test_users.py::TestRecipient::test_nobody_is_known_without_a_document",),
    ),
]  # fmt: skip

ORDERS = [
    Noticed(
        "a payload says whose the order is",
        orders, "place",
        '        **firestore.storable_fields(event.payload),\n        "user_id": event.user_id,\n',
        '        "user_id": event.user_id,\n        **firestore.storable_fields(event.payload),\n',
        ("shop/test_orders.py::TestPlace::test_a_payload_cannot_say_whose_it_is_or_when",),
    ),
    Noticed(
        "only what is known of an order is kept",
        orders, "place",
        "firestore.storable_fields(event.payload)",
        '{"order_id": event.payload["order_id"], "total": event.payload["total"]}',
        ("shop/test_orders.py::TestPlace::test_an_order_is_recorded_under_its_user_with_all_that_is_said_of_it",
         "test_handlers.py::TestOrderPlaced::test_it_is_recorded_and_confirmed"),
    ),
    Noticed(
        "an order counts in two weeks",
        orders, "within",
        ' if order.data["recorded_at"] in window',
        "",
        ("shop/test_orders.py::TestWeek::test_an_order_counts_in_one_week_by_when_it_was_learned",),
    ),
    Noticed(
        "an order of the week's first moment counts in none",
        orders, "within",
        '("recorded_at", ">=", window.since)',
        '("recorded_at", ">", window.since)',
        ("shop/test_orders.py::TestWeek::test_an_order_counts_in_one_week_by_when_it_was_learned",),
    ),
    Noticed(
        "spending is one sum whatever the currencies",
        orders, "within",
        'it.get("currency")',
        '""',
        ("shop/test_orders.py::TestWeek::test_the_spending_is_one_sum_for_each_currency",),
    ),
]  # fmt: skip

INVENTORY = [
    Noticed(
        "a payload says which event it is",
        inventory, "tell",
        '{**_told(due), "event_id": due.subject, "user_id": due.user_id}',
        '{"event_id": due.subject, "user_id": due.user_id, **_told(due)}',
        (f"{STOCK}::test_a_payload_cannot_say_whose_it_is_or_which",),
    ),
    Noticed(
        "the inventory is told under a key of the order",
        inventory, "tell",
        'f"inventory:{due.subject}"',
        """f"inventory:{due.payload['order_id']}\"""",
        (f"{STOCK}::test_the_key_is_that_of_the_event",),
    ),
    Noticed(
        "the inventory is told under a key of the attempt",
        inventory, "tell",
        'f"inventory:{due.subject}"',
        'f"inventory:{due.subject}:{work.attempt}"',
        (f"{STOCK}::test_an_answer_that_was_lost_and_then_a_key_that_is_known_is_a_yes",),
    ),
    Noticed(
        "the inventory is not told who we are",
        inventory, "tell",
        ", headers=headers",
        "",
        (f"{STOCK}::test_we_say_who_we_are_to_its_address_alone",),
    ),
    Noticed(
        "the audience has a query string",
        inventory, "tell",
        'urlsplit(url)._replace(query="", fragment="").geturl()',
        "url",
        (f"{STOCK}::test_we_say_who_we_are_to_its_address_alone",),
    ),
    Noticed(
        "the token is a part of the destination",
        inventory, "tell",
        ", headers=headers",
        ", token=token",
        (f"{STOCK}::test_while_it_is_known_to_be_down_nothing_is_claimed",),
    ),
    Noticed(
        "a key that is known is a refusal whatever came before",
        inventory, "tell",
        "if work.attempt == 1:",
        "if True:",
        (f"{STOCK}::test_an_answer_that_was_lost_and_then_a_key_that_is_known_is_a_yes",),
    ),
    Noticed(
        "a key that is known is always a yes",
        inventory, "tell",
        "if work.attempt == 1:",
        "if False:",
        (f"{STOCK}::test_a_key_that_is_known_before_anything_was_told_is_none_of_ours",),
    ),
    Noticed(
        "a payload that no reminder can carry refuses the order",
        inventory, "schedule",
        "if len(packed) <= LARGEST else {}",
        "if True else {}",
        (f"{STOCK}::test_what_no_reminder_can_carry_is_read_from_the_order",),
    ),
    Noticed(
        "what is told is what Firestore can hold of it",
        inventory, "schedule",
        "if len(packed) <= LARGEST else {}",
        "if False else {}",
        (f"{STOCK}::test_it_is_told_as_the_event_said_it",),
    ),
    Noticed(
        "one reminder for all events of an order",
        inventory, "schedule",
        "event.event_id",
        'event.payload["order_id"]',
        (f"{STOCK}::test_the_key_is_that_of_the_event",),
    ),
    Noticed(
        "a service that is not there is told",
        inventory, "schedule",
        "if not settings.current().inventory_url:",
        "if False:",
        (f"{STOCK}::test_without_one_nobody_is_told",),
    ),
    Noticed(
        "the inventory is told of who is erased",
        inventory, "_is_wanted",
        " and not marks.is_erased(due.user_id)",
        "",
        (f"{STOCK}::test_nobody_is_told_of_who_is_erased_or_where_there_is_no_service_any_more",),
    ),
    Noticed(
        "what is kept of an order beside its payload is told",
        orders, "payload_of",
        " if name not in OURS",
        "",
        (f"{STOCK}::test_what_no_reminder_can_carry_is_read_from_the_order",),
    ),
]  # fmt: skip

HANDLERS = [
    Noticed(
        "the confirmation comes before the order",
        consumer, "order_placed",
        '    work.write("order", lambda: _place(placed, work))\n',
        '    work.step("mail", _sending(messages.ORDER_CONFIRMATION, placed, work))\n'
        '    work.write("order", lambda: _place(placed, work))\n',
        ("test_handlers.py::TestOrderPlaced::test_it_is_recorded_also_while_the_provider_is_down",
         "test_handlers.py::TestOrderPlaced::test_before_the_sign_up_only_its_mail_waits"),
    ),
    Noticed(
        "the order is recorded with the end of the work",
        consumer, "order_placed",
        '    work.write("order", lambda: _place(placed, work))\n',
        "",
        ("test_handlers.py::TestOrderPlaced::test_it_is_recorded_and_confirmed",
         "test_handlers.py::TestOrderPlaced::test_it_is_recorded_also_while_the_provider_is_down"),
    ),
    Noticed(
        "the confirmation has no step",
        consumer, "order_placed",
        'work.effect("confirmation", confirm)',
        'confirm(work.step_key("confirmation")).result',
        ("test_handlers.py::TestOrderPlaced::test_it_is_recorded_and_confirmed",),
    ),
    Noticed(
        "nobody tells the inventory",
        consumer, "_place",
        ", *told, *",
        ", *",
        ("test_handlers.py::TestOrderPlaced::test_it_is_to_be_told_to_the_inventory_at_once",),
    ),
    Noticed(
        "an order of the last release is given up for its old effect",
        consumer, "order_placed",
        'work.has_finished("inventory")',
        "False",
        ("test_last_release.py::TestRecords::test_an_order_whose_mail_waited_is_confirmed",),
    ),
    Noticed(
        "an order without a cart has one",
        consumer, "_purchase",
        "if not cart_id:",
        "if cart_id is None:",
        ("test_handlers.py::TestOrderPlaced::test_an_order_without_a_cart_writes_none",),
    ),
    Noticed(
        "the reminder of a bought cart stays",
        consumer, "_purchase",
        ", *cancelled]",
        "]",
        ("test_handlers.py::TestOrderPlaced::test_its_cart_is_purchased_and_the_reminder_of_it_cancelled",),
    ),
    Noticed(
        "a bought cart is reminded of",
        consumer, "cart_abandoned",
        "if carts.is_purchased(cart):",
        "if False:",
        (BOUGHT,),
    ),
    Noticed(
        "an older abandonment is worked on",
        consumer, "cart_abandoned",
        "if carts.was_abandoned_later(cart, abandoned, work):",
        "if False:",
        (OLDER,),
    ),
    Noticed(
        "an address of the event is ignored",
        consumer, "_sending",
        'about.payload.get("email")',
        "None",
        ("test_handlers.py::TestOrderPlaced::test_an_address_of_the_order_wins",
         "test_handlers.py::TestPaymentFailed::test_it_writes_to_the_address_of_the_event_without_a_sign_up"),
    ),
    Noticed(
        "a failed payment is confirmed",
        consumer, "payment_failed",
        "messages.PAYMENT_RETRY",
        "messages.ORDER_CONFIRMATION",
        ("test_handlers.py::TestPaymentFailed::test_it_asks_for_another_try_once",),
    ),
    Noticed(
        "a new user is looked in on at once",
        consumer, "_sign_up",
        "days=1",
        "days=0",
        ("test_handlers.py::TestUserSignedUp::test_they_are_looked_in_on_after_a_day",),
    ),
    Noticed(
        "a first login is marked and not followed up",
        consumer, "_first",
        "writes=[*first, *schedule_onboarding(seen, work, kind, days=days)]",
        "writes=first",
        ("test_handlers.py::TestFirst::test_the_first_is_marked_and_followed_up",),
    ),
    Noticed(
        "a first login is followed up and not marked",
        consumer, "_first",
        "writes=[*first, *schedule_onboarding(seen, work, kind, days=days)]",
        "writes=schedule_onboarding(seen, work, kind, days=days)",
        ("test_handlers.py::TestFirst::test_the_first_is_marked_and_followed_up",
         "test_handlers.py::TestFirst::test_it_is_marked_before_the_sign_up_too"),
    ),
]  # fmt: skip

ERASED = "test_erased.py::test_a_later_event_is_skipped_and_leaves_ids_alone"
RACE = "test_erased.py::test_an_erasure_before_any_commit_of_a_{}_leaves_nothing"
ERASURES = [
    Noticed(
        "the order of somebody who is erased is recorded",
        consumer, "_place",
        "return [*alive, ",
        "return [",
        ("shop/test_orders.py::TestPlace::test_it_is_not_recorded_once_its_user_is_erased",),
    ),
    Noticed(
        "a cart is recorded although its user was erased meanwhile",
        consumer, "cart_abandoned",
        "marks.unless_erased(abandoned.user_id)",
        "[]",
        (RACE.format("handler"),),
    ),
    Noticed(
        "a reminder under way is none of the user's",
        ringing._Ringing, "job",
        "user_id=user_id",
        "user_id=None",
        (RACE.format("reminder"),),
    ),
    Noticed(
        "the first login of somebody who is erased is recorded",
        users, "set_first",
        "*known.unless_erased(), ",
        "",
        (ERASED,),
    ),
    Noticed(
        "somebody who is erased is written to",
        users, "recipient",
        "is_erased=any(mark.exists for mark in asked)",
        "is_erased=False",
        (ERASED,),
    ),
    Noticed(
        "an event's address is that of nobody who is erased",
        users, "recipient",
        "addresses=[to] if to else []",
        "addresses=[]",
        ("test_erased.py::"
         "test_an_address_that_is_erased_is_not_written_to_for_somebody_else",),
    ),
    Noticed(
        "whoever has the address of somebody erased is not written to",
        users, "recipient",
        'known.marks[:1] if to == found.data.get("email") else known.marks',
        "known.marks",
        ("test_erased.py::test_an_own_address_is_written_to_whoever_else_had_it",),
    ),
    Noticed(
        "a sign-up is of when it says",
        users, "lifted",
        "min(known)",
        "known[0]",
        ("test_erased.py::TestSigningUpAgain::test_it_cannot_have_happened_after_it_was_published",),
    ),
    Noticed(
        "a sign-up is of when it was published",
        users, "lifted",
        "min(known)",
        "known[-1]",
        ("test_erased.py::TestSigningUpAgain::test_it_cannot_have_happened_after_it_was_published",),
    ),
    Noticed(
        "a sign-up lifts nothing",
        consumer, "_sign_up",
        "[*lifted, record, ",
        "[record, ",
        ("test_erased.py::TestSigningUpAgain::test_a_sign_up_after_the_erasure_is_a_new_beginning",),
    ),
]  # fmt: skip

OTHERS = [
    Noticed(
        "a cart is reminded of whatever has become of it",
        reminders, "_is_abandoned",
        'carts.is_abandoned(due.payload["cart_id"])',
        "True",
        ("shop/test_reminders.py::test_a_cart_is_reminded_of_while_it_is_abandoned",),
    ),
    Noticed(
        "a reminder goes to the user's own address alone",
        reminders, "_send",
        'to=due.payload.get("email")',
        "to=None",
        ("test_handlers.py::TestCartAbandoned::test_the_reminder_goes_to_an_address_of_the_event",),
    ),
    Noticed(
        "one reminder for all carts of a user",
        reminders, "schedule_cart",
        'event.payload["cart_id"],',
        "event.user_id,",
        ("shop/test_reminders.py::test_a_cart_is_reminded_of_after_the_delay",
         "test_handlers.py::TestCartAbandoned::test_it_is_recorded_and_a_reminder_set"),
    ),
    Noticed(
        "the delay of a cart is ours to say",
        reminders, "schedule_cart",
        "settings.current().cart_reminder_delay",
        "timedelta(hours=2)",
        ("shop/test_reminders.py::test_a_cart_is_reminded_of_after_the_delay",),
    ),
    Noticed(
        "the digest is for who wanted it when the tick came",
        campaigns, "_send_digest",
        "if zone is None:",
        "if False:",
        ("shop/test_campaigns.py::test_who_has_opted_out_by_then_is_skipped",),
    ),
    Noticed(
        "an amount of any size and precision",
        money, "_decimal",
        'str(value) if abs(value) < LARGEST else ""',
        "str(value)",
        ("shop/test_money.py::test_a_number_that_is_too_long_to_be_written_down_is_none",),
    ),
    Noticed(
        "whatever Python reads is an amount",
        money, "_decimal",
        "_AMOUNT.fullmatch(text)",
        "text",
        ("shop/test_money.py::test_what_is_no_amount_is_shown_as_nothing",),
    ),
    Noticed(
        "an amount is its binary fraction",
        money, "_decimal",
        "Decimal(repr(value))",
        "Decimal(value)",
        ("shop/test_money.py::test_an_amount_has_two_decimals_and_its_thousands_apart",),
    ),
    Noticed(
        "every currency has two decimals",
        money, "_digits",
        "_DIGITS.get(currency, 2)",
        "2",
        ("shop/test_money.py::test_it_has_the_decimals_of_its_currency",),
    ),
    Noticed(
        "a text is a currency",
        money, "_code",
        're.fullmatch(r"[A-Za-z]{3}", currency)',
        "currency",
        ("shop/test_money.py::test_what_is_no_currency_is_left_out",),
    ),
    Noticed(
        "sums are added over currencies",
        money, "total",
        "sums[found.currency] = sums.get(found.currency",
        'sums[""] = sums.get(""',
        ("shop/test_money.py::test_sums_are_per_currency_and_exact",),
    ),
    Noticed(
        "the currency of an order wins over that of a price",
        money, "read",
        "_money(_in_object(value, _code(own)), _code(own))",
        "_money(_in_object(value, _code(own)), _code(currency or own))",
        ("shop/test_money.py::test_an_object_says_its_amount_and_its_currency",),
    ),
    Noticed(
        "an order has items of which there are none",
        items, "_line",
        "not name or not _is_some(quantity)",
        "not name",
        ("shop/test_items.py::test_what_cannot_be_shown_is_left_out",),
    ),
    Noticed(
        "a name in several languages is shown in any of them",
        items, "_name",
        "[*preferred, *value.values()]",
        "value.values()",
        ("shop/test_items.py::test_an_item_is_one_line",),
    ),
    Noticed(
        "items of any number",
        items, "lines",
        "items[:ITEM_LIMIT]",
        "items",
        ("shop/test_items.py::test_a_long_list_of_long_lines_is_cut",),
    ),
    Noticed(
        "an item breaks out of its line",
        items, "_shown",
        "one_line(value)",
        "str(value)",
        ("shop/test_items.py::test_an_item_is_one_line",),
    ),
    Noticed(
        "the sweep is a campaign like any other",
        calls, "tick",
        'if call.body.get("campaign") == sweep.NAME:',
        "if False:",
        ("test_triggers.py::test_the_tick_of_the_sweep_rings_what_is_overdue",),
    ),
    Noticed(
        "the task of a campaign is an alarm",
        calls, "due",
        'if "campaign" in call.body:',
        "if False:",
        ("test_triggers.py::test_a_task_of_a_campaign_is_not_taken_for_an_alarm",),
    ),
    Noticed(
        "the scheduler may ring a reminder",
        oidc, "callers_of",
        "audience=config.reminder_audience, emails=[tasks]",
        "audience=config.reminder_audience, emails=[tasks, scheduler]",
        ("test_triggers.py::test_who_may_call_a_function_and_for_which_audience",),
    ),
    Noticed(
        "only the scheduler may call fanout, and no run goes on",
        oidc, "callers_of",
        "emails=[scheduler, tasks]",
        "emails=[scheduler]",
        ("test_triggers.py::test_who_may_call_a_function_and_for_which_audience",),
    ),
    Noticed(
        "fanout takes tokens for reminder",
        oidc, "callers_of",
        "audience=config.fanout_audience",
        "audience=config.reminder_audience",
        ("test_triggers.py::test_who_may_call_a_function_and_for_which_audience",),
    ),
]  # fmt: skip

MUTANTS = [*CARTS, *USERS, *ORDERS, *INVENTORY, *HANDLERS, *ERASURES, *OTHERS]
