"""What the studies make of their tables, against what was planted in them: no worker, and torch only to be probed."""

from __future__ import annotations

import math
import re
import warnings
from collections import ChainMap
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from scipy import stats

from harness.errors import UserError
from harness.scripts.studies import captions, load_script
from harness.study.cells import Case
from harness.verdicts.fastest import fastest
from tests.present import needs_torch

STUDIES = Path("studies")
DTYPES = ("float16", "bfloat16", "float32", "float64")


def script(name: str) -> dict[str, Any]:
    """The names in the script of a study, which lies in no package, and in the modules that its functions come from."""
    loaded: Any = load_script(name, STUDIES)
    return dict(ChainMap(*(function.__globals__ for function in (loaded.summary, *loaded.figures))))


BLOCKMAX, CAPABILITY, INSTRUMENT, MODES, PRECISION, SELECTION, SPEED, TIES, WORKLOADS = (
    script(name)
    for name in (
        "blockmax", "capability", "instrument", "modes", "precision", "selection", "speed", "ties", "workloads",
    )
)  # fmt: skip

USUAL = {"dtype": "float32", "device": "cpu", "n": 1024, "k": 8, "rows": 1, "d": 0, "distribution": "normal"}
USUAL |= {"seed": 0, "mode": "ieee", "transform": "eager", "threads": 1}


NO_MEMORY = pd.DataFrame({"case": [], "method": [], "phase": [], "min_bytes": [], "peak_bytes": []})
"""Of a run whose phases are held to no yardstick."""


def grid(**axes: Sequence[Any]) -> list[dict[str, Any]]:
    """The key of every case of these axes; a case is named by its axes."""
    points = (dict(zip(axes, point, strict=True)) for point in product(*axes.values()))
    return [{"case": str(point)} | USUAL | point for point in points]


def figure_of(case: Mapping[str, Any], tensor: str, reference: str, metric: str, value: float) -> dict[str, Any]:
    told = {"tensor": tensor, "of": "method", "reference": reference, "metric": metric, "value": value}
    return {"method": "native", **case, **told}


def blocks(case: Mapping[str, Any], phase: str, seconds: Mapping[str, Sequence[float]]) -> list[dict[str, Any]]:
    """A block of each method in each launch: method -> its seconds, a number a launch."""
    return [
        {**case, "method": method, "phase": "apply" if method == "read" else phase, "clock": "wall", "launch": launch}
        | {"round": 0, "position": 0, "calls": 1, "seconds": lasts}
        for method, times in seconds.items()
        for launch, lasts in enumerate(times, 1)
    ]


# Shares


@pytest.mark.parametrize("of", [1, 7, 300])
def test_the_interval_of_none_and_of_all_is_the_closed_form(of: int) -> None:
    shares = PRECISION["shares"]
    least = 0.025 ** (1 / of)
    assert shares.interval(0, of) == pytest.approx((0, 1 - least))
    assert shares.interval(of, of) == pytest.approx((least, 1))
    assert shares.at_most(0, of) == pytest.approx(1 - 0.05 ** (1 / of))


def test_bars_reach_from_the_share_to_the_ends_of_its_interval() -> None:
    shares = PRECISION["shares"]
    found, of = pd.Series([0.0, 3.0, 8.0]), pd.Series([8, 9, 8])
    share, (below, above) = shares.with_bars(found, of)
    assert share.tolist() == pytest.approx([0, 1 / 3, 1])
    ends = [shares.interval(int(a), b) for a, b in zip(found, of, strict=True)]
    assert (share - below).tolist() == pytest.approx([low for low, _ in ends])
    assert (share + above).tolist() == pytest.approx([high for _, high in ends])
    assert shares.in_words(17, 18) == "17 of 18 (95 % 72.7..99.9 %)"
    assert shares.in_words(17, 18, "cases") == "17 of 18 cases (95 % 72.7..99.9 %)"
    assert (shares.span([3, 18, 9]), shares.span([18, 18])) == ("3 to 18", "18")


# precision


