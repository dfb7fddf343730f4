"""torch.topk under a second name: any difference from `native` is the harness's own."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import selector


@selector()
def twin() -> Any:
    """torch.topk again."""
    import torch

    return torch.topk
