"""A JSON Schema (draft 2020-12) of a study file, from which an editor completes words and marks mistakes.

It is derived from the model that reads the file, and adds the registered names. Two kinds of mistakes only the reader
finds: what JSON cannot distinguish (64.0 from 64), and what depends on another key (a value in [[exclude]] that the
study does not have).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from harness.outside_text import PLAIN_WORD
from harness.study.definition import Study
from harness.study.file import Known
from harness.vocabulary import AXES, CACHE, CACHE_STATES, SHAPE, YARDSTICKS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

IMPORT_PATH = r"^[^\s:.][^\s:]*:[^\s:]+$"
"""An import path 'package.module:name', for a method or metric that is not registered."""

SCALAR: Schema = {"type": ["boolean", "number", "string"], "pattern": PLAIN_WORD}


def study_schema(known: Known) -> Schema:
    """The schema of a study that may use the names of `known`."""
    schema = Study.model_json_schema()
    tables: Mapping[str, Schema] = {"": schema, **schema["$defs"]}
    for table in tables.values():
        for key in table["properties"].values():
            _tidy(key)
    schema["properties"]["methods"] |= _some(_name(known.methods))
    tables["Axes"]["properties"]["distribution"] |= _some({"enum": list(known.distributions)})
    tables["Shape"]["properties"]["distribution"] |= _some({"enum": list(known.distributions)})
    tables["Precision"]["properties"]["metrics"] |= _some(_name(known.metrics))
    parameters = _parameters(known.parameters)
    schema["properties"]["parameters"] |= {"properties": parameters, "propertyNames": {"pattern": PLAIN_WORD}}
    schema["properties"]["shapes"]["propertyNames"] = {"pattern": PLAIN_WORD, "minLength": 1}
    excluded = {axis: _bare(tables["Axes"]["properties"][axis]) for axis in AXES}
    excluded["method"] = _some(_name(dict.fromkeys((*known.methods, *YARDSTICKS))))
    excluded |= {SHAPE: _some({"type": "string"}), **parameters}
    schema["properties"]["exclude"]["items"]["properties"] = excluded
    return {
        "$schema": DIALECT,
        **schema,
        "title": "A study",
        "description": "What is measured: axes, methods, how it is timed and compared, and what is left out.",
        "allOf": [_n_is_somewhere(), _only_known_parameters(known.parameters, excluded)],
    }


def _some(item: Schema) -> Schema:
    """A single item, or a list of at least one."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def _name(names: Iterable[str]) -> Schema:
    """One of these names, or an import path."""
    path = {"type": "string", "pattern": IMPORT_PATH, "allOf": [{"pattern": PLAIN_WORD}]}
    return {"anyOf": [{"enum": list(names)}, path]}


def _bare(key: Schema) -> Schema:
    """The schema of a key without its default: a rule of [[exclude]] has no defaults."""
    return {name: value for name, value in key.items() if name != "default"}


def _tidy(key: Schema) -> None:
    """Remove what pydantic adds and TOML has no use for: a title that repeats the name, and None."""
    key.pop("title", None)
    if "anyOf" in key:
        key["anyOf"] = [option for option in key["anyOf"] if option != {"type": "null"}]
    if key.get("default", "") is None:
        del key["default"]
    elif isinstance(key.get("default"), dict):
        key["default"] = {name: value for name, value in key["default"].items() if value is not None}


def _parameters(names: Iterable[str]) -> dict[str, Schema]:
    registered = {name: _some(SCALAR) | {"description": "A parameter of methods or distributions."} for name in names}
    cache = {"description": "What the caches hold when a block begins."}
    return registered | {CACHE: _some({"enum": list(CACHE_STATES)}) | cache}


def _n_is_somewhere() -> Schema:
    """n must be given in [axes], or in every shape."""
    in_axes = {"properties": {"axes": {"required": ["n"]}}}
    in_shapes = {"shapes": {"minProperties": 1, "additionalProperties": {"required": ["n"]}}}
    return {"if": in_axes, "else": {"required": ["shapes"], "properties": in_shapes}}


def _only_known_parameters(parameters: Iterable[str], excluded: Iterable[str]) -> Schema:
    """Without an import path among the methods, unregistered parameters are mistakes.

    A method named by import path may take any parameter; which ones is known only after its import.
    """
    path = {"type": "string", "pattern": ":"}
    imported = {"properties": {"methods": {"anyOf": [path, {"type": "array", "contains": path}]}}}
    keys = {"parameters": parameters, "exclude": excluded}
    named = {key: {"propertyNames": {"enum": list(names)}} for key, names in keys.items()}
    return {"if": imported, "else": {"properties": named | {"exclude": {"items": named["exclude"]}}}}
