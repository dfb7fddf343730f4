"""Drop-ins for torch.topk: the same call, made another way."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import Unsupported, selector
from harness.vocabulary import install


@selector()
def blockmax() -> Any:
    """The k blocks with the largest maxima, then the k largest of what they hold: y is read once."""
    from harness.methods.blockmax import topk

    return topk


@selector()
def blockmax_triton() -> Any:
    """Kernels in Triton by the same composition: exact, of equal values the lowest indices, in a few launches.

    float16, bfloat16, float32 and float64 on an accelerator, 1 <= k <= 2048, n < 2^31. Anything else is unsupported,
    since to time torch.topk under this name would mislead.
    """
    try:
        from harness.methods.kernels.blockmax import RUNS_ON, refusal, topk
    except ImportError as error:
        raise Unsupported(f"{error}: {install('kernels')}") from None
    if not RUNS_ON:
        raise Unsupported("blockmax_triton needs an accelerator, and torch finds none here")

    def select(y: Any, k: int) -> Any:
        if reason := refusal(y, k):
            raise Unsupported(reason)
        return topk(y, k)

    return select
