"""A run or a duel as JSON for programs: the figures of its closing table and its answer, or its verdicts.

`harness list --schema results` describes the document (harness/export/json_schema.py). As long as `format` is the
same, keys may be added, but none is renamed, removed or given another meaning.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from harness.export.of_suite import id_and_parameters
from harness.export.results import Results, SuiteSide
from harness.report.closing import worst_launch
from harness.report.doubts import doubts
from harness.report.sizes import by_size
from harness.tables import Run, by_device
from harness.verdicts.answers import answer
from harness.verdicts.comparison import counts, exit_code
from harness.verdicts.fastest import TOGETHER
from harness.verdicts.plausible import believed
from harness.verdicts.wording import axes_of
from harness.vocabulary import YARDSTICKS

FORMAT = 1
"""The version of the document: raised when a key is removed or changes its meaning, type or name."""

INTERVAL = ("speedup", "low", "high")


def json_text(results: Results) -> str:
    """The document as text that ends with a line break."""
    return json.dumps(document(results), indent=1, allow_nan=False) + "\n"


def document(results: Results) -> dict[str, Any]:
    """The document as Python values. A number that is NaN or infinite becomes None, because JSON has neither."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "kind": "run" if results.verdicts is None else "suite" if isinstance(results.head, SuiteSide) else "duel",
        "study": results.head.name,
        "sides": {side or "head": _provenance(run) for side, run in results.sides.items()},
        "statuses": _counted(results.head.cells["status"]),
    }
    if results.verdicts is None:
        assert isinstance(results.head, Run)  # a suite is measured in duels only
        content["closing"] = [row for part in by_device(results.head) for row in _closing(part)]
        content["answer"] = list(_answers(results.head))
        content["doubts"] = list(doubts(results.head))
    else:
        content["verdicts"] = [_verdict(row) for row in results.verdicts.to_dict("records")]
        content["counts"] = counts(results.verdicts)
        content["exit_code"] = exit_code(results.verdicts, results.head.cells, strict=False)
    return content


def _provenance(run: Run | SuiteSide) -> dict[str, Any]:
    """When, where and from which code a side was measured."""
    info = run.info
    packages = {"packages": dict(info["packages"])} if isinstance(run, SuiteSide) else {}
    return {
        "begin": info["begin"],
        "end": info["end"],
        "commit": info.get("commit", "none"),
        "dirty": info.get("dirty", False),
        "harness": dict(info.get("harness", {})),
        "machine": info["machine"]["slug"],
        "torch": info.get("torch", {}).get("torch", ""),
        **packages,
    }


def _closing(run: Run) -> Iterator[dict[str, Any]]:
    """The rows of the closing table of one device and clock, with its speed-ups as numbers, at the same sizes."""
    timings = believed(run)
    speed = None if timings.empty else by_size(timings)
    shown = pd.concat(speed.shown) if speed and speed.shown else pd.DataFrame({"method": []})
    errors = worst_launch(run.discrepancies[run.discrepancies["of"] == "method"])
    for method in (name for name in run.cells["method"].unique() if name not in YARDSTICKS):
        yield {
            "method": method,
            "setting": run.setting,
            "statuses": _counted(run.cells.loc[run.cells["method"] == method, "status"]),
            "errors": list(_errors(errors[errors["method"] == method])),
            "speedups": [_speedup(row) for row in shown[shown["method"] == method].to_dict("records")],
        }


def _errors(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """For each reference the worst relative error of all cells, NaN being the worst, and the sum of the flips."""
    for reference, own in rows.groupby("reference", sort=False):
        worst, flips = (own.loc[own["metric"] == metric, "value"] for metric in ("rel_l2", "flips"))
        yield {
            "reference": reference,
            "rel_l2": _number(worst.max(skipna=False)) if len(worst) else None,
            "flips": _number(flips.sum(skipna=False)) if len(flips) else None,
        }


def _answers(run: Run) -> Iterator[dict[str, Any]]:
    for row in answer(run).to_dict("records"):
        yield _speedup(row) | {"fastest": row["fastest"].split(TOGETHER), "standing": row["standing"]}


def _speedup(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A speed-up over native with its interval, whose ends are None with fewer than three launches."""
    return _cell(row, "phase") | _picked(row, ("phase", "clock", *INTERVAL, "launches"))


def _verdict(row: Mapping[Any, Any]) -> dict[str, Any]:
    names = list(row)
    quantity = id_and_parameters(row) if "test" in row else _cell(row, "kind")
    return quantity | _picked(row, names[names.index("kind") :])


def _cell(row: Mapping[Any, Any], first: str) -> dict[str, Any]:
    return {"case": row["case"], "method": row["method"], "axes": axes_of(row, first)}


def _picked(row: Mapping[Any, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: _number(row[name]) if isinstance(row[name], float) else row[name] for name in names}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _counted(statuses: pd.Series) -> dict[str, int]:
    return {str(status): int(count) for status, count in statuses.value_counts().items()}
