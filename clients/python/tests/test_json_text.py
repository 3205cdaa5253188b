"""Canonical JSON: the same text for the same value, and a path to whatever JSON does not have."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pmbot.json_text import NotJson, canonical_json

texts = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\0"))
scalars = some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False, allow_infinity=False) | texts
values = some.recursive(scalars, lambda inner: some.lists(inner) | some.dictionaries(texts, inner), max_leaves=30)


@given(values)
def test_every_json_value_comes_back(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(some.dictionaries(texts, scalars))
def test_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


def test_form() -> None:
    value = {"b": [1, 2.5, None, True], "a": "ü €", "c": (1, 2)}
    assert canonical_json(value) == '{"a":"ü €","b":[1,2.5,null,true],"c":[1,2]}'


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": [1, {"b": float("nan")}]}, r"\$\.a\[1\]\.b is nan"),
        ([float("-inf")], r"\$\[0\] is -inf"),
        ({"a": {1: 2}}, r"\$\.a has the key 1"),
        ({"when": datetime.date(2026, 1, 1)}, r"\$\.when is a datetime\.date"),
        ({"a": b"x"}, r"\$\.a is a builtins\.bytes"),
        ({"a": {"x"}}, r"\$\.a is a builtins\.set"),
        (["\ud800"], r"\$\[0\] holds half of a surrogate"),
        ({"\udfff": 1}, r"holds half of a surrogate"),
        (["a\0b"], r"\$\[0\] holds the character NUL"),
    ],
)
def test_what_json_does_not_have_is_named(value: Any, path: str) -> None:
    with pytest.raises(NotJson, match=path):
        canonical_json(value)


def test_depth_is_bounded() -> None:
    value: Any = 1
    for _ in range(64):
        value = [value]
    canonical_json(value)
    with pytest.raises(NotJson, match="levels deep"):
        canonical_json([value])
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotJson, match="levels deep"):
        canonical_json(endless)
