"""What matrix products may round: torch's switches, and the values that each mode sets them to.

float32 factors may be rounded to TF32 or bfloat16; half-precision products may be reduced in half precision (by
cuBLAS's default) or accumulated in it. Every mode sets every switch, so that no case depends on the mode of the case
before it.
"""

from __future__ import annotations

from typing import Any

from harness.device.settings import SUMS, of_products

TORCH_DEFAULT, TF32, REDUCED_REDUCTIONS = "torch-default", "tf32", "reduced-reductions"

DEFAULTS: dict[str, Any] = {switch.name: switch.read() for switch in of_products()}
"""switch -> its value after torch was imported; torch's environment variables may have changed it."""

IEEE = {"float32 matmul precision": "highest", "torch.backends.cudnn.allow_tf32": False}
IEEE |= {name: "ieee" for name in DEFAULTS if name.startswith("fp32_precision")}
IEEE |= {name: False for name in DEFAULTS if name.endswith(SUMS)}
"""switch -> the value that allows no reduced precision inside a product."""

PRODUCT_MODES: dict[str, dict[str, Any]] = {
    "ieee": IEEE,
    TORCH_DEFAULT: DEFAULTS,
    TF32: IEEE | {"float32 matmul precision": "high", "fp32_precision of cuda matmul": TF32},
    REDUCED_REDUCTIONS: IEEE | {name: True for name in DEFAULTS if name.endswith("_reduced_precision_reduction")},
}
"""mode -> switch -> value. The other modes (autocast, deterministic algorithms) set the switches as ieee does."""


def set_products(mode: str) -> None:
    """Set every switch for the whole process."""
    values = PRODUCT_MODES.get(mode, IEEE)
    for switch in of_products():  # torch's older names come first there: they write into the newer ones
        switch.write(values[switch.name])


def refuse(word: str, mode: str, lacking: tuple[str, ...] = (TF32, REDUCED_REDUCTIONS)) -> None:
    """Raise NotImplementedError if the mode is one of the arithmetics that the device lacks."""
    if mode in lacking:
        raise NotImplementedError(f"{word} has no {mode} arithmetic")
