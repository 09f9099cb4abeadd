"""Encodings of values and keys of names sort as the platform sorts."""

import math
from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local.services.firestore import paths, values
from local.services.firestore.messages import Value

numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
ids = texts.filter(lambda text: text and "/" not in text and text not in (".", ".."))
plain = ids.filter(lambda text: not paths.is_reserved(text))


def number(value: Any) -> Any:
    return Value(integer_value=value) if isinstance(value, int) else Value(double_value=value)


def exact(value: Any) -> Any:
    return value if isinstance(value, float) and math.isinf(value) else Fraction(value)


@given(numbers, numbers)
def test_numbers_compare_exactly_whatever_their_type(one: Any, other: Any) -> None:
    encoded = values.encode(number(one)), values.encode(number(other))
    assert (encoded[0] < encoded[1]) == (exact(one) < exact(other))
    assert (encoded[0] == encoded[1]) == (exact(one) == exact(other))


@given(st.lists(texts, max_size=3), st.lists(texts, max_size=3))
def test_arrays_compare_element_by_element(one: Any, other: Any) -> None:
    def encode(items: Any) -> Any:
        return values.encode(Value(array_value={"values": [{"string_value": i} for i in items]}))

    def plainly(items: Any) -> Any:
        return [item.encode() for item in items]

    assert (encode(one) < encode(other)) == (plainly(one) < plainly(other))


@given(texts, texts, texts)
def test_no_encoding_is_the_beginning_of_another(one: Any, other: Any, after: Any) -> None:
    first, second = (values.encode(Value(string_value=text)) for text in (one, other))
    third = values.encode(Value(string_value=after))
    assert (first + third < second + third) == (one.encode() < other.encode())
    assert (values.descending(first) < values.descending(second)) == (second < first)


@given(plain, plain)
def test_what_begins_with_a_key_is_under_it(one: Any, other: Any) -> None:
    keys = [paths.key("projects/p/databases/d", [text]) for text in (one, other)]
    assert keys[1].startswith(keys[0]) == (one == other)
    assert (keys[0] <= keys[1] < keys[0] + paths.AFTER) == (one == other)


@given(st.lists(plain, min_size=1, max_size=4), st.lists(plain, min_size=1, max_size=4))
def test_keys_sort_by_segment_and_a_parent_before_its_children(one: Any, other: Any) -> None:
    keys = [paths.key("projects/p/databases/d", list(part)) for part in (one, other)]
    expected = [part.encode() for part in one] < [part.encode() for part in other]
    assert (keys[0] < keys[1]) == expected


@given(st.lists(plain | st.integers(-(2**63), 2**63 - 1).map("__id{}__".format), max_size=4))
def test_a_key_gives_its_name_back(segments: Any) -> None:
    key = paths.key("projects/p/databases/d", segments)
    assert paths.segments(key) == ["projects/p/databases/d", *segments]
