"""The types of the values in a study file: lists, counts, shares, seconds, k, memory.

Each type tells pydantic what to accept, and describes the same in the JSON Schema of a study file.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Discriminator, Field, Tag, WithJsonSchema

from harness.outside_text import PLAIN_WORD
from harness.vocabulary import LARGEST_INTEGER, Device

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Value = TypeVar("Value")

SHARE_OF_N = r"all|n/[1-9][0-9]{0,17}"
"""A k that is not written as a number."""

MEMORY_TEXT = r"\s*[0-9]*\.?[0-9]+\s*(([kKmMgGtTpPeE][iI]?)?[bB]([iI][tT])?|[kKmMgGtTpPeE])?\s*"
"""A size with its unit, as pydantic's ByteSize reads it."""


class _AlsoAlone:
    """Makes the JSON Schema of a list accept a single value without brackets too."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        items = handler(core)["items"]
        return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]}


def _as_list(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _without_repeats(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple({(type(value), value): value for value in values}.values())  # by type too: True == 1 == 1.0


def well_formed_k(value: object) -> object:
    """k as it was written. Raises ValueError if it is not a k."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(SHARE_OF_N, value):
        return value
    raise ValueError("k is a number, a fraction of n such as 'n/4', or 'all'")


def _plain(value: Value) -> Value:
    if isinstance(value, str) and not re.match(PLAIN_WORD, value):
        raise ValueError("a word has no control characters, and does not begin with = + - @, unless it is a number")
    return value


def _storable(value: Value) -> Value:
    # pandas drops the rows of a group whose key is NaN, JSON has no infinity, and a column of integers has 64 bits.
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number must be finite")
    if isinstance(value, int) and abs(value) > LARGEST_INTEGER:
        raise ValueError("a whole number must fit in 64 bits")
    return value


def _no_truth(value: Value) -> Value:
    if isinstance(value, bool):  # ByteSize would take it for 0 or 1 byte
        raise ValueError("a size is a number of bytes, or a text such as '4 GiB'")
    return value


Some = Annotated[
    tuple[Value, ...],
    BeforeValidator(_as_list),
    Field(min_length=1),
    AfterValidator(_without_repeats),
    _AlsoAlone(),
]
Word = Annotated[str, AfterValidator(_plain), Field(json_schema_extra={"pattern": PLAIN_WORD})]
"""A word that names something in the tables. A spreadsheet may open these, so it must not look like a formula."""

Scalar = Annotated[
    bool | int | float | str,
    AfterValidator(_plain),
    AfterValidator(_storable),
    Field(json_schema_extra={"pattern": PLAIN_WORD}),
]
"""A value of one of the study's own axes. A text must be as plain as a Word, a number finite, and a whole number must
fit into a column."""

Name = Annotated[Word, Field(min_length=1)]

Positive = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
Natural = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
"""Strict in a table that is not: true and '60' are no seconds."""

K = Annotated[
    int | str,
    BeforeValidator(well_formed_k),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^({SHARE_OF_N})$"}]}),
]
Memory = Annotated[
    ByteSize,
    BeforeValidator(_no_truth),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{MEMORY_TEXT}$"}]}),
]

FOR_ALL, BY_DEVICE = "one number", "a table of devices"
"""The two forms of a limit that may differ between devices: 250 or {cpu = 250, cuda = 100}."""


def _form_of(value: object) -> str:
    return BY_DEVICE if isinstance(value, dict) else FOR_ALL


SecondsByDevice = Annotated[
    Annotated[Seconds, Tag(FOR_ALL)] | Annotated[dict[Device, Seconds], Field(min_length=1), Tag(BY_DEVICE)],
    Discriminator(_form_of),
]
MemoryByDevice = Annotated[
    Annotated[Memory, Tag(FOR_ALL)] | Annotated[dict[Device, Memory], Field(min_length=1), Tag(BY_DEVICE)],
    Discriminator(_form_of),
]
