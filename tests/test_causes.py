"""Causes: each by an entry that was planted for it, what no rule covers, and each as torch itself shows it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import cpuinfo
import numpy as np
import pytest

from harness.accuracy.side_by_side import unlike_entries
from harness.exact.ulp import FORMATS
from harness.precision import registered_metrics
from harness.precision.causes import CAUSES, UNEXPLAINED, Entries, explain
from harness.study.cells import Case
from harness.topk.modes import set_mode
from harness.worker.open_case import OpenCase

U = 2.0**-24


def entry(got: float, want: float, **changes: Any) -> Entries:
    """One float32 entry against native whose bound is one unit roundoff."""
    arrays = {"got": got, "want": want, "error": abs(got - want), "bound": U, "storage_bound": U, "reduced_bound": U}
    masks = {"spoilt": False, "tied": False, "flipped": False, "requantised": False}
    facts: dict[str, Any] = {"against_native": True, "reduced": False, "summed_again": False}
    given = {**arrays, "quantised": 0.0, **masks, **facts, **changes}
    vectors: dict[str, Any] = {name: value if name in facts else np.array([value]) for name, value in given.items()}
    return Entries(**vectors, form=FORMATS["float32"])


EXACT = {"against_native": False}
NAN = float("nan")
PLANTED: list[tuple[str, Entries]] = [
    ("nonfinite", entry(NAN, 1.0, spoilt=True)),
    (UNEXPLAINED, entry(NAN, 1.0)),
    (UNEXPLAINED, entry(1.0, NAN, error=np.inf, bound=np.inf, summed_again=True)),
    (UNEXPLAINED, entry(np.inf, 1.0, bound=np.inf, **EXACT)),
    (UNEXPLAINED, entry(np.inf, 1.0, storage_bound=np.inf, summed_again=True)),
    (UNEXPLAINED, entry(np.inf, 1.0, reduced_bound=np.inf, reduced=True)),
    ("signed_zero", entry(-0.0, 0.0)),
    ("flushed", entry(0.0, 2.0**-130)),
    (UNEXPLAINED, entry(0.0, 2.0**-20)),
    ("reduced_precision", entry(1.0 + 2.0**-9, 1.0, reduced=True, reduced_bound=2.0**-8)),
    (UNEXPLAINED, entry(1.0 + 2.0**-9, 1.0, reduced_bound=2.0**-8)),
    (UNEXPLAINED, entry(1.0 + 2.0**-6, 1.0, reduced=True, reduced_bound=2.0**-8)),
    ("association", entry(1.0 + 2 * U, 1.0, summed_again=True)),
    (UNEXPLAINED, entry(1.0 + 2 * U, 1.0)),
    (UNEXPLAINED, entry(1.0 + 4 * U, 1.0, summed_again=True)),
    (UNEXPLAINED, entry(1.0 + 2 * U, 1.0, summed_again=True, bound=NAN, storage_bound=NAN)),
    ("storage_accumulation", entry(1.0 + 4 * U, 1.0, summed_again=True, storage_bound=2 * U)),
    ("storage_accumulation", entry(1.0 + 4 * U, 1.0, summed_again=True, storage_bound=4 * U, **EXACT)),
    (UNEXPLAINED, entry(1.0 + 4 * U, 1.0, storage_bound=4 * U, **EXACT)),
    ("tie", entry(0.0, 1.0, tied=True)),
    # What only one side selected: the zero of the other side is no result of its arithmetic.
    ("tie", entry(0.0, 2.0**-130, tied=True)),
    ("tie", entry(-0.0, 0.0, tied=True)),
    ("tie", entry(0.0, NAN, tied=True, spoilt=True)),
    ("arithmetic_flip", entry(np.inf, 0.0, flipped=True, spoilt=True, **EXACT)),
    ("quantisation_flip", entry(0.0, 2.0**-130, requantised=True, **EXACT)),
    ("nonfinite", entry(NAN, 1.0, flipped=True, spoilt=True)),  # a sum that a flip does not make NaN
    ("arithmetic_flip", entry(0.0, 1.0, flipped=True, **EXACT)),
    ("arithmetic_flip", entry(0.0, 1.0, flipped=True, tied=True, requantised=True, **EXACT)),
    ("quantisation_flip", entry(0.0, 1.0, requantised=True, **EXACT)),
    ("rounding", entry(1.0 + 4 * U, 1.0, bound=4 * U, **EXACT)),
    ("rounding", entry(1.0 + 2 * U, 1.0, quantised=U, **EXACT)),
    (UNEXPLAINED, entry(1.0 + 2 * U, 1.0, **EXACT)),
    (UNEXPLAINED, entry(1.0 + 2 * U, 1.0, bound=4 * U)),  # against native nothing may round
]


@pytest.mark.parametrize(("cause", "planted"), PLANTED, ids=[f"{n}-{cause}" for n, (cause, _) in enumerate(PLANTED)])
def test_a_planted_entry_has_its_cause(cause: str, planted: Entries) -> None:
    assert {name: count for name, count in explain(planted).items() if count} == {cause: 1}


def test_every_cause_was_planted() -> None:
    assert {cause for cause, _ in PLANTED} == {*CAUSES, UNEXPLAINED}


def test_the_order_is_that_of_the_design() -> None:
    order = "nonfinite signed_zero flushed reduced_precision association storage_accumulation tie"
    assert list(CAUSES) == [*order.split(), "arithmetic_flip", "quantisation_flip", "rounding"]


@pytest.mark.parametrize("want", [1.0, NAN, np.inf, 0.0])
def test_what_does_not_differ_needs_no_cause(want: float) -> None:
    assert not any(explain(entry(want, want)).values())
    assert not any(explain(replace(entry(0.0, -0.0), against_native=False)).values())


def test_against_native_an_index_is_tied_at_the_threshold_and_where_y_is_nan() -> None:
    """Row 0 has more NaN than k. In row 1 native had to select the NaN and the 3, and the method selected 3 and 2."""
    y = np.array([[NAN, NAN, NAN, 1.0], [NAN, 3.0, 2.0, 1.0]])
    indices = np.array([[0, 1], [0, 1]])
    native = SimpleNamespace(y=y, indices=indices, values=np.take_along_axis(y, indices, -1))
    references: Any = SimpleNamespace(native=native, get=lambda name, got: native)
    got: Any = SimpleNamespace(indices=np.array([[1, 2], [1, 2]]))
    masks = unlike_entries("dy", "native", (2, 2), got, references)  # of 0, 1 and 2 in either row
    assert masks["tied"].tolist() == [True, False, True, True, False, False]
    assert masks["flipped"].tolist() == [False, False, False, False, False, True]


def checked(case: Case, name: str) -> dict[str, Any]:
    """The worker's reply about a method, with every tensor, reference and metric."""
    opened = OpenCase(
        {
            "case": case.axes,
            "phases": [],
            "loss": "square",
            "tensors": ["values", "dy", "dx", "dW", "dS", "selection"],
            "references": ["native", "exact", "conditional", "original"],
            "metrics": registered_metrics(),
            "block_seconds": 0.0,
            "fresh_memory": True,
        }
    )
    return opened.check(name, measure=["errors"])


