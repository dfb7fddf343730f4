"""Drop-ins for torch.topk: the same call, another algorithm."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import Unsupported, selector
from harness.vocabulary import install


@selector()
def blockmax() -> Any:
    """The k blocks with the largest maxima, then the k largest of their entries: y is read once."""
    from harness.methods.blockmax import topk

    return topk


@selector()
def blockmax_triton() -> Any:
    """The same composition in Triton kernels: exact, the lowest indices of equal values, in a few launches.

    float16, bfloat16, float32 and float64 on an accelerator, 1 <= k <= 2048, n < 2^31. Anything else is unsupported:
    the file's topk would call torch.topk, which must not be timed under this name.
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
