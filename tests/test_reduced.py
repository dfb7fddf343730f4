"""What a mode rounds depends on the dtype too: autocast casts every dtype but float64, TF32 is for float32 alone."""

from __future__ import annotations

import math

import pytest

from harness.exact.ulp import FORMATS
from harness.methods import method
from harness.precision.arithmetic import Arithmetic, SumBound, reduced_format
from harness.study.cells import Case
from harness.topk.checks import wrong_outcome
from harness.topk.outcome import run_once
from harness.topk.problems import draw
from harness.topk.transforms import as_run
from harness.vocabulary import DTYPES
from harness.worker.open_case import OpenCase
from tests.swept import swept

AUTOCAST = ("autocast-bfloat16", "autocast-float16")


@pytest.mark.parametrize(
    ("dtype", "mode", "wanted"),
    [
        ("float32", "autocast-bfloat16", "bfloat16"),
        ("float32", "autocast-float16", "float16"),
        ("float16", "autocast-bfloat16", "bfloat16"),
        ("bfloat16", "autocast-float16", "float16"),
        ("bfloat16", "autocast-bfloat16", None),
        ("float64", "autocast-bfloat16", None),
        ("float64", "tf32", None),
        ("float16", "tf32", None),
        ("float32", "ieee", None),
        ("float32", "deterministic", None),
    ],
)
def test_what_a_mode_rounds_factors_to(dtype: str, mode: str, wanted: str | None) -> None:
    found = reduced_format(dtype, mode)
    assert found == (FORMATS[wanted] if wanted else None)
    arithmetic = Arithmetic.of(dtype, mode)
    assert arithmetic.factors == found
    coarser = "bfloat16" if "bfloat16" in (dtype, wanted) else wanted or dtype
    assert arithmetic.storage == FORMATS[coarser]


def test_tf32_allows_for_hardware_that_cuts_the_bits_off() -> None:
    factor = 1 + 2.0**-10 - 2.0**-23  # cut off after 10 bits of the fraction, it is 1
    bound = SumBound.of(1, Arithmetic.of("float32", "tf32"))
    assert factor**2 - 1 <= float(bound.of_size) * factor**2 < 2.1 * 2.0**-10


@pytest.mark.parametrize("mode", AUTOCAST)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["native", "dense", "fused"])
def test_no_method_is_incorrect_under_autocast(name: str, dtype: str, mode: str) -> None:
    case = Case(n=256, k=16, d=64, dtype=dtype, mode=mode)
    problem, chosen = draw(case), as_run(method(name), case)
    outcome = run_once(chosen, problem, "square", with_dS=False)
    assert wrong_outcome(chosen, outcome, problem, "square") == ""


@pytest.mark.parametrize("tensor", ["dx", "dW"])
def test_what_autocast_does_not_explain_is_still_wrong(tensor: str) -> None:
    """An error of a hundredth in float64, which autocast leaves as it is."""
    case = Case(n=256, k=16, d=64, dtype="float64", mode="autocast-bfloat16")
    problem, chosen = draw(case), as_run(method("native"), case)
    outcome = run_once(chosen, problem, "square", with_dS=False)
    getattr(outcome, tensor).mul_(1.001)
    assert f"of {tensor} are outside" in wrong_outcome(chosen, outcome, problem, "square")


@pytest.mark.parametrize("name", ["native", "dense", "gather", "fused"])
@swept(("rows", "d"), [(1, 0), (3, 0), (1, 8), (3, 8)])
@swept("loss", ["linear", "square"])
def test_no_method_is_incorrect_where_float16_overflows(name: str, rows: int, d: int, loss: str) -> None:
    """Factors beyond 65520 are infinite once they are cast, and 0 times infinity is NaN."""
    case = Case(n=256, k=16, rows=rows, d=d, distribution="overflow", mode="autocast-float16")
    if not method(name).phases_for(case):
        return
    settings = {"loss": loss, "tensors": ["values", "dy", "dx", "dW"], "references": ["native", "exact", "original"]}
    timed = {"phases": [], "block_seconds": 0.0, "fresh_memory": True}
    opened = OpenCase({"case": case.axes, "metrics": ["ulp_max", "causes"], **settings, **timed})
    reply = opened.check(name, measure=["errors"])
    assert (reply["status"], reply["reason"]) == ("ok", "")


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_float16_excuses_no_infinity_where_it_does_not_overflow(value: float) -> None:
    case = Case(n=256, k=16, mode="autocast-float16")
    problem, chosen = draw(case), as_run(method("dense"), case)
    outcome = run_once(chosen, problem, "square", with_dS=False)
    outcome.values[3] = value
    assert wrong_outcome(chosen, outcome, problem, "square").startswith("1 values are not y at their index")
