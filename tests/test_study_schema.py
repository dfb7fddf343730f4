"""The JSON Schema of a study file: it allows what the reader allows, and nothing else that it can tell."""

from __future__ import annotations

import copy
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from harness.cli import cli
from harness.errors import UserError
from harness.methods import registered
from harness.study.file import parse_study
from harness.vocabulary import AXES
from tests.study_texts import KNOWN, MISSPELT, SCHEMA, SHIPPED, VALID, VALIDATOR, WRONG

BEYOND_JSON = (
    "n = 64.0", "budget_seconds = inf", "width = nan", "seconds = nan", "decimals = [1.5, nan]", "decimals = -inf",
    "width = inf", "decimals = [1, 9223372036854775808]", "decimals = -9223372036854775809",
)  # fmt: skip
"""Last lines of files that are wrong, and not by what JSON is: there 64.0 is 64, and no number is inf, nan or
too long."""


def allowed(text: str) -> bool:
    """Whether the reader takes the text of a study."""
    try:
        parse_study(text, "trial", "trial.toml", KNOWN)
    except UserError:
        return False
    return True


def printed() -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["list", "--schema"])
    assert result.exit_code == 0
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_it_is_a_schema_of_its_dialect_and_knows_what_is_registered() -> None:
    schema = printed()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema)
    names, path = schema["properties"]["methods"]["anyOf"][0]["anyOf"]
    assert names["enum"] == list(registered())
    assert path["pattern"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_study_is_valid(path: Path) -> None:
    Draft202012Validator(printed()).validate(tomllib.loads(path.read_text(encoding="utf-8")))


def keys(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, table in {"": schema, **schema["$defs"]}.items():
        for key, value in table["properties"].items():
            yield f"{name}.{key}", value


def test_every_key_is_described_and_none_by_its_name() -> None:
    described = dict(keys(SCHEMA))
    assert set(described) >= {"Axes.n", "Timing.block_seconds", "Limits.memory", "Gate.error", ".exclude", ".title"}
    assert [name for name, key in described.items() if len(key.get("description", "")) < 10] == []
    assert [name for name, key in described.items() if "title" in key or "null" in json.dumps(key)] == []


@pytest.mark.parametrize("text", [each[0] for each in MISSPELT], ids=[each[1] for each in MISSPELT])
def test_a_misspelt_word_is_wrong(text: str) -> None:
    assert not VALIDATOR.is_valid(tomllib.loads(text))


READABLE = [text for text, words in WRONG if words != ("not TOML",)]


@pytest.mark.parametrize("text", READABLE, ids=lambda text: text.splitlines()[-1])
def test_a_wrong_value_is_wrong_but_for_what_json_cannot_tell(text: str) -> None:
    assert VALIDATOR.is_valid(tomllib.loads(text)) == (text.splitlines()[-1] in BEYOND_JSON)


RIGHT = [
    VALID,
    VALID.replace("dense", "my_package.my_module:method") + "[parameters]\nparts = [2, 4]\n[[exclude]]\nparts = 2",
    VALID.replace('["native", "dense"]', '"native"'),
    VALID + 'k = [1, "n/4", "all", 0]',
    VALID + '[limits]\nmemory = "1.5 MiB"',
    VALID + "[limits]\nmemory = 1000",
    VALID + '[parameters]\ndecimals = [1, 2.5, "x", true]\ncache = ["warm", "cold"]',
    VALID + '[[exclude]]\nmethod = ["dense", "copy"]\nn = 64\n[[exclude]]\nk = "n/4"',
    VALID.replace("n = 64", "")
    + '[shapes.wide]\nn = 64\n[shapes.deep]\nn = [8, 16]\nk = 2\n[[exclude]]\nshape = "deep"',
    VALID + "[timing]\nwidth = 0.1\nblock_seconds = 1\nfresh_memory = false",
]


@pytest.mark.parametrize("text", RIGHT, ids=lambda text: text.splitlines()[-1])
def test_what_is_right_is_right_for_both(text: str) -> None:
    assert allowed(text)
    VALIDATOR.validate(tomllib.loads(text))


@pytest.mark.parametrize("text", ["[shapes.wide]\nk = 2", "[shapes.wide]\nn = 2\n[shapes.deep]\nk = 2", "[shapes]"])
def test_n_is_needed_in_axes_or_in_every_shape(text: str) -> None:
    without = VALID.replace("n = 64", "") + text
    assert not allowed(without)
    assert not VALIDATOR.is_valid(tomllib.loads(without))


def test_a_parameter_that_nothing_takes_is_wrong_unless_a_method_is_imported() -> None:
    text = VALID + "[parameters]\nparts = 2"
    for each in (text, text.replace('"dense"', '"a.b:c"'), text.replace('["native", "dense"]', '"a.b:c"')):
        assert VALIDATOR.is_valid(tomllib.loads(each)) == allowed(each) == (each != text)


START: dict[str, Any] = {
    "title": "Trial",
    "methods": ["native", "dense"],
    "axes": {"n": [64], "k": 4},
    "shapes": {"wide": {"n": 128}},
    "parameters": {"decimals": 1},
    "timing": {"rounds": 2},
    "instructions": {"launches": 2},
    "precision": {"loss": "square"},
    "limits": {"memory": "1 GiB"},
    "gate": {"time": 0.5},
}
TABLES = ["", *(name for name, value in START.items() if isinstance(value, dict) and name != "shapes"), "shapes.wide"]
WORDS = [
    "title",
    "methods",
    "phases",
    "axes",
    "shapes",
    "parameters",
    "timing",
    "instructions",
    "precision",
    "limits",
    "gate",
    "decimals",
    "cache",
    "memory",
    "seconds",
    "time",
    "error",
    "width",
    "rounds",
    "launches",
    "block_seconds",
    "budget_seconds",
    "fresh_memory",
    "tensors",
    "references",
    "metrics",
    "loss",
    "wide",
    "misspelt",
]
VALUES = [
    -1, 0, 1, 64, 2**63 - 1, 2**63, 0.5, -0.5, 1.5, True, False, "", "all", "n/4", "n/0", "n/04", " n/4", "half",
    "native", "dense", "dnese", "a.b:c", "float32", "cpu", "ieee", "eager", "normal", "forward", "rel_l2", "values",
    "exact", "square", "warm", "4 GiB", "4gib", "1.5 kb", ".5 MB", "12", "8 bit", "4 Gigs", "4 ib", "-4 GiB", "4 GiB ",
    "1 e",
]  # fmt: skip
"""No number is whole and written with a point, since JSON has no other."""


def toml(document: dict[str, Any]) -> str:
    """A document of tables of values as TOML; what JSON says of a word, a number and a list TOML says too."""

    def lines(table: dict[str, Any], name: str) -> Iterator[str]:
        if name:
            yield f"[{name}]"
        inner = {key: value for key, value in table.items() if isinstance(value, dict)}
        yield from (f"{key} = {json.dumps(value)}" for key, value in table.items() if key not in inner)
        for key, value in inner.items():
            yield from lines(value, f"{name}.{key}" if name else key)

    return "\n".join(lines(document, ""))


@given(
    st.sampled_from(TABLES),
    st.sampled_from([*AXES, *WORDS]),
    st.one_of(st.sampled_from(VALUES), st.lists(st.sampled_from(VALUES), max_size=3), st.just({})),
)
@settings(max_examples=300)
@example("axes", "k", ["n/4", 2**63])
@example("limits", "memory", 2**63)
def test_a_study_with_any_one_value_is_right_for_both_or_for_neither(table: str, key: str, value: Any) -> None:
    changed = copy.deepcopy(START)
    place = changed
    for name in filter(None, table.split(".")):
        place = place[name]
    place[key] = value
    text = toml(changed)
    read = tomllib.loads(text)
    assert read == changed
    assert VALIDATOR.is_valid(read) == allowed(text), text


@given(st.lists(st.sampled_from([*AXES, *WORDS, "methods"]), min_size=1, max_size=3))
def test_a_study_that_lacks_keys_is_right_for_both_or_for_neither(gone: list[str]) -> None:
    kept = {key: value for key, value in START.items() if key not in gone}
    kept = {
        key: {name: each for name, each in value.items() if name not in gone} if isinstance(value, dict) else value
        for key, value in kept.items()
    }
    text = toml(kept)
    assert VALIDATOR.is_valid(tomllib.loads(text)) == allowed(text), text


def test_the_numbers_that_are_tried_are_none_that_json_cannot_tell() -> None:
    floats = [each for each in VALUES if isinstance(each, float)]
    assert not any(each.is_integer() or math.isnan(each) for each in floats)
