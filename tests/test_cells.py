"""A study as cases and cells: which there are, what is said of those that are not, their identity and their bytes."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from harness.errors import UserError
from harness.planning.loading import plan_of
from harness.study.cells import Case, cases, resolve_k
from harness.study.definition import Study
from harness.study.file import narrow
from harness.vocabulary import AXES

WriteStudy = Callable[[str], Study]

HEAD = 'title = "Trial"\nmethods = ["native", "dense"]\n'


@pytest.mark.parametrize(
    ("k", "n", "number"),
    [
        (5, 3, 5),
        (0, 3, 0),
        ("all", 7, 7),
        ("n/1", 7, 7),
        ("n/4", 8, 2),
        ("n/4", 7, 1),
        ("n/4", 3, 0),
        ("n/16", 1000, 62),
        ("n/10", 10**15 + 9, 10**14),
    ],
)
def test_k_is_a_number_a_floored_fraction_of_n_or_all(k: int | str, n: int, number: int) -> None:
    assert resolve_k(k, n) == number


def test_k_of_zero_or_over_n_is_dropped_equal_ones_are_merged_and_both_are_said(write_study: WriteStudy) -> None:
    study = write_study(HEAD + '[axes]\nn = [3, 8]\nk = [0, 2, "n/4", 5, "all", 8]\nd = 2')
    assert [(case.n, case.k) for case in cases(study)] == [(3, 2), (3, 3), (8, 2), (8, 5), (8, 8)]
    assert plan_of(study).notes == [
        "n = 3: k = 0 is 0, dropped (1 <= k <= n)",
        "n = 3: k = n/4 is 0, dropped (1 <= k <= n)",
        "n = 3: k = 5 is 5, dropped (1 <= k <= n)",
        "n = 3: k = 8 is 8, dropped (1 <= k <= n)",
        "n = 8: k = 0 is 0, dropped (1 <= k <= n)",
        "n = 8: 2 values of k are 2, merged",
        "n = 8: 2 values of k are 8, merged",
    ]


def test_cases_of_the_same_draw_follow_each_other(write_study: WriteStudy) -> None:
    axes = 'dtype = ["float16", "float32"]\nn = [8, 16]\nk = [1, 2]\nrows = [1, 2]\nd = [0, 3]\nseed = [0, 1]\n'
    made = list(cases(write_study(HEAD + "[axes]\n" + axes)))
    draws = [key for key, _ in itertools.groupby((case.n, case.rows, case.d, case.seed) for case in made)]
    assert len(made) == 4 * len(draws) == 4 * len(set(draws))


def test_where_every_k_gives_a_case_of_its_own_there_is_nothing_to_say(write_study: WriteStudy) -> None:
    assert plan_of(write_study(HEAD + '[axes]\nn = [4, 8]\nk = [1, "all"]\nd = 2')).notes == []


def test_a_method_that_needs_weights_is_dropped_without_them_and_it_is_said(write_study: WriteStudy) -> None:
    study = write_study(HEAD.replace("dense", "fused") + "[axes]\nn = 4\nk = 1\nd = [0, 2]")
    plan = plan_of(study)
    assert {case.d: [cell.method for cell in cells] for case, cells in plan} == {0: ["native"], 2: ["native", "fused"]}
    assert plan.notes == ["d = 0: fused has no phase that works without W and x, dropped"]


def test_what_a_transform_leaves_nothing_to_do_is_dropped_and_it_is_said(write_study: WriteStudy) -> None:
    study = write_study(
        HEAD.replace("dense", "fused")
        + '[axes]\nn = 4\nk = 1\nd = 2\nrows = [1, 3]\ntransform = ["eager", "inference", "vmap"]'
    )
    plan = plan_of(study)
    both = ["native", "fused"]
    assert {(case.transform, case.rows): [cell.method for cell in cells] for case, cells in plan} == {
        ("eager", 1): both,
        ("eager", 3): both,
        ("inference", 1): ["native"],
        ("inference", 3): ["native"],
        ("vmap", 3): both,
    }
    assert plan.notes == [
        "transform = inference: fused has no phase without gradients, dropped",
        "rows = 1: vmap has no rows to map over, dropped",
    ]


def test_more_bytes_than_a_table_can_hold_are_the_most_that_it_can(write_study: WriteStudy) -> None:
    ((_, cells),) = plan_of(write_study(HEAD + "[axes]\nn = 100_000_000_000\nk = 1_000_000_000\n"))
    needed = {cell.method: cell.predicted_bytes for cell in cells}
    assert needed["native"] < needed["dense"] == 2**63 - 1
    assert all("over limits.memory" in cell.skip for cell in cells)


def test_the_cases_are_the_product_of_all_axes_and_parameters(write_study: WriteStudy) -> None:
    axes = 'dtype = ["float16", "float64"]\nn = [4, 8]\nk = [1, 2]\nrows = [1, 3]\nd = [1, 2]\nseed = [0, 1]\n'
    axes += 'distribution = ["normal", "uniform"]\nthreads = [1, 2]\n[parameters]\ndecimals = [1, 2, 3]'
    made = list(cases(write_study(HEAD + "[axes]\n" + axes)))
    assert len(made) == len({case.id for case in made}) == 2**8 * 3
    assert {dict(case.parameters)["decimals"] for case in made} == {1, 2, 3}
    assert all(list(case.axes) == [*AXES, "decimals"] for case in made)


def test_shapes_are_sizes_that_go_together_under_a_name(write_study: WriteStudy) -> None:
    text = """
