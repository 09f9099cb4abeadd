"""What the unit tests must catch of waiting: mistakes of somebody who edits this code in a hurry.

Those of the claim are in `proof.mutants`: only an unlucky schedule shows them.
"""

from common.idempotency import delivery, fields, store, waits
from common.idempotency.exclusive import ProcessLock
from tests.common.mutants import Noticed

JUDGING = [
    Noticed(
        "what can never succeed is tried again",
        waits, "judge",
        "if isinstance(error, PermanentError):",
        "if False:",
        ("test_waits.py::test_what_can_never_succeed_is_given_up_at_once",),
    ),
    Noticed(
        "another reason does not begin anew",
        waits, "judge",
        "if before and before.reason == reason else (now, 0)",
        "if before else (now, 0)",
        ("test_waits.py::test_another_answer_clears_the_clock_and_the_count",),
    ),
    Noticed(
        "every answer begins anew",
        waits, "judge",
        "if before and before.reason == reason else (now, 0)",
        "if False else (now, 0)",
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",
         "test_waits.py::test_our_own_failures_are_counted",
         "test_waits.py::test_pauses_grow_up_to_half_an_hour"),
    ),
    Noticed(
        "what changes for ever is never given up",
        waits, "judge",
        "first = before.first if before else now",
        "first = since",
        ("test_waits.py::test_what_changes_for_ever_is_given_up_too",),
    ),
    Noticed(
        "a try is not counted",
        waits, "judge",
        "tries=tries + 1,",
        "tries=tries,",
        ("test_waits.py::test_our_own_failures_are_counted",
         "test_waits.py::test_pauses_grow_up_to_half_an_hour"),
    ),
    Noticed(
        "one try too many is made",
        waits, "judge",
        "_given_up(reason, now, first, since, tries + 1, patience)",
        "_given_up(reason, now, first, since, tries, patience)",
        ("test_waits.py::test_our_own_failures_are_counted",),
    ),
    Noticed(
        "that it may have happened is forgotten when it is given up",
        waits, "judge",
        "return Dead(reason=word(error), error=describe(error), unknown_since=unknown)",
        "return Dead(reason=word(error), error=describe(error))",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
    Noticed(
        "that it may have happened is forgotten when patience ends",
        waits, "judge",
        "return Dead(reason=given_up, error=text, unknown_since=unknown)",
        "return Dead(reason=given_up, error=text)",
        ("test_waits.py::test_what_may_have_happened_is_told_when_patience_ends",),
    ),
    Noticed(
        "that it may have happened is forgotten while it waits",
        waits, "judge",
        "error=describe(error),\n        unknown_since=unknown,",
        "error=describe(error),",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
    Noticed(
        "an outage is our own failure",
        waits, "reason_of",
        'return "unavailable"',
        'return "transient"',
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "what has not happened yet is our own failure",
        waits, "reason_of",
        'return "not_yet"',
        'return "transient"',
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "our own failure is an outage",
        waits, "reason_of",
        'return "transient"',
        'return "unavailable"',
        ("test_waits.py::test_our_own_failures_are_counted",),
    ),
]  # fmt: skip

PATIENCE = [
    Noticed(
        "an outage is waited for as long as a sign-up",
        waits, "_given_up",
        "now - since > patience.outage",
        "now - since > patience.not_yet",
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "a sign-up is waited for as long as an outage",
        waits, "_given_up",
        "now - since > patience.not_yet",
        "now - since > patience.outage",
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "patience ends at the last moment, not behind it",
        waits, "_given_up",
        "now - since > patience.outage",
        "now - since >= patience.outage",
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "one failure more is allowed",
        waits, "_given_up",
        "tries >= patience.attempts",
        "tries > patience.attempts",
        ("test_waits.py::test_our_own_failures_are_counted",),
    ),
    Noticed(
        "different reasons are waited for without an end",
        waits, "_given_up",
        "if is_over or now - first > 2 * patience.outage else None",
        "if is_over else None",
        ("test_waits.py::test_what_changes_for_ever_is_given_up_too",),
    ),
    Noticed(
        "different reasons are waited for no longer than one",
        waits, "_given_up",
        "now - first > 2 * patience.outage",
        "now - first > patience.outage",
        ("test_waits.py::test_another_answer_clears_the_clock_and_the_count",),
    ),
    Noticed(
        "a dead letter does not say how long it was waited for",
        waits, "_waited",
        "return describe(error) if waited is None else",
        "return describe(error) if True else",
        ("test_waits.py::test_others_are_waited_for_until_patience_ends",),
    ),
    Noticed(
        "an error is kept however long its text",
        waits, "describe",
        "[:MAX_ERROR]",
        "",
        ("test_waits.py::test_no_more_of_an_error_is_kept_than_a_record_has_room_for",),
    ),
    Noticed(
        "an error is kept however long its text, when patience ends",
        waits, "_waited",
        "[:MAX_ERROR]",
        "",
        ("test_waits.py::test_no_more_of_an_error_is_kept_than_a_record_has_room_for",),
    ),
    Noticed(
        "a word of two parts is one",
        waits, "word",
        '"_"',
        '""',
        ("test_waits.py::test_a_reason_is_named_as_its_error",),
    ),
]  # fmt: skip

PAUSES = [
    Noticed(
        "whoever says when to come again is not heeded",
        waits, "_pause",
        "error.retry_after is not None",
        "False",
        ("test_waits.py::test_who_says_when_to_come_again_is_heeded",),
    ),
    Noticed(
        "somebody outside may have us wait for years",
        waits, "_pause",
        "min(max(error.retry_after, 1.0), LONGEST_RETRY_AFTER)",
        "max(error.retry_after, 1.0)",
        ("test_waits.py::test_who_says_when_to_come_again_is_heeded",),
    ),
    Noticed(
        "somebody outside may have us come again at once",
        waits, "_pause",
        "max(error.retry_after, 1.0)",
        "error.retry_after",
        ("test_waits.py::test_who_says_when_to_come_again_is_heeded",),
    ),
    Noticed(
        "pauses do not grow",
        waits, "_pause",
        "FIRST_PAUSE * 2 ** min(tries, 20)",
        "FIRST_PAUSE",
        ("test_waits.py::test_pauses_grow_up_to_half_an_hour",),
    ),
    Noticed(
        "pauses grow without an end",
        waits, "_pause",
        "float(min(FIRST_PAUSE * 2 ** min(tries, 20), LONGEST_PAUSE))",
        "FIRST_PAUSE * 2 ** min(tries, 20)",
        ("test_waits.py::test_pauses_grow_up_to_half_an_hour",),
    ),
    Noticed(
        "a pause after many tries is a number without an end",
        waits, "_pause",
        "min(tries, 20)",
        "tries",
        ("test_waits.py::test_a_pause_has_an_end_however_many_tries_there_were",),
    ),
    Noticed(
        "equals are tried again at the same moment",
        waits, "_pause",
        'return spread(seconds, f"{name} {tries}")',
        "return seconds",
        ("test_waits.py::test_equals_do_not_come_at_the_same_moment",),
    ),
    Noticed(
        "the same are late each time",
        waits, "_pause",
        'f"{name} {tries}"',
        "name",
        ("test_waits.py::test_nobody_is_late_each_time",),
    ),
    Noticed(
        "a pause may be shorter than asked",
        waits, "spread",
        "1 + SPREAD * share",
        "1 - SPREAD * share",
        ("test_waits.py::test_a_pause_is_never_shorter_than_asked",
         "test_waits.py::test_who_says_when_to_come_again_is_heeded"),
    ),
    Noticed(
        "a pause may be twice as long as asked",
        waits, "spread",
        "1 + SPREAD * share",
        "1 + share",
        ("test_waits.py::test_a_pause_is_never_shorter_than_asked",),
    ),
    Noticed(
        "what vanished once waits longer than its lease",
        waits, "vanished_pause",
        "vanished <= 1",
        "vanished < 1",
        ("test_waits.py::test_the_pauses_of_what_vanishes_outlast_an_outage_and_the_first_is_the_lease",),
    ),
    Noticed(
        "the pauses of what vanishes do not grow",
        waits, "vanished_pause",
        "lease * 4 ** (vanished - 1)",
        "lease * 4",
        ("test_waits.py::test_the_pauses_of_what_vanishes_outlast_an_outage_and_the_first_is_the_lease",),
    ),
    Noticed(
        "the pauses of what vanishes end before an outage does",
        waits, "vanished_pause",
        "(MAX_VANISHED - 7)",
        "(MAX_VANISHED - 6)",
        ("test_waits.py::test_the_pauses_of_what_vanishes_outlast_an_outage_and_the_first_is_the_lease",),
    ),
    Noticed(
        "what vanishes may run beside a lease that is not over",
        waits, "vanished_pause",
        "return lease + float(",
        "return float(",
        ("test_waits.py::test_what_vanished_waits_for_its_lease_whatever_the_patience",),
    ),
    Noticed(
        "without patience what vanishes does not wait for its lease",
        waits, "vanished_pause",
        "max(outage.total_seconds() / (MAX_VANISHED - 7), lease)",
        "outage.total_seconds() / (MAX_VANISHED - 7)",
        ("test_waits.py::test_what_vanished_waits_for_its_lease_whatever_the_patience",),
    ),
]  # fmt: skip

UNKNOWN = [
    Noticed(
        "when it may have happened first is forgotten",
        waits, "_unknown_since",
        "return before.unknown_since",
        "return now",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
    Noticed(
        "a clean refusal may have happened",
        waits, "_unknown_since",
        "and not is_clean",
        "",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
    Noticed(
        "a lost answer is a clean refusal",
        waits, "_unknown_since",
        "and not error.outcome_unknown",
        "",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
    Noticed(
        "what is held has not happened",
        waits, "_unknown_since",
        "UnavailableError | UnknownOutcomeError",
        "UnavailableError",
        ("test_waits.py::test_since_when_it_may_have_happened_is_remembered",),
    ),
]  # fmt: skip

EXCLUSIVE = [
    Noticed(
        "whoever finds the process reserved is refused at once",
        ProcessLock, "_step_aside",
        "timeout=seconds",
        "timeout=0",
        ("test_exclusive.py::test_all_who_are_inside_are_alone_one_after_the_other",
         "test_delivery.py::TestVanished::test_all_that_vanished_with_a_process_is_done_by_one_delivery_each"),
    ),
    Noticed(
        "whoever waits for a turn is in the way",
        ProcessLock, "_step_aside",
        "self._holders -= 1",
        "self._holders -= 0",
        ("test_exclusive.py::test_a_turn_that_does_not_come_leaves_the_lock_as_it_was",),
    ),
    Noticed(
        "whoever has had no turn holds the lock no more",
        ProcessLock, "_step_aside",
        "self._holders += 1",
        "self._holders += 0",
        ("test_exclusive.py::test_a_turn_that_does_not_come_leaves_the_lock_as_it_was",),
    ),
    Noticed(
        "a turn that does not come is taken",
        ProcessLock, "_step_aside",
        "if not is_free:",
        "if False:",
        ("test_exclusive.py::test_only_one_waits_to_be_alone",),
    ),
    Noticed(
        "nobody waits to be alone",
        delivery._Delivery, "_claim",
        "turn=self.limits.turn",
        "turn=0.0",
        ("test_delivery.py::TestVanished::test_all_that_vanished_with_a_process_is_done_by_one_delivery_each",),
    ),
]  # fmt: skip

STORING = [
    Noticed(
        "what is empty now stays as it was",
        store, "_changed",
        "{**_NOTHING, **_encode(record)}",
        "_encode(record)",
        ("test_wire.py::TestRecord::test_all_of_it_comes_back",),
    ),
    Noticed(
        "an empty field is stored",
        store, "_encode",
        "if value := getattr(record, name):",
        "if (value := getattr(record, name)) is not None:",
        ("test_wire.py::TestRecord::test_an_empty_field_is_not_stored",),
    ),
]  # fmt: skip

READING = [
    Noticed(
        "half a character is read",
        fields, "parse_object",
        "in data:  # the only way",
        "in b'':  # the only way",
        ("test_fields.py::test_what_is_no_object_is_said",),
    ),
    Noticed(
        "a number may be larger than any",
        fields, "_finite",
        "if math.isinf(number):",
        "if False:",
        ("test_fields.py::test_what_is_no_object_is_said",),
    ),
]  # fmt: skip

MUTANTS = [*JUDGING, *PATIENCE, *PAUSES, *UNKNOWN, *EXCLUSIVE, *STORING, *READING]
