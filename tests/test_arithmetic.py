"""What each mode sets of torch's switches, and the bound that holds for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from harness.device.arithmetic import DEFAULTS, IEEE, PRODUCT_MODES, set_products
from harness.device.cpu import CPU
from harness.device.cuda import CUDA
from harness.device.settings import of_products
from harness.exact.ulp import FORMATS
from harness.precision.arithmetic import Arithmetic, gamma
from harness.topk.modes import set_mode
from harness.vocabulary import DTYPES, MODES
from harness.worker.failures import failure


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    set_mode("ieee", "cpu")


def now() -> dict[str, object]:
    return {each.name: each.read() for each in of_products()}


@pytest.mark.parametrize("before", PRODUCT_MODES)
@pytest.mark.parametrize("mode", PRODUCT_MODES)
def test_a_mode_sets_every_switch_whatever_was_set_before(mode: str, before: str) -> None:
    set_products(before)
    set_products(mode)
    wanted = PRODUCT_MODES[mode]
    assert wanted.keys() == now().keys() == DEFAULTS.keys()
    assert {name: value for name, value in now().items() if value != wanted[name]} == {}


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in PRODUCT_MODES])
def test_other_modes_leave_products_as_in_ieee(mode: str) -> None:
    set_products("reduced-reductions")
    set_products(mode)
    assert now() == IEEE


def test_ieee_switches_off_what_torch_has_on_as_it_is_imported() -> None:
    assert DEFAULTS["torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction"]
    assert not any(value is True or value in ("tf32", "none", "high", "medium") for value in IEEE.values())
    set_products("ieee")
    assert not torch.backends.cuda.matmul.allow_fp16_accumulation
    assert not torch.backends.cudnn.allow_tf32
    mkldnn: Any = torch.backends.mkldnn
    assert mkldnn.matmul.fp32_precision == "ieee"
    set_products("tf32")
    assert torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("mode", ["tf32", "reduced-reductions"])
def test_a_mode_that_a_cpu_lacks_is_unsupported_and_not_silently_ieee(mode: str) -> None:
    with pytest.raises(NotImplementedError, match=f"^a CPU has no {mode} arithmetic$") as caught:
        CPU.set_arithmetic(mode)
    assert failure(caught.value)["status"] == "unsupported"


@pytest.mark.parametrize(("capability", "refused"), [((7, 5), True), ((8, 0), False), ((10, 0), False)])
def test_tf32_is_unsupported_where_tensor_cores_lack_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], refused: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    CUDA.set_arithmetic("reduced-reductions")
    assert now() == PRODUCT_MODES["reduced-reductions"]
    if refused:
        with pytest.raises(NotImplementedError, match="this GPU has no tf32 arithmetic"):
            CUDA.set_arithmetic("tf32")
    else:
        CUDA.set_arithmetic("tf32")
        assert now() == PRODUCT_MODES["tf32"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mode", ["torch-default", "reduced-reductions", "ieee"])
def test_sums_that_may_be_reduced_in_halves_have_the_bound_of_such_sums(mode: str, dtype: str) -> None:
    arithmetic = Arithmetic.of(dtype, mode)
    halves = dtype in ("float16", "bfloat16")
    in_storage = mode != "ieee" or not halves
    assert arithmetic.accumulation == FORMATS[dtype if in_storage else "float32"]
    assert (arithmetic.storage, arithmetic.factors) == (FORMATS[dtype], None)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_sum_in_halves_is_within_that_bound_and_not_within_that_of_ieee(dtype: str) -> None:
    """100 terms of one third, each addition rounded: what no device may do in ieee."""
    form, terms = getattr(torch, dtype), torch.full((100,), 1 / 3, dtype=getattr(torch, dtype))
    total = torch.zeros((), dtype=form)
    for each in terms:
        total = (total.double() + each.double()).to(form)
    error = abs(float(total) - float(terms.double().sum()))
    size = float(terms.double().abs().sum())
    within = {
        mode: error <= float(gamma(np.array(100.0), Arithmetic.of(dtype, mode).accumulation.unit_roundoff)) * size
        for mode in ("ieee", "reduced-reductions")
    }
    assert within == {"ieee": False, "reduced-reductions": True}
