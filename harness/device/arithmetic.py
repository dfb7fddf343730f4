"""What products may round: torch's switches, and what each mode sets them to.

float32 factors may be rounded to TF32 or bfloat16, sums of halves may be reduced in halves (cuBLAS does so unless told
otherwise) or accumulated in them. Every mode sets every switch, so none depends on the mode of the case before.
"""

from __future__ import annotations

from typing import Any

from harness.device.settings import SUMS, of_products

TORCH_DEFAULT, TF32, REDUCED_REDUCTIONS = "torch-default", "tf32", "reduced-reductions"

DEFAULTS: dict[str, Any] = {each.name: each.read() for each in of_products()}
"""switch -> its value as torch was imported, which torch's environment variables may have changed."""

IEEE = {"float32 matmul precision": "highest", "torch.backends.cudnn.allow_tf32": False}
IEEE |= {name: "ieee" for name in DEFAULTS if name.startswith("fp32_precision")}
IEEE |= {name: False for name in DEFAULTS if name.endswith(SUMS)}
"""switch -> its value where nothing is rounded but results."""

PRODUCT_MODES: dict[str, dict[str, Any]] = {
    "ieee": IEEE,
    TORCH_DEFAULT: DEFAULTS,
    TF32: IEEE | {"float32 matmul precision": "high", "fp32_precision of cuda matmul": TF32},
    REDUCED_REDUCTIONS: IEEE | {name: True for name in DEFAULTS if name.endswith("_reduced_precision_reduction")},
}
"""mode -> switch -> value; what other modes ask for (autocast, deterministic algorithms) leaves products as in ieee."""


def set_products(mode: str) -> None:
    """Set every switch for the whole process, torch's older names first: they write into the newer ones."""
    values = PRODUCT_MODES.get(mode, IEEE)
    for each in of_products():
        each.write(values[each.name])


def refuse(word: str, mode: str, lacking: tuple[str, ...] = (TF32, REDUCED_REDUCTIONS)) -> None:
    """Raises NotImplementedError for a mode that is an arithmetic that a device has not."""
    if mode in lacking:
        raise NotImplementedError(f"{mode} is an arithmetic that {word} has not")