def errors_of_dx(
    axes: Mapping[str, Sequence[Any]], powers: Mapping[str, float], of_draw: float = 0.3, of_case: float = 0.05
) -> Any:
    """A run in which the error of native's dx is n^a k^b d^c, times a factor of the draw and one of the case.

    of_draw, of_case: standard deviations of their logarithms. In one more case of each dtype an index flipped.
    """
    by_draw, by_case = np.random.default_rng(7), np.random.default_rng(8)
    draws: dict[Any, float] = {}
    rows = []
    for case in grid(**axes):
        law = sum(power * math.log(case[axis]) for axis, power in powers.items())
        draw = case["dtype"], case["n"], case["d"], case["seed"]
        if draw not in draws:
            draws[draw] = by_draw.normal(0, of_draw)
        error = 1e-7 * math.exp(law + draws[draw] + by_case.normal(0, of_case))
        rows += [figure_of(case, "dx", "exact", "rel_l2", error), figure_of(case, "selection", "exact", "flips", 0)]
    for case in grid(**{axis: values[:1] for axis, values in axes.items()} | {"dtype": axes["dtype"]}):
        flipped = case | {"case": f"{case['case']} flipped"}
        rows += [figure_of(flipped, "dx", "exact", "rel_l2", 1e3), figure_of(flipped, "selection", "exact", "flips", 1)]
    return SimpleNamespace(discrepancies=pd.DataFrame(rows))


PLANTED = {"n": 0.1, "k": 0.4, "d": -0.2}
FULL: dict[str, Sequence[Any]] = {"n": (256, 2048, 16384), "k": (8, 32, 128), "d": (16, 64, 256), "seed": (0, 1)}


def test_nineteen_intervals_of_twenty_hold_the_planted_exponent() -> None:
    """Cases of one draw are alike, so that a standard error as of independent ones would hold it in 3 of 4."""
    many = [f"dtype {number}" for number in range(250)]
    found = PRECISION["native_errors"].fitted_exponents(errors_of_dx({"dtype": many, **FULL}, PLANTED))
    assert found.groupby("axis").size().to_dict() == dict.fromkeys(PLANTED, len(many))
    assert (found["draws"] == 18).all()
    truth = found["axis"].map(PLANTED)
    inside = ((found["low"] <= truth) & (truth <= found["high"])).groupby(found["axis"]).mean()
    assert inside.between(0.91, 0.985).all(), inside
    assert found.groupby("axis")["exponent"].mean().to_dict() == pytest.approx(PLANTED, abs=0.01)


@pytest.mark.parametrize(
    ("narrowed", "axes"),
    [
        ({"k": (8,)}, ["n", "d"]),
        ({"n": (256,), "k": (8,)}, ["d"]),
        ({"seed": (0,)}, ["n", "k", "d"]),
        ({"n": (256,), "d": (16,)}, []),  # two draws, two terms
        ({"n": (256,), "d": (16,), "k": (8,)}, []),
        ({"n": (256,), "d": (16,), "k": (8,), "seed": (0,)}, []),
    ],
)
def test_a_narrowed_grid_has_the_exponents_that_it_can(narrowed: Any, axes: list[str]) -> None:
    run = errors_of_dx({"dtype": ("float32",), **FULL, **narrowed}, PLANTED)
    found = PRECISION["native_errors"].fitted_exponents(run)
    assert found["axis"].tolist() == axes
    assert np.isfinite(found[["low", "high"]].to_numpy(dtype=float)).all()
    lines = [line for line in PRECISION["summary"](run) if line.startswith("Data: float32: ")]
    assert len(lines) == 1
    assert ("no exponent" in lines[0]) == (not axes)
    if axes:
        pyplot.close(PRECISION["exponents"](run))
    else:
        with pytest.raises(UserError, match="there is no exponent"):
            PRECISION["exponents"](run)


def test_axes_that_move_together_have_no_exponents_apart() -> None:
    run = errors_of_dx({"dtype": ("float32",), **FULL}, PLANTED)
    rows = run.discrepancies
    together = rows[rows["k"] == rows["n"].map(dict(zip(FULL["n"], FULL["k"], strict=True)))]
    assert PRECISION["native_errors"].fitted_exponents(SimpleNamespace(discrepancies=together)).empty


