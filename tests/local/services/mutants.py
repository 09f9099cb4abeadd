"""Mistakes in the local cloud's services, and the tests that notice them."""

from local.services.firestore import fields, filters, limits, listening, orders, transforms
from local.services.firestore.explain import Explanation
from local.services.firestore.listening import Stream
from local.services.firestore.service import Firestore
from local.services.pubsub import subscription
from local.services.tasks.bucket import Bucket
from local.services.tasks.queue import Queue
from local.services.tasks.store import Store
from tests.common.mutants import Noticed

LEFT = "test_a_token_is_counted_from_when_the_task_left_not_from_when_it_was_taken"
LISTENING = "firestore/test_firestore_listening.py"
MUTANTS = [
    Noticed(
        "a token comes back a period after it was taken",
        Bucket, "left",
        "self._left.append(now)",
        "self._left.append(0)",
        (f"tasks/test_tasks_rules.py::{LEFT}",),
    ),
    Noticed(
        "the oldest task is looked for once",
        Store, "add",
        "self._is_oldest_known = self._is_oldest_known and self._oldest is not None",
        "self._is_oldest_known = self._is_oldest_known",
        ("tasks/test_tasks_tasks.py::test_a_task_is_gone_thirty_one_days_after_its_creation",),
    ),
    Noticed(
        "idle does not wait for what a rate holds back",
        Queue, "is_held_back",
        "return is_due and",
        "return False and is_due and",
        (
            "tasks/test_tasks_limits.py"
            "::test_idle_waits_for_what_a_rate_holds_back_and_not_for_what_is_due_later",
        ),
    ),
    Noticed(
        "adding 0.0 to an integer leaves an integer",
        transforms, "_increment",
        "present + added",
        "present + (added or 0)",
        (
            "firestore/test_firestore_writes.py"
            "::test_a_double_is_made_by_adding_one_even_if_it_is_zero",
        ),
    ),
    Noticed(
        "a vector is a map like any other",
        fields, "is_map",
        " and not is_vector(value.map_value.fields)",
        "",
        (
            "firestore/test_firestore_writes.py"
            "::test_what_is_written_below_a_vector_takes_its_place",
        ),
    ),
    Noticed(
        "one key may be asked for beside an inequality",
        filters, "check",
        "if asks_for_keys and",
        "if False and",
        (
            "firestore/test_firestore_queries.py"
            "::test_one_key_is_not_asked_for_beside_an_inequality",
        ),
    ),
    Noticed(
        "an array contains NaN",
        filters, "_contains_any",
        "set(_INCOMPARABLE)",
        "{values.NULL}",
        ("firestore/test_firestore_queries.py::test_no_array_contains_null_or_nan",),
    ),
    Noticed(
        "names order what an inequality orders",
        orders, "completed",
        "if implied and",
        "if False and",
        (
            "firestore/test_firestore_queries.py"
            "::test_names_do_not_order_what_an_inequality_orders",
        ),
    ),
    Noticed(
        "a value has one index entry",
        limits, "_entries",
        "else 2",
        "else 1",
        (
            "firestore/test_firestore_limits.py"
            "::test_a_document_has_at_most_40000_index_entries",
        ),
    ),
    Noticed(
        "missing documents come where they were asked for",
        Firestore, "batch_get_documents",
        "answer[1] is None",
        "0",
        ("firestore/test_firestore_reads.py::test_those_that_are_missing_come_last",),
    ),
    Noticed(
        "what a limit lets in is not told",
        Stream, "_commit",
        "if target.is_cut:",
        "if False:",
        (f"{LISTENING}::test_what_a_limit_lets_in_is_told",),
    ),
    Noticed(
        "a token that is too old is resumed from",
        Stream, "_beginning",
        "elif since is not None:",
        "elif False:",
        (f"{LISTENING}::test_a_token_that_is_too_old_begins_anew",),
    ),
    Noticed(
        "the index of a sum is that of its query",
        Explanation, "_properties",
        "_ascending(self.aggregated - equal - ordered)",
        "_ascending(set())",
        (
            "firestore/test_firestore_state.py"
            "::test_the_index_of_a_sum_holds_the_field_before_the_name",
        ),
    ),
    Noticed(
        "a result that is left is told to nobody",
        listening, "_direct",
        "elif target.known.pop(key, None) is not None:",
        "elif False:",
        (f"{LISTENING}::test_each_commit_is_told_as_what_it_did_to_the_results",),
    ),
    Noticed(
        "a subscription may expire within the day",
        subscription, "_check",
        "proto.expiration_policy.ttl.ToSeconds(), DAY, LONGEST",
        "proto.expiration_policy.ttl.ToSeconds(), 0, LONGEST",
        (
            "pubsub/test_pubsub_contract.py"
            "::test_a_subscription_expires_after_a_day_at_the_earliest",
        ),
    ),
]  # fmt: skip
