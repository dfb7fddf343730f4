"""The arithmetic that torch is asked for: the axis `mode`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from harness.device.devices import device_of

AUTOCAST = "autocast-"
"""Modes that begin with this run under autocast to the dtype that follows."""

DETERMINISTIC = "deterministic"


def set_mode(mode: str, device: str) -> None:
    """Set the arithmetic of the whole process, until the next case.

    That is every switch of products (harness/device/arithmetic.py), and whether torch may use deterministic algorithms
    only, in which case it also fills the memory that torch.empty returns. Raises NotImplementedError where the device
    does not have this arithmetic.
    """
    deterministic = mode == DETERMINISTIC
    if torch.are_deterministic_algorithms_enabled() != deterministic:  # the setter imports torch.compile: one second
        torch.use_deterministic_algorithms(deterministic)
    device_of(device).set_arithmetic(mode)


def in_mode(function: Callable[..., Any], mode: str, device: str) -> Callable[..., Any]:
    """The function as it runs in a mode: itself, or under autocast to the dtype that the mode names.

    Casts are not cached, or a block of many calls would cast only once. The backward pass is outside autocast, as torch
    recommends; it takes the dtypes of the forward pass.
    """
    if not mode.startswith(AUTOCAST):
        return function
    dtype = getattr(torch, mode.removeprefix(AUTOCAST))

    @functools.wraps(function)
    def reduced(*arguments: Any) -> Any:
        with torch.autocast(device, dtype=dtype, cache_enabled=False):
            return function(*arguments)

    return reduced


def result_dtypes(dtype: str, mode: str) -> set[torch.dtype]:
    """The dtypes that the values of a case may have: autocast casts products, and leaves selections alone."""
    own = getattr(torch, dtype)
    return {own, getattr(torch, mode.removeprefix(AUTOCAST))} if mode.startswith(AUTOCAST) else {own}


def keeps_subnormals() -> bool:
    """Whether this process computes with subnormal numbers; loading a library built with -ffast-math may disable them.

    The smallest normal number is halved, which gives a subnormal result, and doubled again, which takes a subnormal
    factor, in both hardware formats.
    """
    least = [torch.tensor([torch.finfo(dtype).tiny], dtype=dtype) for dtype in (torch.float32, torch.float64)]
    return all(bool((tiny * 0.5 * 2 == tiny).all()) for tiny in least)