def test_another_k_of_the_same_draw_makes_no_interval_narrower() -> None:
    lines = []
    for several in ((8,), (8, 32, 128)):
        run = errors_of_dx({"dtype": ("float32",), **FULL, "k": several}, {"n": 0.0}, of_case=0.0)
        lines.append(list(PRECISION["_cost_of_dtypes"](run)))
    assert lines[0] == lines[1]
    logs = np.log(run.discrepancies.query("metric == 'rel_l2' and k == 8 and value < 1")["value"])
    half = stats.t.ppf(0.975, 17) * logs.std() / math.sqrt(18)
    low, high = np.exp([logs.mean() - half, logs.mean() + half])
    assert f"(95 % {low:.2g}..{high:.2g}, 18 draws of W and x)" in lines[0][0]


def test_panels_of_the_agreement_have_the_same_methods() -> None:
    """One that a dtype does not have leaves a blank line: panels share the names beside them."""
    rows = [
        figure_of(case | {"method": method}, tensor, "native", "bit_equal_share", 1.0)
        for case in grid(dtype=("float16", "float32"))
        for method in ("dense", "csr_at", "gather")
        for tensor in ("values", "dy")
        if (case["dtype"], method) != ("float16", "csr_at")
    ]
    figure = PRECISION["agreement"](SimpleNamespace(discrepancies=pd.DataFrame(rows)))
    half, single = figure.axes[:2]
    assert [each.get_text() for each in half.get_yticklabels()] == ["dense", "csr_at", "gather"]
    assert half.collections[0].get_array().mask.tolist() == [[False] * 2, [True] * 2, [False] * 2]
    assert not np.ma.getmaskarray(single.collections[0].get_array()).any()
    pyplot.close(figure)


# selection


def test_nineteen_intervals_of_twenty_hold_the_planted_constant() -> None:
    rng = np.random.default_rng(3)
    rate = np.tile(np.geomspace(1e-3, 10, 40), 5)
    fits = [SELECTION["fitted"](rate, rng.random(rate.size) < 1 - np.exp(-0.7 * rate)) for _ in range(120)]
    inside = np.mean([low <= 0.7 <= high for _, low, high in fits])
    assert 0.91 <= inside <= 0.99
    assert np.median([c for c, _, _ in fits]) == pytest.approx(0.7, rel=0.05)


def test_a_constant_of_all_or_none_has_one_end() -> None:
    """Of N cases of rate r that all flipped, by the likelihood (1 - exp(-c r))^N; of none, exp(-c N r)."""
    rate, level = np.full(20, 0.5), stats.chi2.ppf(0.95, 1) / 2
    _, low, high = SELECTION["fitted"](rate, np.full(20, True))
    assert (low, high) == (pytest.approx(-math.log(1 - math.exp(-level / 20)) / 0.5, rel=1e-3), math.inf)
    _, low, high = SELECTION["fitted"](rate, np.full(20, False))
    assert (low, high) == (0, pytest.approx(level / 10, rel=2e-2))


def selections(flips: float, **axes: Sequence[Any]) -> Any:
    """A run in which every case has so many flips."""
    rows = []
    for case in grid(**axes):
        against = ["exact", "original"] if case["d"] else ["original"]
        for reference in against:
            metrics = {"flips": flips, "tie_group": 1.0, "certified_rows": 0.0, "proved_wrong_rows": 0.0}
            rows += [figure_of(case, "selection", reference, metric, value) for metric, value in metrics.items()]
        rows.append(figure_of(case, "values", "conditional", "rmse", 1e-4 if case["d"] else 0.0))
        error = 0.1 if flips else 1e-8
        rows += [figure_of(case, tensor, "exact", "rel_l2", error) for tensor in ("dy", "dx", "dW") if case["d"]]
    return SimpleNamespace(discrepancies=pd.DataFrame(rows))


NARROWED = {
    "float64": (selections(0, dtype=["float64"], d=[0, 64], seed=range(4)), ["gradient_jump"]),
    "no product": (selections(0, dtype=["float32"], d=[0], seed=range(4)), ["gradient_jump", "certified_share"]),
    "a product alone": (selections(0, dtype=["float32"], d=[64], seed=range(4)), ["gradient_jump"]),
    "all flipped": (selections(2, dtype=["bfloat16"], d=[0, 64], seed=range(4)), []),
    "one flipped": (selections(2, dtype=["bfloat16"], d=[64]), []),
    "no law": (selections(0, d=[64], distribution=["heavy_tailed"]), ["flip_law", "tie_groups", "gradient_jump"]),
}
"""What is left of the study -> the run, and the figures that it lacks."""


