"""JSON that is the same text for the same value, and refuses what is not JSON instead of bending it."""

from __future__ import annotations

import json
import math
from typing import Any


class NotJson(ValueError):
    """A value, or a part of it, cannot be written as JSON. The message names the path to it."""


def canonical_json(value: Any) -> str:
    """The value as JSON text: keys sorted, no spaces, text as it is.

    Tuples become arrays. Everything else that JSON does not have is refused, because it would come back as something
    else: NaN and infinities, keys that are not text, bytes, dates, sets, objects of classes, halves of surrogate pairs.

    Raises:
        NotJson: with the path to the part that cannot be written, such as `$.actions[0].args.when`.
    """
    _check(value, "$", 0)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


DEPTH = 64
"""How deeply a value may be nested; the server's limit too."""


def _check(value: Any, path: str, depth: int) -> None:
    if depth > DEPTH:
        raise NotJson(f"{path} is nested more than {DEPTH} levels deep")
    if value is None or isinstance(value, (bool, int)):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise NotJson(f"{path} is {value}, which JSON does not have")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotJson(f"{path} has the key {key!r}, and JSON has only text as keys")
            _check_text(key, f"{path}, key {key!r},")
            _check(item, f"{path}.{key}", depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth + 1)
    else:
        raise NotJson(f"{path} is a {type(value).__module__}.{type(value).__qualname__}, which JSON does not have")


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise NotJson(f"{path} holds half of a surrogate pair, which is no character") from None
    if "\0" in text:
        raise NotJson(f"{path} holds the character NUL, which the server refuses")
