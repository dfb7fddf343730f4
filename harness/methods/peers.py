"""Selections of other libraries, to compare with: forward only, since torch cannot differentiate what they compute.

All take and return tensors without a copy, by DLPack or directly. cub::DeviceTopK is not among them: CCCL ships it as a
C++ header, which would need a build of our own.
"""

from __future__ import annotations

import os
from typing import Any

from harness.methods.definition import Unsupported, selector
from harness.vocabulary import install

FLASHINFER_LONGEST = 1 << 22
"""Longest row that is passed to flashinfer 0.6.6. Its kernel waits between the blocks of a row, which need not all be
resident on the device from some 7.6 million elements on: it might never end."""

QUACK_LONGEST, QUACK_MOST = 4096, 128
"""Largest n and k that quack.topk supports."""


@selector(gradient=False)
def jax_top_k() -> Any:
    """jax.lax.top_k, on the device of y.

    Exact for numbers of every dtype here; of equal values it selects the lowest index. It ranks NaN with its sign set
    below -inf, where torch ranks every NaN above all, and -0 below +0. On CUDA it has a kernel for float32 and bfloat16
    with k <= 16 and n >= 1024 (XLA, TopkSpecializer), and sorts otherwise.
    """
    # Otherwise JAX takes three quarters of the device's memory for itself when it starts.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        import jax
    except ImportError as error:
        raise _not_installed(error) from None
    from torch.utils.dlpack import from_dlpack

    jax.config.update("jax_enable_x64", True)  # without it float64 silently becomes float32

    def select(y: Any, k: int) -> Any:
        values, indices = jax.lax.top_k(jax.dlpack.from_dlpack(y.detach().contiguous()), k)
        return from_dlpack(values), from_dlpack(indices).long()

    return select


@selector(gradient=False)
def cupy_argpartition() -> Any:
    """The last k of cupy.argpartition: exact, in no particular order.

    float16, float32 and float64 on CUDA. NaN is the largest, as in NumPy. CuPy documents that it sorts the whole row.
    """
    try:
        import cupy
    except ImportError as error:
        raise _not_installed(error) from None
    import torch
    from torch.utils.dlpack import from_dlpack

    def select(y: Any, k: int) -> Any:
        if y.dtype == torch.bfloat16:
            raise Unsupported("CuPy has no bfloat16")
        place = y.shape[-1] - k
        order = cupy.argpartition(cupy.from_dlpack(y.detach()), place, axis=-1)
        indices = from_dlpack(order[..., place:]).long()
        return y.gather(-1, indices), indices

    return select


@selector(gradient=False)
def flashinfer_top_k() -> Any:
    """flashinfer.top_k, a radix selection: exact, in no particular order, any of equal values.

    float16, bfloat16 and float32 on CUDA, compiled at the first call, for rows of up to 2^22 entries. How it orders NaN
    is not documented.
    """
    try:
        import flashinfer
    except ImportError as error:
        raise _not_installed(error) from None
    import torch

    def select(y: Any, k: int) -> Any:
        n = y.shape[-1]
        if y.dtype == torch.float64 or n > FLASHINFER_LONGEST:
            raise Unsupported(
                f"flashinfer.top_k is called for float16, bfloat16, float32 and n <= {FLASHINFER_LONGEST}"
            )
        values, indices = flashinfer.top_k(y.detach().reshape(-1, n), k)
        return values.view(*y.shape[:-1], k), indices.view(*y.shape[:-1], k).long()

    return select


@selector(gradient=False)
def quack_topk() -> Any:
    """quack.topk, a bitonic selection for short rows: exact in halves, the lowest index of equal values.

    float16 and bfloat16 on CUDA, n a power of two up to 4096, k a power of two up to 128. It packs the index into the
    low bits of a float32 value. A float32 input would lose these bits, so it is not called for that.
    """
    try:
        from quack.topk import topk_fwd
    except ImportError as error:
        raise _not_installed(error) from None
    import torch

    def select(y: Any, k: int) -> Any:
        n = y.shape[-1]
        powers = all(size & (size - 1) == 0 for size in (n, k))
        if y.dtype not in (torch.float16, torch.bfloat16) or n > QUACK_LONGEST or k > QUACK_MOST or not powers:
            limits = f"powers of two n <= {QUACK_LONGEST} and k <= {QUACK_MOST}"
            raise Unsupported(f"quack.topk is exact for float16 and bfloat16, {limits}")
        values, indices = topk_fwd(y.detach().reshape(-1, n), k)
        return values.view(*y.shape[:-1], k), indices.view(*y.shape[:-1], k).long()

    return select


def _not_installed(error: ImportError) -> Unsupported:
    return Unsupported(f"{error}: {install('peers-gpu')}")
