"""Selection by index, without making S."""

from __future__ import annotations

from typing import Any

from harness.methods.definition import index_map, product


@index_map()
def gather() -> Any:
    """y.gather(indices): the indices stand for S."""
    return (lambda indices, n, dtype: indices), (lambda indices, y: y.gather(-1, indices))


@product()
def fused() -> Any:
    """W[indices] @ x: the selected rows of W are multiplied again, and only they get a gradient."""
    import torch

    def project(W: Any, x: Any, k: int) -> Any:
        with torch.no_grad():  # the gradient goes through the second product alone
            indices = (x @ W.mT).topk(k).indices
        if x.dim() == 1:
            return W[indices] @ x, indices
        return torch.bmm(W[indices], x.unsqueeze(-1)).squeeze(-1), indices

    return project
