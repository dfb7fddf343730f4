"""A run's times as pytest-benchmark's JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from harness.errors import UserError
from harness.export.of_suite import entry
from harness.export.results import PROJECT, Results, SuiteSide, plain
from harness.tables import Run, clock_words
from harness.verdicts.wording import axes_of, case_name


def benchmark_json(results: Results) -> str:
    """A file that `pytest-benchmark compare` reads, with one benchmark for each timed phase of a cell, or for each test
    of a suite. A duel is exported by its head.

    The rounds of a benchmark are the blocks of all launches, in seconds a call; its iterations are the median number of
    calls of a block. Raises UserError where nothing was timed.
    """
    import pytest_benchmark

    info, timings = results.head.info, results.head.timings
    if timings.empty:
        raise UserError(f"{results.head.path}: this run has no times to export")
    key = ["test"] if isinstance(results.head, SuiteSide) else ["case", "method", "phase", "clock"]
    blocks = timings.groupby(key, sort=False)
    document = {
        "machine_info": _machine_info(info),
        "commit_info": {
            "id": info.get("commit", "none"),
            "time": None,
            "author_time": None,
            "dirty": info.get("dirty", False),
            "project": PROJECT,
            "branch": "(unknown)",
        },
        "benchmarks": [_benchmark(results.head, group) for _, group in blocks],
        "datetime": plain(info["begin"]),
        "version": pytest_benchmark.__version__,
    }
    return json.dumps(document, indent=1) + "\n"


def _machine_info(info: Any) -> dict[str, Any]:
    """The facts of the machine under pytest-benchmark's names. The node is the machine's slug, never a host name."""
    facts, torch = info["machine"], info.get("torch", {})
    return {
        "node": facts["slug"],
        "processor": facts.get("cpu", ""),
        "system": facts.get("os", ""),
        "python_version": torch.get("python", info.get("python", "")),
        "torch_version": torch.get("torch", ""),
        "accelerator": facts.get("accelerator", ""),
        "cpu": {"brand_raw": facts.get("cpu", ""), "count": facts.get("cores")},
    }


def _benchmark(run: Run | SuiteSide, blocks: pd.DataFrame) -> dict[str, Any]:
    """One benchmark, from the blocks of one phase of one cell, or of one test of a suite."""
    from pytest_benchmark.stats import Stats

    first = blocks.head(1).to_dict("records")[0]
    labels = entry(first, int(blocks["launch"].nunique())) if isinstance(run, SuiteSide) else _entry(run, blocks, first)
    stats = Stats()  # type: ignore[no-untyped-call]
    for seconds in blocks["seconds"].tolist():
        stats.update(seconds)  # type: ignore[no-untyped-call]
    own = {"data": stats.data, "iterations": int(blocks["calls"].median())}
    statistics = stats.as_dict() | own  # type: ignore[no-untyped-call]
    return labels | {"options": dict(run.info.get("timing") or {}), "stats": statistics}


def _entry(run: Run, blocks: pd.DataFrame, first: Mapping[Any, Any]) -> dict[str, Any]:
    """The fields of a benchmark beside its statistics, for one phase of one cell."""
    axes = axes_of(first, "phase")
    case, method, phase = case_name(axes), first["method"], first["phase"] + clock_words(blocks)
    return {
        "group": f"{case} {phase}",
        "name": f"{method}[{case} {phase}]",
        "fullname": f"{run.name}/{first['case']}::{method}[{phase}]",
        "params": axes,
        "param": f"{case} {phase}",
        "extra_info": {
            "case": first["case"],
            "method": method,
            "phase": first["phase"],
            "clock": first["clock"],
            "launches": int(blocks["launch"].nunique()),
        },
    }