[axes]
dtype = ["float32", "float64"]
k = 2
[shapes.narrow]
n = 8
rows = 3
[shapes.wide]
n = [64, 128]
k = [4, "n/16"]
"""
    study = write_study(HEAD + text)
    found = [(case.axes["shape"], case.n, case.k, case.rows) for case in cases(study) if case.dtype == "float32"]
    assert found == [("narrow", 8, 2, 3), ("wide", 64, 4, 1), ("wide", 128, 4, 1), ("wide", 128, 8, 1)]
    assert len(list(cases(study))) == 2 * len(found)
    assert "n = 64: 2 values of k are 4, merged" in plan_of(study).notes
    assert {case.axes["shape"] for case in cases(narrow(study, ["shape=wide"]))} == {"wide"}
    assert Case.from_axes(next(cases(study)).axes) == next(cases(study))


def test_a_size_that_shapes_have_is_not_narrowed_beside_them(write_study: WriteStudy) -> None:
    study = write_study(HEAD + "[axes]\nk = [2, 4]\n[shapes.narrow]\nn = 8\n[shapes.wide]\nn = 64\nrows = 3\n")
    for item in ("n=8", "rows=1"):
        with pytest.raises(UserError, match=r"--only .*: the shapes of this study have .*: narrow `shape`"):
            narrow(study, [item])
    assert {case.k for case in cases(narrow(study, ["k=4"]))} == {4}


def test_a_rule_may_name_a_shape_or_a_size_of_one(write_study: WriteStudy) -> None:
    shapes = "[axes]\nk = 2\n[shapes.narrow]\nn = 8\n[shapes.wide]\nn = [64, 128]\n"
    for rule in ('shape = "narrow"', "n = 8"):
        study = write_study(HEAD + shapes + f"[[exclude]]\n{rule}\n")
        assert [case.n for case, _ in plan_of(study)] == [64, 128]


def test_yardsticks_are_in_every_timed_case_once(write_study: WriteStudy) -> None:
    text = HEAD.replace("dense", "read") + "[axes]\nn = 4\nk = 1"
    assert plan_of(write_study(text)).method_names == ("native", "read")
    assert plan_of(write_study(text + "\n[timing]")).method_names == ("native", "read", "copy")


def planned(study: Study) -> set[tuple[str, int, int, str]]:
    return {(cell.method, case.n, case.k, case.dtype) for case, cells in plan_of(study) for cell in cells}


@pytest.mark.parametrize(
    ("rule", "without"),
    [
        ('method = "dense"', {("dense", n, k) for n in (8, 16) for k in (2, 4, 8) if k < n}),
        ('method = "dense"\nn = 16', {("dense", 16, 2), ("dense", 16, 4), ("dense", 16, 8)}),
        ("k = [2, 4]\nn = 8", {("dense", 8, 2), ("dense", 8, 4), ("native", 8, 2), ("native", 8, 4)}),
        ('k = "n/4"', {(method, n, n // 4) for method in ("native", "dense") for n in (8, 16)}),
        ('k = ["n/2", 4]\nmethod = "native"', {("native", 8, 4), ("native", 16, 8), ("native", 16, 4)}),
        ('dtype = "float32"\nmethod = "dense"\nk = 8\nn = 8', set()),
        (
            'method = "dense"\nn = 16\n[[exclude]]\nk = 2\nn = 8',
            {("dense", 16, k) for k in (2, 4, 8)} | {("native", 8, 2), ("dense", 8, 2)},
        ),
    ],
)
def test_a_cell_is_excluded_that_matches_every_key_of_a_rule(
    write_study: WriteStudy, rule: str, without: set[tuple[str, int, int]]
) -> None:
    text = HEAD + "[axes]\nn = [8, 16]\nk = [2, 4, 8]\n[[exclude]]\nn = 8\nk = 8\n"
    left = planned(write_study(text)) - planned(write_study(text + "[[exclude]]\n" + rule))
    assert {(method, n, k) for method, n, k, _ in left} == without


def test_a_case_without_a_cell_is_left_out(write_study: WriteStudy) -> None:
    study = write_study(HEAD + "[axes]\nn = [4, 8]\nk = 1\n[[exclude]]\nn = 4")
    assert [case.n for case, _ in plan_of(study)] == [8]


CASE = Case(n=1024, k=64, dtype="float16", parameters=(("decimals", 4), ("levels", 2)))
OTHERS: dict[str, Any] = {
    "n": 1025,
    "k": 65,
    "dtype": "bfloat16",
    "device": "cuda",
    "rows": 2,
    "d": 1,
    "distribution": "uniform",
    "seed": 1,
    "mode": "tf32",
    "transform": "compile",
    "threads": 2,
    "parameters": (("decimals", 5), ("levels", 2)),
}


def test_the_identity_of_a_case_never_changes() -> None:
    """Results on disk are keyed by it."""
    assert Case(n=4096, k=64).id == "0330365af658"
    axes = {"device": "cpu", "d": 0, "distribution": "normal", "dtype": "float32", "k": 64, "mode": "ieee", "n": 4096}
    axes |= {"rows": 1, "seed": 0, "threads": 1, "transform": "eager"}
    canonical = json.dumps(dict(sorted(axes.items()))).replace(" ", "")
    assert Case(n=4096, k=64).id == hashlib.sha256(canonical.encode()).hexdigest()[:12]


def test_the_identity_differs_with_every_axis_and_parameter() -> None:
    assert {*OTHERS} == {*AXES, "parameters"}
    ids = {CASE.id, *(replace(CASE, **{name: value}).id for name, value in OTHERS.items())}
    ids.add(replace(CASE, parameters=(("decimals", 4), ("other", 2))).id)
    ids.add(replace(CASE, parameters=()).id)
    assert len(ids) == 1 + len(OTHERS) + 2


def test_the_identity_does_not_depend_on_the_order_of_the_parameters() -> None:
    assert replace(CASE, parameters=CASE.parameters[::-1]).id == CASE.id


def test_a_case_is_what_its_axes_say() -> None:
    assert Case.from_axes(CASE.axes) == CASE
    assert Case.from_axes(json.loads(json.dumps(CASE.axes))).id == CASE.id


@pytest.mark.parametrize(
    ("axes", "tensors", "needed"),
    [
        # y, values, dy; S
        ("n = 100\nk = 10", '"dy"', 4 * (100 + 10 + 100) + 4 * 10 * 100),
        ("n = 100\nk = 10", '["dy", "dS"]', 4 * (100 + 10 + 100) + 2 * 4 * 10 * 100),
        ('n = 100\nk = 10\ndtype = "float16"\nrows = 3', '"dy"', 2 * 3 * (100 + 10 + 100) + 2 * 3 * 10 * 100),
        # x, W, y; values, dx, dW, dy; S of each row
        (
            'n = 100\nk = 10\ndtype = "float64"\nrows = 3\nd = 7',
            '"dS"',
            8 * (21 + 700 + 300) + 8 * (30 + 21 + 700 + 300) + 2 * 8 * 3 * 10 * 100,
        ),
    ],
)
def test_the_bytes_of_a_cell_are_those_of_its_tensors(
    write_study: WriteStudy, axes: str, tensors: str, needed: int
) -> None:
    text = f"{HEAD}[axes]\n{axes}\n[precision]\ntensors = {tensors}\n[limits]\nmemory = "
    ((_, (native, dense)),) = plan_of(write_study(f"{text}{needed}"))
    assert (dense.predicted_bytes, dense.skip) == (needed, "")
    assert native.predicted_bytes < needed
    ((_, (native, dense)),) = plan_of(write_study(f"{text}{needed - 1}"))
    assert dense.skip == f"needs {needed} bytes, over limits.memory = {needed - 1}"
    assert native.skip == ""


def test_a_plan_is_made_one_case_after_the_other(write_study: WriteStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Case] = []

    def counted(**axes: Any) -> Case:
        made.append(Case(**axes))
        return made[-1]

    monkeypatch.setattr("harness.study.cells.Case", counted)
    plan = plan_of(write_study(f"{HEAD}[axes]\nn = 64\nk = 1\nthreads = [1, 2]\nseed = {list(range(1000))}"))
    first = list(islice(plan, 3))
    assert [case for case, _ in first] == made
    assert [case.threads for case in made] == [1, 2, 1]
    assert all([cell.method for cell in cells] == ["native", "dense"] for _, cells in first)


def test_planning_imports_no_torch() -> None:
    code = """
