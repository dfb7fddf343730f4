"""torch's own sample inputs for topk: the same values, and the same errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.testing._internal.common_methods_invocations import op_db

from harness.methods.kernels.blockmax import refusal, topk

OP = next(each for each in op_db if each.name == "topk")
DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32]


@pytest.mark.parametrize("dtype", DTYPES)
def test_sample_inputs(dtype: torch.dtype) -> None:
    samples: list[Any] = [*OP.sample_inputs("cpu", dtype)]  # type: ignore[no-untyped-call]
    ours = 0
    for sample in samples:
        found = topk(sample.input, *sample.args, **sample.kwargs)
        native = torch.topk(sample.input, *sample.args, **sample.kwargs)
        assert torch.equal(found.values, native.values)
        if sample.input.dim():
            dim = sample.args[1] if len(sample.args) > 1 else -1
            assert torch.equal(sample.input.gather(dim, found.indices), found.values)
        ours += not refusal(sample.input, *sample.args[:2])
    assert len(samples) > 10
    assert (ours > len(samples) // 3) == dtype.is_floating_point