@pytest.mark.parametrize("name", NARROWED)
def test_a_narrowed_selection_says_what_there_is(name: str) -> None:
    run, lacking = NARROWED[name]
    lines = list(SELECTION["summary"](run))
    assert [line for line in lines if re.search(r"\b(nan|inf)\b", line)] == []
    rows = run.discrepancies
    told = [line for line in lines if line.startswith("Data: ")]
    if name == "all flipped":
        assert len([line for line in told if re.search(r"4 of 4 cases flipped; c is above \d", line)]) == 2
    elif name == "no law":
        assert told[0].startswith("Data: no case whose scores have a density")
    elif name != "one flipped":
        assert len([line for line in told if "no flip in 4 cases; the law expects" in line]) == rows["d"].nunique()
    said = {}
    for figure in SELECTION["FIGURES"]:
        try:
            pyplot.close(figure(run))
        except UserError as error:
            said[figure.__name__] = str(error)
    assert [*said] == lacking
    assert all(re.fullmatch("there is no .* in this run", message) for message in said.values())


def test_the_law_expects_of_a_cast_another_constant_than_of_a_product() -> None:
    run = selections(0, dtype=["float32"], d=[0, 64], seed=range(10))
    cases = SELECTION["cases_of_law"](run)
    lines = [line for line in SELECTION["summary"](run) if "the law expects" in line and "no flip" in line]
    for line, product_of, c in zip(lines, (False, True), (0.87, 0.56), strict=True):
        rates = cases.loc[(cases["d"] > 0) == product_of, "rate"]
        assert float(line.rpartition(" ")[2].rstrip(".")) == pytest.approx((1 - np.exp(-c * rates)).sum(), rel=0.06)


# instrument


def timed(tool: str, seconds: Mapping[str, Sequence[float]], n: int = 1, effort: float = 1.0) -> list[dict[str, Any]]:
    """Facts of a tool: method -> the logarithm of its time in each unit."""
    rows = []
    for name, times in seconds.items():
        for seed, value in enumerate(times):
            key = {"item": tool, "detail": "quiet", "n": n, "k": 1, "seed": seed, "method": name}
            rows += [key | {"fact": "log_time", "value": value}, key | {"fact": "effort", "value": effort}]
    return rows


TWIN, AGAIN = INSTRUMENT["TWINS"]
FIVE = f"{INSTRUMENT['PLANTED']}slower_5"


def test_comparisons_by_hand() -> None:
    """A duel's unit holds both sides; of the others the head's units come after the base's."""
    times = {TWIN: [0.0, 1.0, 4.0], FIVE: [0.5, 2.0, 8.0]}
    found = INSTRUMENT["comparisons"](pd.DataFrame(timed("duel", times) + timed("pyperf", times)))
    rows = {key: each["log_ratio"].tolist() for key, each in found.groupby(["tool", "units", "planted"])}
    assert rows == {
        ("duel", 1, 0.0): [0.0, 1.0, 4.0],
        ("duel", 1, 0.05): [0.5, 2.0, 8.0],
        ("duel", 2, 0.0): [0.5, 2.5],
        ("duel", 2, 0.05): [1.25, 5.0],
        ("duel", 3, 0.0): [pytest.approx(5 / 3)],
        ("duel", 3, 0.05): [pytest.approx(3.5)],
        ("pyperf", 1, 0.0): [1.0, 3.0],
        ("pyperf", 1, 0.05): [2.0, 7.0],
    }
    assert found.groupby(["tool", "units"])["effort"].first().tolist() == [1.0, 2.0, 3.0, 2.0]


def instrumented(planted: float) -> pd.DataFrame:
    """Facts of a duel whose noise is a hundredth, and of a tool whose noise is ten times that: 3 sizes, 6 units."""
    rng = np.random.default_rng(0)
    rows = []
    for tool, noise in (("duel", 0.01), ("pyperf", 0.1)):
        for n in range(3):
            true = {TWIN: 0.0, AGAIN: 0.0, FIVE: math.log1p(planted)}
            rows += timed(tool, {name: rng.normal(each, noise, 6).tolist() for name, each in true.items()}, n)
    return pd.DataFrame(rows)


