"""CUDA: an accelerator whose name, cache, arithmetic and throttling can be asked for.

NVML says whether the clock is held down, where nvidia-ml-py is installed and a driver answers.
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
"""Bits of nvmlClocksEventReasons that mean a busy device is throttled; the others mean that it is idle, or that its
owner chose the clock."""


SLEEPS_READ, CYCLES_READ = 5, 2_000_000
"""How often, and over how many cycles, the rate of torch.cuda._sleep is read: a millisecond each."""

FIRST_WITH_TF32 = (8, 0)
"""Compute capability of Ampere, the first with TF32 (NVIDIA A100 white paper, 2020)."""

WARM_UPS = 3
"""Calls before a capture, as in torch's own examples."""


def cache_bytes() -> int:
    """Bytes of the L2 of the current device; UNKNOWN_CACHE_BYTES where it does not say."""
    return int(torch.cuda.get_device_properties().L2_cache_size) or UNKNOWN_CACHE_BYTES


@functools.cache
def cycles_per_second() -> float:
    """The rate of the counter by which torch.cuda._sleep spins: the highest of a few readings.

    A device that was idle runs slowly at first. A rate that is too high makes sleeps too long, which costs little; one
    that is too low lets gates open too early, which is seen.
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
    """Queue a kernel of one thread that spins for so long; other kernels of the stream wait for it."""
    torch.cuda._sleep(int(seconds * cycles_per_second()))  # type: ignore[no-untyped-call]


def graph(make: Callable[[], Call]) -> Call:
    """What a call queues, captured as a CUDA graph, and the call that replays it and returns what was captured.

    All of it is made on the stream of the capture: autograd runs a backward pass on the stream of its forward pass
    (torch, CUDA semantics), which would otherwise be outside. Raises NotImplementedError with torch's message where
    something cannot be captured, such as a wait for the device.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    usual = torch.cuda.current_stream()
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        call = make()
        for _ in range(WARM_UPS):  # what libraries allocate or choose at first calls must not be captured
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
        torch.cuda.set_stream(usual)  # a capture that fails leaves its own stream current
    torch.cuda.synchronize()

    def replay() -> Any:
        captured.replay()
        return result

    return replay


def set_arithmetic(mode: str) -> None:
    """Every switch of products; raises NotImplementedError for tf32 on a device whose tensor cores lack it."""
    if torch.cuda.get_device_capability() < FIRST_WITH_TF32:
        refuse("this GPU", mode, (TF32,))
    set_products(mode)


def throttling(mask: int | None) -> list[str] | None:
    """The reasons of NVML's bit mask in words; None, which stands for no answer, stays None."""
    return None if mask is None else [word for bit, word in REASONS.items() if mask & bit]


@functools.cache
def asker() -> Callable[[], int | None]:
    """What asks the current device for its bit mask; None is the answer of one that cannot be asked."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties().uuid}")
        return functools.partial(_reasons, pynvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    except Exception:  # no such package, library, driver, device or right: there is one answer to all of them
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
