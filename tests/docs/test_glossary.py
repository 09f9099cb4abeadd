"""The words of the glossary are the words of the code, and the other way round."""

import re

import pytest

from common import idempotency
from common.idempotency.record import State
from tests.docs.scratch import ROOT

ROW = re.compile(r"^\| ([a-z][a-z ]*?)(?: \(`(\w+)`\))? \| (.+) \|$", re.MULTILINE)
PAGE = (ROOT / "docs" / "glossary.md").read_text()
WORDS = {word: (name, sentence) for word, name, sentence in ROW.findall(PAGE) if word != "word"}
CODE = "\n".join(
    path.read_text()
    for room in ("common", "functions")
    for path in sorted((ROOT / room).rglob("*.py"))
)
PUBLIC = {
    *idempotency.__all__,
    *("Event", "Reminder", "ReminderKind", "Campaign", "Audience"),
    *("Message", "Mailing", "Recipient"),
}
"""The names that a user of the bundle writes in functions/."""


def test_there_is_a_row_for_each_word() -> None:
    assert len(WORDS) == PAGE.count("\n| ") - 2 * PAGE.count("\n| --- |")


@pytest.mark.parametrize("word", WORDS)
def test_a_word_of_the_glossary_is_used_in_the_code(word: str) -> None:
    used = re.sub(r"[_\s]+", " ", CODE).lower()
    assert re.search(rf"\b{word}(s|es)?\b", used)


@pytest.mark.parametrize("name", sorted({name for name, _ in WORDS.values() if name}))
def test_a_name_in_the_glossary_is_declared_in_the_code(name: str) -> None:
    assert re.search(rf"^(?:class |def ){name}\b|^{name} = ", CODE, re.MULTILINE)


def test_the_public_names_are_in_the_glossary() -> None:
    assert {name for name, _ in WORDS.values()} >= PUBLIC


def test_the_states_of_a_record_are_in_the_glossary() -> None:
    assert {state.value for state in State} <= WORDS.keys()


@pytest.mark.parametrize("word", WORDS)
def test_a_word_is_explained_by_one_sentence(word: str) -> None:
    sentence = WORDS[word][1]
    assert sentence.endswith(".")
    assert not re.search(r"\. [A-Z]", sentence)