def test_what_is_planted_is_found_beside_its_count_and_what_is_not_is_not() -> None:
    found = INSTRUMENT["decisions"](instrumented(0.05)).set_index("tool")
    assert found["reached"].to_dict() == {"duel": True, "pyperf": False}
    assert found.loc["duel", "found"] >= 0.95 * found.loc["duel", "comparisons"] > 0
    nothing = INSTRUMENT["decisions"](instrumented(0.0))
    assert not nothing["reached"].any()
    assert (nothing["found"] < nothing["comparisons"]).all()


def test_rates_count_what_they_are_of() -> None:
    facts = instrumented(0.05)
    rates = INSTRUMENT["rates"](facts)
    assert (rates["detected"] == rates["found"] / rates["comparisons"]).all()
    counts = {tool: each["comparisons"].tolist() for tool, each in rates.groupby("tool")}
    assert counts == {"duel": [18, 15, 12, 9, 6, 3], "pyperf": [15, 9, 3]}
    assert (rates["controls"] == 2 * rates["comparisons"]).all()
    alike = INSTRUMENT["comparisons"](facts).query("planted == 0").merge(rates[["tool", "units", "threshold"]])
    alarms = (alike["log_ratio"] > alike["threshold"]).groupby([alike["tool"], alike["units"]]).agg(["sum", "size"])
    assert (alarms["sum"] <= np.ceil(INSTRUMENT["ALARMS"] * alarms["size"])).all()
    lines = list(INSTRUMENT["summary"](SimpleNamespace(facts=facts)))
    assert re.search(r"duel \d\.\d s, (\d+) of \1 \(95 % \d[\d.]*\.\.100 %\); pyperf not reached", lines[1]), lines[1]


def test_the_noise_of_a_tool_is_the_root_of_the_mean_square_with_an_interval() -> None:
    """Of a standard deviation that was planted: 1 % in each launch of the duel, 10 % on each side of the other."""
    rng = np.random.default_rng(1)
    times = {name: rng.normal(0, 0.01, 100).tolist() for name in (TWIN, AGAIN)}
    others = {name: rng.normal(0, 0.1, 100).tolist() for name in times}
    rows = []
    for n in range(10):  # ten units at each of ten sizes: the comparisons that a size allows grow as their square
        for tool, each in (("duel", times), ("pyperf", others)):
            rows += timed(tool, {name: units[10 * n : 10 * n + 10] for name, units in each.items()}, n)
    found = INSTRUMENT["differences"](pd.DataFrame(rows)).query("units == 1").set_index("tool")
    assert found.loc["duel", "percent"] == pytest.approx(1.0, rel=0.1)
    assert found.loc["pyperf", "percent"] == pytest.approx(100 * math.expm1(0.1 * math.sqrt(2)), rel=0.1)
    few = INSTRUMENT["differences"](pd.DataFrame(timed("duel", {name: each[:6] for name, each in times.items()})))
    assert (few["low"] < few["percent"]).all()
    assert (few["percent"] < few["high"]).all()
    assert few["comparisons"].tolist() == [12, 10, 8, 6, 4, 2]
    assert (few["high"] / few["low"]).is_monotonic_increasing  # the fewer, the less is known


# workloads


def workload(seconds: Mapping[str, Sequence[float]]) -> Any:
    """A run of one case and phase: method -> its seconds, a number a launch."""
    (case,) = grid(n=(64,))
    case |= {"shape": "routing"}
    errors = [figure_of(case | {"method": name}, "dy", "native", "rel_l2", 0.0) for name in seconds if name != "native"]
    memory = [case | {"method": name, "phase": "forward", "min_bytes": 1, "peak_bytes": 2.0**20} for name in seconds]
    timings = pd.DataFrame(blocks(case, "forward", seconds))
    return SimpleNamespace(timings=timings, memory=pd.DataFrame(memory), discrepancies=pd.DataFrame(errors))


