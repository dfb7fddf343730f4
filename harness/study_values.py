"""What a value of a study file may be: alone or in a list, a count, a share, seconds, k, memory.

Each says to pydantic what is allowed, and to the JSON Schema of a study file what an editor may be told of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ByteSize, Field, WithJsonSchema

from harness.vocabulary import LARGEST_INTEGER

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

Scalar = bool | int | float | str

Value = TypeVar("Value")

SHARE_OF_N = r"all|n/[1-9][0-9]{0,17}"
"""A k that is not a number."""

MEMORY_TEXT = r"\s*[0-9]*\.?[0-9]+\s*(([kKmMgGtTpPeE][iI]?)?[bB]([iI][tT])?|[kKmMgGtTpPeE])?\s*"
"""A size with its unit, as ByteSize reads it."""


class _AlsoAlone:
    """In the JSON Schema of a list: a single value may stand without its brackets."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        items = handler(core)["items"]
        return {"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]}


def _as_list(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _without_repeats(values: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple({(type(each), each): each for each in values}.values())  # True is not 1


def well_formed_k(value: object) -> object:
    """k as it was written; raises ValueError where it is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(SHARE_OF_N, value):
        return value
    raise ValueError("k is a number, a fraction of n such as 'n/4', or 'all'")


Some = Annotated[
    tuple[Value, ...],
    BeforeValidator(_as_list),
    Field(min_length=1),
    AfterValidator(_without_repeats),
    _AlsoAlone(),
]
Positive = Annotated[int, Field(ge=1, le=LARGEST_INTEGER)]
Natural = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Share = Annotated[float, Field(gt=0, lt=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
K = Annotated[
    int | str,
    BeforeValidator(well_formed_k),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^({SHARE_OF_N})$"}]}),
]
Memory = Annotated[
    ByteSize,
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": f"^{MEMORY_TEXT}$"}]}),
]
