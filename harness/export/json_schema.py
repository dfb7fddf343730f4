"""The JSON Schema (draft 2020-12) of what `harness export --to json` writes."""

from __future__ import annotations

from typing import Any

from harness.export.as_json import FORMAT
from harness.tables import verdict_columns
from harness.vocabulary import CLOCKS, STATUSES, VERDICTS

Schema = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"

JSON_TYPES = {int: "integer", float: ["number", "null"], str: "string", bool: "boolean"}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _number(description: str) -> Schema:
    return {"type": ["number", "null"], "description": f"{description}; null: unknown, NaN or infinite"}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


def _object(properties: Schema, description: str, *, required: bool = True) -> Schema:
    """An object that has all of these keys, unless they are not required, and later maybe more."""
    told: Schema = {"type": "object", "properties": properties, "description": description}
    return told | ({"required": sorted(properties)} if required else {})


_COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}

_CELL = {
    "case": _text("identity of the case: a digest of its axes"),
    "method": _text("the way to select"),
    "axes": {
        "type": "object",
        "additionalProperties": {"type": ["string", "integer", "number", "boolean"]},
        "required": ["dtype", "device", "n", "k", "rows", "d"],
        "description": "what the case is: its axes, and the parameters of the study",
    },
}

_TEST = {
    "test": _text("the id that pytest gives to the test"),
    "parameters": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "description": "the parameters of the test",
    },
}

_SPEEDUP = _CELL | {
    "phase": _text("what was timed"),
    "clock": {"enum": list(CLOCKS), "description": "by which clock"},
    "speedup": _number("how many times as fast as native"),
    "low": _number("lower end of the interval over launches (95 %)"),
    "high": _number("upper end of the interval over launches (95 %)"),
    "launches": {"type": "integer", "description": "launches that the interval is of"},
}

_ANSWER = _SPEEDUP | {
    "fastest": _list({"type": "string"}, "the fastest methods, not told apart; native unless others are surely faster"),
    "standing": _text("how the method of this row stands among all methods of the case"),
}

_SIDE = {
    "begin": _text("when the run began, UTC"),
    "end": {"type": ["string", "null"], "description": "when it ended, UTC; null: it has not"},
    "commit": _text("commit of the code that was measured; none: unknown"),
    "dirty": {"type": "boolean", "description": "whether that code had changes which are in no commit"},
    "harness": _object(
        {"version": _text("its version"), "commit": _text("its commit"), "dirty": {"type": "boolean"}},
        "the harness that measured; empty in a run of an earlier version",
        required=False,
    ),
    "machine": _text("name of the machine's folder of results"),
    "torch": _text("version of torch"),
}

_CLOSING = {
    "method": _text("the way to select"),
    "setting": _text("the device and the clock, where the run has several"),
    "statuses": _COUNTS | {"description": "status -> how many cells of this method, in all launches"},
    "errors": _list(
        _object(
            {
                "reference": _text("what is compared with"),
                "rel_l2": _number("worst relative error (2-norm) of all cells and tensors"),
                "flips": _number("selected indices that the exact answer does not select, of all cells together"),
            },
            "the errors against one reference",
        ),
        "one for each reference",
    ),
    "speedups": _list(_object(_SPEEDUP, "one size and phase"), "at the sizes that the closing table shows"),
}


def _side() -> Schema:
    """Where a side comes from; only that of a suite says of which packages its tests import which versions."""
    told = _object(_SIDE, "where a side comes from")
    packages = {"type": "object", "additionalProperties": {"type": "string"}, "description": "package -> its version"}
    return told | {"properties": _SIDE | {"packages": packages}}


def results_schema() -> Schema:
    """The schema of the document of a run or of a duel."""
    judged = {name: {"type": JSON_TYPES[kind], "description": told} for name, (kind, told) in verdict_columns().items()}
    judged["verdict"] |= {"enum": list(VERDICTS)}
    figures = ("base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason")
    suite_judged = {"kind": {"enum": ["time", "test"]}} | {name: judged[name] for name in figures}
    of_a_run = {
        "kind": {"const": "run"},
        "closing": _list(_object(_CLOSING, "a method"), "the closing table, a method each"),
        "answer": _list(_object(_ANSWER, "a case and phase"), "which method to take in each case and phase"),
        "doubts": _list({"type": "string"}, "what of the times cannot be believed, in words"),
    }
    of_a_duel = {
        "kind": {"const": "duel"},
        "verdicts": _list(_object(_CELL | judged, "a quantity"), "the quantities, the gravest first"),
        "counts": _COUNTS | {"propertyNames": {"enum": list(VERDICTS)}, "description": "verdict -> how many"},
        "exit_code": {"type": "integer", "description": "what `harness duel` ends with, without --strict"},
    }
    of_a_suite = {
        "kind": {"const": "suite"},
        "verdicts": _list(_object(_TEST | suite_judged, "a test"), "the tests, the gravest first"),
        "counts": of_a_duel["counts"],
        "exit_code": of_a_duel["exit_code"],
    }
    return {
        "$schema": DIALECT,
        "title": "Results of topk-harness",
        "description": (
            "A run, or a duel of two sides, as `harness export --to json` writes it. Keys may be added; when one "
            "changes or goes, `format` is raised."
        ),
        "type": "object",
        "properties": {
            "format": {"const": FORMAT, "description": "version of this schema"},
            "kind": {"enum": ["run", "duel", "suite"]},
            "study": _text("name of the study, or the path of the suite"),
            "sides": {
                "type": "object",
                "additionalProperties": _side(),
                "required": ["head"],
                "description": "head, and of a duel base",
            },
            "statuses": _COUNTS
            | {"propertyNames": {"enum": list(STATUSES)}, "description": "status -> rows of cells.csv"},
        },
        "required": ["format", "kind", "study", "sides", "statuses"],
        "oneOf": [
            _object(each, f"what only a {each['kind']['const']} has") for each in (of_a_run, of_a_duel, of_a_suite)
        ],
    }
