"""The JSON Schema (draft 2020-12) of what `harness export --to json` writes."""

from __future__ import annotations

from typing import Any

from harness.export.as_json import FORMAT
from harness.study.schema import DIALECT
from harness.tables import verdict_columns
from harness.vocabulary import CLOCKS, STATUSES, VERDICTS

Schema = dict[str, Any]

JSON_TYPES = {int: "integer", float: ["number", "null"], str: "string", bool: "boolean"}


def _text(description: str) -> Schema:
    return {"type": "string", "description": description}


def _number(description: str) -> Schema:
    return {"type": ["number", "null"], "description": f"{description}; null: unknown, NaN or infinite"}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


def _object(properties: Schema, description: str, *, required: bool = True) -> Schema:
    """An object with these keys, all of which are required or none. Further keys are allowed, so that more can come."""
    schema: Schema = {"type": "object", "properties": properties, "description": description}
    return schema | ({"required": sorted(properties)} if required else {})


_COUNTS = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}

_CELL = {
    "case": _text("identity of the case: a digest of its axes"),
    "method": _text("the way to select"),
    "axes": {
        "type": "object",
        "additionalProperties": {"type": ["string", "integer", "number", "boolean"]},
        "required": ["dtype", "device", "n", "k", "rows", "d"],
        "description": "the values that define the case: its axes, and the parameters of the study",
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
    "phase": _text("the phase that was timed"),
    "clock": {"enum": list(CLOCKS), "description": "the clock that timed it"},
    "speedup": _number("how many times as fast as native it is"),
    "low": _number("lower end of the interval over launches (95 %)"),
    "high": _number("upper end of the interval over launches (95 %)"),
    "launches": {"type": "integer", "description": "number of launches behind the interval"},
}

_ANSWER = _SPEEDUP | {
    "fastest": _list(
        {"type": "string"}, "the fastest methods, which cannot be told apart; native unless others are surely faster"
    ),
    "standing": _text("how the method of this row compares with all other methods of the case"),
}

_SIDE = {
    "begin": _text("when the run began, UTC"),
    "end": {"type": ["string", "null"], "description": "when it ended, UTC; null: it has not ended"},
    "commit": _text("commit of the code that was measured; none: unknown"),
    "dirty": {"type": "boolean", "description": "whether that code had uncommitted changes"},
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
    "setting": _text("the device and the clock, where the run has several of them"),
    "statuses": _COUNTS | {"description": "status -> how many cells of this method, in all launches"},
    "errors": _list(
        _object(
            {
                "reference": _text("what the method is compared with"),
                "rel_l2": _number("worst relative error (2-norm) of all cells and tensors"),
                "flips": _number("number of selected indices that the exact answer does not select, over all cells"),
            },
            "the errors against one reference",
        ),
        "one for each reference",
    ),
    "speedups": _list(_object(_SPEEDUP, "one size and phase"), "at the sizes that the closing table shows"),
}


def _side() -> Schema:
    """Where a side comes from. Only a side of a suite has `packages`: those that its tests import."""
    side = _object(_SIDE, "where a side comes from")
    packages = {"type": "object", "additionalProperties": {"type": "string"}, "description": "package -> its version"}
    return side | {"properties": _SIDE | {"packages": packages}}


def _kinds() -> tuple[Schema, ...]:
    """The properties that only one kind of document has: those of a run, of a duel, and of a duel of a suite."""
    judged = {name: {"type": JSON_TYPES[kind], "description": text} for name, (kind, text) in verdict_columns().items()}
    judged["verdict"] |= {"enum": list(VERDICTS)}
    figures = ("base", "head", "ratio", "low", "high", "launches", "verdict", "detectable", "reason")
    suite_judged = {"kind": {"enum": ["time", "test"]}} | {name: judged[name] for name in figures}
    of_a_run = {
        "kind": {"const": "run"},
        "closing": _list(_object(_CLOSING, "a method"), "the closing table, one entry for each method"),
        "answer": _list(_object(_ANSWER, "a case and phase"), "which method to take in each case and phase"),
        "doubts": _list({"type": "string"}, "why some of the times cannot be believed, one sentence each"),
    }
    of_a_duel = {
        "kind": {"const": "duel"},
        "verdicts": _list(_object(_CELL | judged, "a quantity"), "the quantities, the gravest first"),
        "counts": _COUNTS
        | {"propertyNames": {"enum": list(VERDICTS)}, "description": "verdict -> number of quantities"},
        "exit_code": {"type": "integer", "description": "the exit code of `harness duel` without --strict"},
    }
    of_a_suite = {
        "kind": {"const": "suite"},
        "verdicts": _list(_object(_TEST | suite_judged, "a test"), "the tests, the gravest first"),
        "counts": of_a_duel["counts"],
        "exit_code": of_a_duel["exit_code"],
    }
    return of_a_run, of_a_duel, of_a_suite


def results_schema() -> Schema:
    """The schema of the document of a run or of a duel."""
    return {
        "$schema": DIALECT,
        "title": "Results of topk-harness",
        "description": (
            "A run, or a duel of two sides, as `harness export --to json` writes it. Keys may be added; when one "
            "changes or is removed, `format` is raised."
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
                "description": "head, and in a duel also base",
            },
            "statuses": _COUNTS
            | {"propertyNames": {"enum": list(STATUSES)}, "description": "status -> rows of cells.csv"},
        },
        "required": ["format", "kind", "study", "sides", "statuses"],
        "oneOf": [_object(kind, f"the keys that only a {kind['kind']['const']} has") for kind in _kinds()],
    }