def test_what_is_surely_faster_is_recommended_not_what_is_faster_by_chance() -> None:
    run = workload(
        {"native": [1, 1, 1], "gather": [0.2, 2.0, 0.2], "sort": [0.5, 0.501, 0.499], "dense": [0.8, 0.801, 0.799]}
    )
    (row,) = WORKLOADS["recommended"](run).to_dict("records")
    assert (row["take"], row["surely"]) == ("sort", True)
    assert row["speedup"] == pytest.approx(2, rel=1e-3)


def test_without_an_interval_none_is_taken_and_the_fastest_is_told() -> None:
    run = workload({"native": [1.0], "gather": [1 / 3], "sort": [0.5], "dense": [2.0]})
    (row,) = WORKLOADS["recommended"](run).to_dict("records")
    assert (row["take"], row["method"], row["surely"]) == ("native", "gather", False)
    assert math.isnan(row["low"])


def test_the_figures_take_what_the_report_takes() -> None:
    """The phases of a case share one confidence: alone, gather's forward would be surely faster than native."""
    (case,) = grid(n=(64,))
    seconds = {"native": [1.0] * 4, "gather": [0.88, 0.89, 0.94, 0.93], "sort": [0.99, 1.01, 1.0, 1.02]}
    run = workload(seconds)
    assert [row["take"] for row in WORKLOADS["recommended"](run).to_dict("records")] == ["gather"]
    more = [blocks(case | {"shape": "routing"}, phase, seconds) for phase in ("step", "pipeline")]
    run.timings = pd.concat([run.timings, *map(pd.DataFrame, more)], ignore_index=True)
    taken = WORKLOADS["recommended"](run)
    answers = fastest(run.timings).set_index("phase")
    assert taken["take"].tolist() == answers.loc[taken["phase"], "method"].tolist() == ["native"] * 3


# modes


def moded() -> Any:
    """native: compiled 2 times as fast as eager, in half precision 2 times slower; coo is never compiled to a pipeline.

    Whatever runs beside a case makes all of it, a read of y too, up to 10 times slower, and the second launch twice.
    """
    ways = [("ieee", "eager", 4.0, 1), ("ieee", "compile", 2.0, 3), ("autocast-bfloat16", "eager", 8.0, 10)]
    timings, cells, errors = [], [], []
    for case in grid(n=(1024, 32768), threads=(1, 2)):
        for mode, transform, reads, slow in ways:
            mine = case | {"case": f"{case['case']} {mode} {transform}", "mode": mode, "transform": transform}
            seconds = {"native": [1e-3 * reads * slow * each for each in (1, 2)], "read": [1e-3 * slow, 2e-3 * slow]}
            timings += blocks(mine, "pipeline", seconds)
            if transform == "eager":
                timings += blocks(mine, "pipeline", {"coo": [1e-3 * slow, 1e-3 * slow]})
            taken = case["n"] / 1024 * (1 if case["threads"] == 1 else 100) if transform == "compile" else math.nan
            names = ("native", "coo") if transform == "compile" else ("native",)
            cells += [mine | {"method": name, "status": "ok", "reason": "", "compile_seconds": taken} for name in names]
            counted = transform == "eager" and case["threads"] == 1
            errors.append(figure_of(mine, "selection", "exact", "flips", 1.0 if counted else 50.0))
            errors.append(figure_of(mine, "dy", "exact", "rel_l2", 1e-7))
    frames = {"timings": timings, "cells": cells, "discrepancies": errors}
    return SimpleNamespace(**{name: pd.DataFrame(rows) for name, rows in frames.items()})


def test_a_way_is_compared_with_plain_torch_by_reads_of_the_same_launch() -> None:
    found = MODES["_speedups"](moded()).query("method == 'native'")
    assert len(found) == 16
    for way, faster in (("compile", 2.0), ("autocast-bfloat16", 0.5)):
        assert found.loc[found["way"] == way, "speedup"].tolist() == pytest.approx([faster] * 8)


def test_compiling_pays_after_as_many_calls_as_save_its_seconds_at_the_same_size() -> None:
    """32 s; a call of the pipeline takes 6 ms in the middle of the launches, compiled 9 ms."""
    run = moded()
    (line,) = MODES["_payback"](run)
    assert re.fullmatch(r"native, cpu, n = 32768, one thread: .* compiled in 32 s .* save that never\.", line)
    quick = run.timings["transform"].eq("compile")
    run.timings = run.timings.assign(seconds=run.timings["seconds"].where(~quick, run.timings["seconds"] / 3))
    (line,) = MODES["_payback"](run)
    assert line.endswith(f"save that after {32 / (6e-3 - 3e-3):.2g}.")


