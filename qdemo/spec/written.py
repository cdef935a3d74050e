"""What is found out about a model's layers as JSON, both ways: one way for every such result."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from qdemo.spec.messages import say

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Result = TypeVar("Result")

SCHEMA = 1
"""Raised whenever a field changes its meaning."""

LONGEST = 10_000_000
"""Characters of a document that is read."""


def as_json(result: object) -> dict[str, object]:
    """A frozen dataclass as JSON-ready values, with the schema and its name in small letters."""
    kind: Any = type(result)
    plain: dict[str, Any] = _adapter(kind).dump_python(result, mode="json")
    return {"schema": SCHEMA, "what": kind.__name__.lower(), **plain}


def as_text(result: object) -> str:
    """The same as text."""
    return json.dumps(as_json(result), allow_nan=False, ensure_ascii=False, indent=1)


def from_text(kind: type[Result], text: str | bytes) -> Result:
    """The result of that kind which a text holds.

    Raises:
        ValueError: it holds none, or one of a later schema.
    """
    name = kind.__name__.lower()
    told = say(
        "expected {kind} as JSON, of schema {schema}; this is none", kind=name, schema=SCHEMA
    )
    if len(text) > LONGEST:
        raise ValueError(told)
    try:
        document = json.loads(text)
        if document.pop("schema") != SCHEMA or document.pop("what") != name:
            raise ValueError
        plain = json.dumps(document, allow_nan=False)
        own: Any = kind
        found: Result = _adapter(own).validate_json(plain, strict=True)
        return found
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ValueError(told) from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # not sooner: what only computes does not need it

    return TypeAdapter(kind)
