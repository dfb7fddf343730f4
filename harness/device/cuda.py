"""CUDA: an accelerator that also reports its name, cache size, arithmetic and throttling.

NVML reports throttling, if nvidia-ml-py is installed and a driver answers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from harness.device.accelerator import accelerator, recorded_event
from harness.device.arithmetic import TF32, refuse, set_products
from harness.device.cache import UNKNOWN_CACHE_BYTES

Call = Callable[[], Any]

REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat (software)",
    0x40: "heat (hardware)",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
"""Bits of nvmlClocksEventReasons that mean the device is throttled. The other bits mean that the device is idle or that
somebody set its clock."""

SLEEPS_READ, CYCLES_READ = 5, 2_000_000
"""The rate of torch.cuda._sleep is measured five times over this many cycles, about a millisecond each."""

FIRST_WITH_TF32 = (8, 0)
"""Compute capability of Ampere, the first with TF32 (NVIDIA A100 white paper, 2020)."""

WARM_UPS = 3
"""Calls before a capture, as many as torch.cuda.make_graphed_callables makes by default."""


def cache_bytes() -> int:
    """Bytes of the current device's L2 cache; UNKNOWN_CACHE_BYTES if the device does not report it."""
    return int(torch.cuda.get_device_properties().L2_cache_size) or UNKNOWN_CACHE_BYTES


@functools.cache
def cycles_per_second() -> float:
    """Cycles per second of the counter that torch.cuda._sleep spins on: the highest of a few measurements.

    The highest, because a device that was idle starts at a low clock. A rate that is too high only makes sleeps longer
    than necessary; one that is too low makes gates open too early, which voids their blocks.
    """
    rates = []
    for _ in range(SLEEPS_READ):
        begun, ended = recorded_event("cuda"), recorded_event("cuda")
        torch.cuda.synchronize()
        begun.record()
        torch.cuda._sleep(CYCLES_READ)  # type: ignore[no-untyped-call]
        ended.record()
        torch.cuda.synchronize()
        rates.append(CYCLES_READ / (begun.elapsed_time(ended) * 1e-3))
    return max(rates)


def sleep(seconds: float) -> None:
    """Queue a one-thread kernel that spins for this many seconds; later kernels of the stream wait for it."""
    torch.cuda._sleep(int(seconds * cycles_per_second()))  # type: ignore[no-untyped-call]


def graph(make: Callable[[], Call]) -> Call:
    """Capture what a call queues as a CUDA graph; the result is a call that replays it and returns its tensors.

    make() returns the call to capture. Raises NotImplementedError with torch's message if something cannot be captured,
    such as a synchronisation.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    usual = torch.cuda.current_stream()
    stream.wait_stream(usual)
    # make() runs on the capturing stream, since autograd runs a backward pass on the stream of its forward pass (torch,
    # CUDA semantics): a graph of autograd made elsewhere would be run outside the capture.
    with torch.cuda.stream(stream):
        call = make()
        for _ in range(WARM_UPS):  # what libraries allocate or choose in their first calls must not be captured
            call()
    torch.cuda.synchronize()
    captured = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(captured, stream=stream):
            result = call()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise NotImplementedError(f"cannot be captured as a graph: {error}") from error
    finally:
        torch.cuda.set_stream(usual)  # a failed capture leaves its own stream current
    torch.cuda.synchronize()

    def replay() -> Any:
        captured.replay()
        return result

    return replay


def set_arithmetic(mode: str) -> None:
    """Set every switch that changes products; raises NotImplementedError for tf32 on a device without TF32."""
    if torch.cuda.get_device_capability() < FIRST_WITH_TF32:
        refuse("this GPU", mode, (TF32,))
    set_products(mode)


def throttling(mask: int | None) -> list[str] | None:
    """The reasons in NVML's bit mask, in words; None if there is no mask."""
    return None if mask is None else [word for bit, word in REASONS.items() if mask & bit]


@functools.cache
def asker() -> Callable[[], int | None]:
    """A function that reads the current device's bit mask; it returns None if the device cannot be read."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        return functools.partial(_reasons, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    except Exception:  # package, library, driver, device or permission is missing: throttling is unknown in each case
        return lambda: None


def _reasons(current: Callable[[Any], int], handle: Any) -> int | None:
    try:
        return int(current(handle))
    except Exception:  # a device that lacks this reading, or fell off the bus
        return None


CUDA = replace(
    accelerator("cuda"),
    name=lambda: str(torch.cuda.get_device_name()),
    sleep=sleep,
    graph=graph,
    cache_bytes=cache_bytes,
    throttling=lambda: throttling(asker()()),
    set_arithmetic=set_arithmetic,
    has_float64=lambda: True,
)