def test_flips_of_a_mode_are_of_the_rows_that_its_error_is_of() -> None:
    lines = list(MODES["summary"](moded()))
    (plain,) = (line for line in lines if line.startswith("ieee, "))
    assert "largest relative error dy 1.0e-07; 2 flips, 0 entries" in plain


# speed


def test_cells_that_are_surely_faster_and_slower_are_counted() -> None:
    spread = np.array([0.99, 1.0, 1.01, 1.0, 1.0])
    ratios = (0.5, 0.8, 2.0, 1.0)
    timings = [
        row
        for case, ratio in zip(grid(n=(64, 128, 256, 512)), ratios, strict=True)
        for row in blocks(case, "forward", {"native": [1.0] * 5, "gather": (ratio * spread).tolist()})
    ]
    lines = list(SPEED["summary"](SimpleNamespace(timings=pd.DataFrame(timings), memory=NO_MEMORY)))
    assert len(lines) == 2
    assert lines[1].startswith("gather, forward: surely faster than native in 2 of 4 cells, surely slower in 1; ")
    assert "at best 2x (" in lines[1]
    assert "at worst 0.5x (" in lines[1]


def planted_speeds() -> Any:
    """blockmax is 5 times as fast in the forward of the longer y, native the fastest elsewhere, coo half as fast."""
    spread = np.array([0.99, 1.0, 1.01, 1.0, 1.0])
    timings = []
    for case in grid(n=(1024, 262144), k=(8,), d=(8,)):
        gain = 5.0 if case["n"] > 1024 else 0.8
        times = {"native": [1e-4] * 5, "blockmax": (1e-4 / gain * spread).tolist(), "coo": (2e-4 * spread).tolist()}
        timings += blocks(case, "forward", times)
        timings += blocks(case, "backward", times | {"blockmax": (1e-4 * spread).tolist()})
    return SimpleNamespace(timings=pd.DataFrame(timings), memory=NO_MEMORY)


def test_the_first_picture_says_what_to_take_how_much_faster_it_is_and_from_what_to_what() -> None:
    figure = SPEED["which_method"](planted_speeds())
    told = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert told == ["native\n100 µs", "blockmax\n5.0x\n100 µs → 20 µs"]  # and nobody is told about backward alone
    assert "cpu, 1 thread, rows = 1, d = 8, wall clock" in figure.get_suptitle()
    pyplot.close(figure)


def test_the_cost_of_a_matrix_is_a_picture_of_its_own() -> None:
    figure = SPEED["matrices"](planted_speeds())
    assert {text.get_text() for axis in figure.axes for text in axis.texts} == {"coo\n0.50x"}
    figure.draw_without_rendering()
    bar = [tick.get_text() for tick in figure.axes[-1].get_yticklabels()]
    assert (bar[-1], len(bar) >= 3) == ("1x", True)
    pyplot.close(figure)


# blockmax


def test_a_plane_says_how_many_cells_are_surely_faster_and_marks_those_without_an_interval() -> None:
    cases = grid(n=(16384,), k=(10, 100))
    for launches, title, mark in (
        (1, "in 0 of the 0 cells with an interval (2 have none)", "~2.0x"),
        (4, "in 2 of the 2", "2.0x"),
    ):
        spread = np.linspace(0.995, 1.005, launches) if launches > 1 else np.array([1.0])
        times = {"native": [1.0] * launches, "blockmax": (0.5 * spread).tolist()}
        timings = pd.DataFrame([row for case in cases for row in blocks(case, "forward", times)])
        figure = BLOCKMAX["speedup"](SimpleNamespace(timings=timings, memory=NO_MEMORY))
        assert f"surely faster (95 %) {title}" in figure.get_suptitle()
        assert [text.get_text() for text in figure.axes[0].texts][:2] == [mark, mark]
        pyplot.close(figure)


