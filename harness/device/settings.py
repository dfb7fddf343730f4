"""Global state of torch that concerns devices: precision of products, autocast, the current device.

It outlives the call that sets it, and so changes the results of every other method in the process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

FLOAT32_PRODUCTS = (
    ("generic", "all"),
    *((backend, operation) for backend in ("cuda", "mkldnn") for operation in ("all", "matmul", "conv", "rnn")),
)
"""torch's names (backend, operation) of the switches that let float32 products be rounded. The older names
(`allow_tf32`, `set_float32_matmul_precision`) write into the same places, so they must be restored first."""

REDUCTIONS = ("allow_fp16_reduced_precision_reduction", "allow_bf16_reduced_precision_reduction")
SUMS = (*REDUCTIONS, "allow_fp16_accumulation")
LIBRARY_SWITCHES = ("enabled", "deterministic", "benchmark")


@dataclass(frozen=True)
class Setting:
    """One piece of global state. read() returns a value that can be compared by `==`; write() restores it, or raises.

    shared: whether a change affects what other methods compute or how long they take.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    shared: bool = True


def of_products() -> list[Setting]:
    """Every switch that changes what a product rounds, in the order in which they must be restored."""
    backends: Any = torch.backends
    return [
        Setting("float32 matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _attribute(backends.cudnn, "torch.backends.cudnn", "allow_tf32"),
        *(_of_float32(backend, operation) for backend, operation in FLOAT32_PRODUCTS),
        *(_attribute(backends.cuda.matmul, "torch.backends.cuda.matmul", name) for name in SUMS),
    ]


def of_every_device() -> list[Setting]:
    """The settings that can be read on every machine, in the order in which they must be restored."""
    backends: Any = torch.backends
    settings = of_products()
    for library in (backends.cudnn, backends.mkldnn):
        settings += [_attribute(library, library.__name__, name) for name in LIBRARY_SWITCHES if hasattr(library, name)]
    settings.append(
        Setting("the BLAS library", backends.cuda.preferred_blas_library, backends.cuda.preferred_blas_library)
    )
    for device in ("cpu", "cuda"):
        settings += _of_autocast(device)
    return [*settings, random_state("torch's random state", torch.default_generator)]


def of_accelerator(word: str) -> list[Setting]:
    """The settings that only an accelerator of this type has. Reading them initialises the device."""
    module: Any = torch.get_device_module(word)
    accelerator = torch.accelerator
    settings = [
        Setting("the current device", accelerator.current_device_index, accelerator.set_device_index),
        Setting("the current stream", accelerator.current_stream, accelerator.set_stream),
    ]
    generators = getattr(module, "default_generators", ())
    return [*settings, *(random_state(f"torch's random state on {word}", first) for first in generators[:1])]


def random_state(name: str, generator: torch.Generator) -> Setting:
    """The state of a generator. It is not shared: a randomised selection has to draw numbers, and may."""
    return Setting(
        name,
        lambda: bytes(generator.get_state().numpy()),
        lambda state: generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8)),
        shared=False,
    )


def _of_float32(backend: str, operation: str) -> Setting:
    binding: Any = torch._C
    return Setting(
        f"fp32_precision of {backend} {operation}",
        lambda: binding._get_fp32_precision_getter(backend, operation),
        lambda value: binding._set_fp32_precision_setter(backend, operation, value),
    )


def _of_autocast(device: str) -> list[Setting]:
    return [
        Setting(
            f"autocast on {device}",
            lambda: torch.is_autocast_enabled(device),
            lambda on: torch.set_autocast_enabled(device, on),
        ),
        Setting(
            f"autocast's dtype on {device}",
            lambda: torch.get_autocast_dtype(device),
            lambda dtype: torch.set_autocast_dtype(device, dtype),
        ),
    ]


def _attribute(owner: Any, owner_name: str, name: str) -> Setting:
    return Setting(f"{owner_name}.{name}", lambda: getattr(owner, name), lambda value: setattr(owner, name, value))
