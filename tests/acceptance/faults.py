"""Methods with a fault each, as somebody's could have."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from harness.methods.definition import selector


@selector()
def dies() -> Any:
    """Its process is killed when it is called."""
    return lambda y, k: os.kill(os.getpid(), signal.SIGKILL)


@selector()
def kills_its_parent() -> Any:
    """It kills the process that its own is a child of: on a cluster the Dask worker."""
    return lambda y, k: os.kill(os.getppid(), signal.SIGKILL)


@selector()
def hangs() -> Any:
    """It never returns."""
    return lambda y, k: time.sleep(3600)


@selector()
def segfaults() -> Any:
    """It reads where no memory is."""
    import ctypes

    return lambda y, k: ctypes.string_at(0)


@selector()
def outgrows() -> Any:
    """It asks for more than its process may have: an address space of 256 MiB more than it has now."""
    import resource

    import psutil

    def select(y: Any, k: int) -> Any:
        limit = psutil.Process().memory_info().vms + 2**28
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        return y.repeat(2**30 // y.numel()).topk(k)

    return select


@selector()
def fails_in_blocks() -> Any:
    """Right when it is checked; it raises in every block."""
    import inspect

    def select(y: Any, k: int) -> Any:
        if any(frame.function == "time" and frame.filename.endswith("open_case.py") for frame in inspect.stack(0)):
            raise ValueError("a fault that comes late")
        return y.topk(k)

    return select


@selector()
def raises() -> Any:
    """It raises what is no torch error."""

    def select(y: Any, k: int) -> Any:
        raise ValueError("a fault of its own")

    return select


@selector()
def exhausts() -> Any:
    """It runs out of memory from n = 32 on, as torch says it of an accelerator."""
    import torch

    def select(y: Any, k: int) -> Any:
        if y.shape[-1] >= 32:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return y.topk(k)

    return select


@selector()
def wrong_values() -> Any:
    """The largest value is one too large."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return values + (values == values.max()), indices

    return select


@selector()
def wrong_indices() -> Any:
    """The k smallest."""
    return lambda y, k: y.topk(k, largest=False)


@selector()
def wrong_shape() -> Any:
    """One value too few."""
    return lambda y, k: y.topk(max(1, k - 1)) if k > 1 else (y[..., :0], y.topk(1).indices)


@selector()
def wrong_dtype() -> Any:
    """Values in float64 whatever was given."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return values.double() if y.element_size() < 8 else values.float(), indices

    return select


@selector()
def gives_nan() -> Any:
    """NaN instead of every value."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return values * float("nan"), indices

    return select


@selector()
def writes_input() -> Any:
    """It sorts its input in place."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        y.data.zero_()
        return values, indices

    return select


@selector()
def wrong_gradient() -> Any:
    """Right values, and twice their gradient."""

    def select(y: Any, k: int) -> Any:
        values, indices = y.topk(k)
        return 2 * values - values.detach(), indices

    return select