import sys, harness.planning.loading
plan = harness.planning.loading.plan_of(harness.planning.loading.load_study("studies/speed.toml"))
assert sum(len(cells) for _, cells in plan) > 100
sys.exit("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


SWEPT = """
title = "Swept"
methods = ["native", "dense", "sigmoid_shift"]
[axes]
n = 64
k = [1, 4]
{axes}
[parameters]
temperature = [0.1, 0.2, 0.3]
{more}
"""


def swept(write_study: WriteStudy, axes: str = "", more: str = "") -> dict[str, list[Any]]:
    """method -> the temperatures of its cells at k = 4, in order."""
    found: dict[str, list[Any]] = {}
    for case, cells in plan_of(write_study(SWEPT.format(axes=axes, more=more))):
        for each in cells:
            if case.k == 4:
                found.setdefault(each.method, []).append(dict(case.parameters)["temperature"])
    return found


def test_a_parameter_that_a_method_does_not_take_does_not_multiply_its_cells(write_study: WriteStudy) -> None:
    assert swept(write_study) == {"native": [0.1], "dense": [0.1], "sigmoid_shift": [0.1, 0.2, 0.3]}
    study = write_study(SWEPT.format(axes="", more=""))
    assert plan_of(study).notes == ["temperature: not taken by native, dense: one cell for its 3 values"]
    kept = {case.id for case, cells in plan_of(study) if any(each.method == "sigmoid_shift" for each in cells)}
    assert kept == {case.id for case in cases(study)}


def test_what_times_are_compared_with_is_timed_beside_every_other(write_study: WriteStudy) -> None:
    found = swept(write_study, more="[timing]")
    every = [0.1, 0.2, 0.3]
    assert found == {"native": every, "sigmoid_shift": every, "copy": every, "read": every, "dense": [0.1]}
    alone = SWEPT.replace(', "sigmoid_shift"', "").format(axes="", more="[timing]")
    assert sum(len(cells) for _, cells in plan_of(write_study(alone))) == 2 * 4


def test_the_first_value_that_no_rule_excludes_is_the_one_that_is_measured(write_study: WriteStudy) -> None:
    rule = '[[exclude]]\nmethod = "dense"\ntemperature = [0.1]'
    assert swept(write_study, more=rule)["dense"] == [0.2]
    every = '[[exclude]]\nmethod = "dense"\ntemperature = [0.1, 0.2, 0.3]'
    assert "dense" not in swept(write_study, more=every)


def test_what_changes_the_tensors_or_the_clock_is_taken_by_every_method(write_study: WriteStudy) -> None:
    found = swept(write_study, 'distribution = "ties"', "decimals = [1, 2]")
    assert found["native"] == [0.1, 0.1]
    assert len(found["sigmoid_shift"]) == 6
    assert swept(write_study, more='cache = ["warm", "cold"]\n[timing]')["dense"] == [0.1, 0.1]
