"""Mistakes in erasing, and the tests that notice them."""

from common.cloud import firestore
from common.people import erasing, marks, personal_data
from tests.common.mutants import Noticed

SECRET = "test_erasing.py::test_nothing_that_is_known_of_a_person_is_left"
NOT_WRITTEN = "test_marks.py::test_what_was_computed_before_an_erasure_is_not_written_after"
OLDER = "test_marks.py::TestLifting::test_an_older_one_lifts_nothing"
MUTANTS = [
    Noticed(
        "an erasure that comes in between is not noticed",
        marks.Found, "unless_erased",
        "[Absent(path=mark.path) for mark in self.marks]",
        "[]",
        (NOT_WRITTEN,),
    ),
    Noticed(
        "the first erasure that comes in between is not noticed",
        marks, "read",
        "return Found(marks=[key], others",
        "return Found(marks=[], others",
        (NOT_WRITTEN,),
    ),
    Noticed(
        "who is erased is written about",
        marks.Found, "unless_erased",
        "if self.is_erased:",
        "if False:",
        ("test_marks.py::test_of_whom_is_erased_nothing_is_computed",),
    ),
    Noticed(
        "the key of another database is used",
        marks, "read",
        "if used == _known:",
        "if used:",
        ("test_marks.py::test_the_marks_of_two_databases_have_nothing_in_common",),
    ),
    Noticed(
        "an address in other letters is another one",
        marks, "normalised",
        ".casefold()",
        "",
        ("test_marks.py::test_an_address_is_the_same_however_its_letters_are_written",),
    ),
    Noticed(
        "any sign-up lifts a mark",
        marks, "_lifted",
        "since is None or since <= mark.update_time",
        "False",
        (OLDER,),
    ),
    Noticed(
        "a sign-up of an unknown time lifts a mark",
        marks, "_lifted",
        "since is None or since <= mark.update_time",
        "since is not None and since <= mark.update_time",
        (OLDER,),
    ),
    Noticed(
        "a sign-up lifts an erasure that it has not seen",
        marks, "_lifted",
        "Delete(path=mark.path, update_time=mark.update_time)",
        "Delete(path=mark.path)",
        ("test_marks.py::TestLifting::"
         "test_one_that_was_read_before_another_erasure_lifts_nothing",),
    ),
    Noticed(
        "the mark comes after the pause",
        erasing, "erase",
        "    number = marks.mark(user_id, data.addresses(user_id))\n    wait(pause)\n",
        "    wait(pause)\n    number = marks.mark(user_id, data.addresses(user_id))\n",
        ("test_erasing.py::"
         "test_the_mark_is_there_before_anything_is_deleted_and_a_lease_passes",),
    ),
    Noticed(
        "only a page is erased",
        firestore, "pages",
        "after = page[-1].path",
        "return\n        after = page[-1].path",
        ("test_erasing.py::test_more_than_a_page_is_found",),
    ),
    Noticed(
        "everybody's is erased",
        erasing, "_pages",
        "[] if held.user_field is None else",
        "[] if True else",
        ("test_erasing.py::test_what_others_have_is_left_as_it_is",),
    ),
    Noticed(
        "what changes meanwhile stays",
        erasing, "_cleared",
        "except RefusedError:",
        "except RefusedError:\n            return 0",
        ("test_erasing.py::test_what_changes_meanwhile_is_erased_as_it_is_then",),
    ),
    Noticed(
        "a field that nobody has thought of stays",
        erasing, "_write",
        "if name not in held.keeps and name not in new",
        'if name in ("payload", "error")',
        (SECRET,),
    ),
    Noticed(
        "a name with a dot in it is a path",
        erasing, "_write",
        "render_path((name,))",
        "name",
        ("test_erasing.py::test_a_field_of_any_name_is_removed",),
    ),
    Noticed(
        "a second erasure strips again",
        erasing, "_write",
        "if found.data.get(name, ...) != value",
        "",
        ("test_erasing.py::"
         "test_a_report_says_what_was_found_and_a_second_run_finds_nothing_more",),
    ),
    Noticed(
        "work that waits goes on",
        personal_data, "_settled",
        '"state": "done", ',
        "",
        ("test_erasing.py::test_work_that_waits_is_settled",),
    ),
    Noticed(
        "work that was given up is done",
        personal_data, "_settled",
        'record.get("state") in ("done", "dead")',
        "False",
        ("test_erasing.py::test_work_that_was_given_up_stays_given_up",),
    ),
]  # fmt: skip