def causes_of(case: Case, name: str) -> dict[tuple[str, str], float]:
    """(reference, cause) -> entries, over all tensors, as a worker finds them."""
    reply = checked(case, name)
    assert (reply["status"], reply["reason"]) == ("ok", "")
    found: dict[tuple[str, str], float] = {}
    for _, of, reference, metric, value in reply["figures"]:
        if metric.startswith("cause_") and of == "method" and value:
            cause = metric.removeprefix("cause_")
            found[reference, cause] = found.get((reference, cause), 0) + value
    return found


@pytest.mark.parametrize(
    ("reference", "cause", "method", "case"),
    [
        ("native", "nonfinite", "dense", Case(n=256, k=8, distribution="nonfinite", seed=2)),
        ("native", "signed_zero", "dense", Case(n=64, k=64, dtype="float16", distribution="subnormal")),
        ("native", "reduced_precision", "dense", Case(n=64, k=8, mode="autocast-bfloat16")),
        ("native", "association", "fused", Case(n=256, k=32, d=64)),
        ("native", "storage_accumulation", "fused", Case(n=16, k=8, d=4, rows=512, dtype="bfloat16")),
        ("native", "tie", "sort", Case(n=256, k=8, distribution="ties")),
        ("exact", "arithmetic_flip", "native", Case(n=4096, k=64, d=64, rows=8, dtype="bfloat16")),
        ("original", "quantisation_flip", "native", Case(n=4096, k=64, d=64, rows=8, dtype="bfloat16")),
        ("exact", "rounding", "native", Case(n=64, k=8, d=64)),
        (  # dW of native passes the range of float16, in which it is stored
            *("native", "nonfinite", "fused"),
            Case(n=256, k=16, rows=64, d=8, distribution="ties", mode="autocast-float16"),
        ),
    ],
)
def test_torch_on_a_cpu_shows_each_cause(reference: str, cause: str, method: str, case: Case) -> None:
    found = causes_of(case, method)
    assert found.get((reference, cause), 0) > 0, found


def test_a_processor_that_multiplies_bfloat16_flushes_its_subnormals() -> None:
    if "avx512_bf16" not in cpuinfo.get_cpu_info()["flags"]:
        pytest.skip("this processor multiplies bfloat16 as float32, which flushes nothing")
    found = causes_of(Case(n=256, k=250, dtype="bfloat16", distribution="subnormal"), "dense")
    assert found.get(("native", "flushed"), 0) > 0, found


def test_gathered_gradients_need_no_storage_accumulation() -> None:
    """The same sums as those of `fused` above, by a product that accumulates in float32."""
    found = causes_of(Case(n=16, k=8, d=4, rows=512, dtype="bfloat16"), "gather")
    assert {cause for reference, cause in found if reference == "conditional"} == {"rounding"}


def test_what_no_cause_explains_makes_a_cell_incorrect(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(n=256, k=32, d=64)
    assert checked(case, "fused")["status"] == "ok"
    monkeypatch.delitem(CAUSES, "association")
    reply = checked(case, "fused")
    assert reply["status"] == "incorrect"
    assert reply["reason"].startswith("no cause explains ")
    assert reply["figures"] == []


def test_a_mode_that_the_device_has_not_is_refused() -> None:
    with pytest.raises(RuntimeError, match="tf32"):
        set_mode("tf32", "cpu")