def test_every_contestant_is_drawn_in_reads_on_every_device_by_the_clock_that_comes_first() -> None:
    times = {("cpu", "wall"): (30.0, 3.0), ("cuda", "device"): (20.0, 1.5), ("cuda", "wall"): (25.0, 40.0)}
    rows = []
    for case in grid(device=("cpu", "cuda"), n=(16384, 65536), k=(100, 1000)):
        for (device, clock), (native, blockmax) in times.items():
            if case["device"] == device:
                read = blocks(case, "apply", {"read": [1.0]})
                found = blocks(case, "forward", {"native": [native], "blockmax": [blockmax]})
                rows += [row | {"clock": clock} for row in read + found]
    figure = BLOCKMAX["contestants"](SimpleNamespace(timings=pd.DataFrame(rows)))
    drawn = {
        axis.get_title(): sorted({round(float(y), 9) for line in axis.get_lines() for y in line.get_ydata()} - {1.0})
        for axis in figure.axes
    }
    assert drawn == {"cpu, float32": [3.0, 30.0], "cuda, by the device clock, float32": [1.5, 20.0]}
    assert "top-100" in figure.get_suptitle()
    pyplot.close(figure)


def test_columns_of_the_plane_are_sizes_by_rows_and_none_is_empty() -> None:
    cases = [*grid(n=(16384, 65536), k=(10, 100), rows=(1,)), *grid(n=(16384,), k=(10,), rows=(1024,))]
    timings = [row for case in cases for row in blocks(case, "forward", {"native": [1, 1], "blockmax": [0.5, 0.5]})]
    figure = BLOCKMAX["speedup"](SimpleNamespace(timings=pd.DataFrame(timings), memory=NO_MEMORY))
    axis = figure.axes[0]
    assert [each.get_text() for each in axis.get_xticklabels()] == ["16Ki", "64Ki", "16Ki"]
    assert [text.get_text() for text in axis.texts] == ["~2.0x"] * 5 + ["1 row of n", "1024 rows"]
    pyplot.close(figure)


# ties, capability


def test_where_all_are_selected_there_is_no_case_of_a_rule() -> None:
    """Tables measured before have such rows."""
    key = {"device": "cpu", "dtype": "float32", "rows": 1, "n": 64, "fact": "share_of_lowest", "method": "native"}
    rows = [key | {"k": k, "value": 1.0 if k == 64 else 0.0, "detail": "rows alike"} for k in (1, 2, 64)]
    tables = {"facts": pd.DataFrame(rows), "discrepancies": pd.DataFrame([figure_of(USUAL, "y", "exact", "flips", 0)])}
    lines = list(TIES["summary"](SimpleNamespace(**tables)))
    assert [line for line in lines if "64 k > n" in line] == [
        "cpu, native, 64 k > n: lowest indices win in 0% of 1 cases; mean share of the lowest 0.00."
    ]


@needs_torch
@pytest.mark.parametrize("layout", ["dense", "coo", "csr", "csc", "bsr"])
def test_a_gradient_works_where_it_is_right(layout: str) -> None:
    probe, case = CAPABILITY["_probe"], Case(n=64, k=8)
    right = probe(lambda S, y: S @ y.unsqueeze(1), layout, case)
    assert warnings.filters[0] != ("ignore", None, Warning, None, 0), "every later warning of the process is silenced"
    doubled = probe(lambda S, y: S @ (2 * y - y.detach()).unsqueeze(1), layout, case)
    assert doubled["forward"] == right["forward"]
    if right["gradient of y"][0]:
        assert doubled["gradient of y"] == (False, "wrong gradient")
    if right["gradient of S"][0]:
        none = probe(lambda S, y: S @ y.unsqueeze(1) * 2 - (S.detach() @ y.unsqueeze(1)), layout, case)
        assert none["forward"] == right["forward"]
        assert none["gradient of S"] == (False, "wrong gradient")
    assert right["gradient of y"][0] or layout == "bsr"
    assert right["gradient of S"][0]


# All


@pytest.mark.parametrize("name", sorted(path.stem for path in STUDIES.glob("*.toml")))
def test_every_figure_says_what_it_shows(name: str) -> None:
    assert [each for each, told in captions(name, STUDIES).items() if told == each or not told.endswith(".")] == []
